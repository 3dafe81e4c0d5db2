package filter

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/ua-parser/uap-go/uaparser"
	"go.yaml.in/yaml/v3"

	"github.com/narudata/naru/logstash/pattern/regex"
)

// A uaParser knows browsers, systems and devices by patterns. The first pattern of each kind that matches counts.
//
// Source: org.logstash.uaparser of logstash-filter-useragent 3.3; the form of the definitions is that of ua-parser/uap-core.
type uaParser struct {
	browsers, systems, devices []*uaPattern
}

// A uaClient is what is known of a client.
type uaClient struct {
	browser uaVersion
	system  uaVersion
	device  string

	version       *string // of the browser
	systemVersion *string
	systemFull    string // the system's name and version
}

// A uaVersion is a name with up to four parts of a version; nil is a part that is not there.
type uaVersion struct {
	family string
	parts  [4]*string
}

type uaPattern struct {
	re      *regex.Regexp
	name    *string
	version [3]*string
}

type uaDefinitions struct {
	Browsers []uaDefinition `yaml:"user_agent_parsers"`
	Systems  []uaDefinition `yaml:"os_parsers"`
	Devices  []uaDefinition `yaml:"device_parsers"`
}

type uaDefinition struct {
	Regex    *string `yaml:"regex"`
	Flag     string  `yaml:"regex_flag"`
	Family   *string `yaml:"family_replacement"`
	V1       *string `yaml:"v1_replacement"`
	V2       *string `yaml:"v2_replacement"`
	System   *string `yaml:"os_replacement"`
	SystemV1 *string `yaml:"os_v1_replacement"`
	SystemV2 *string `yaml:"os_v2_replacement"`
	SystemV3 *string `yaml:"os_v3_replacement"`
	Device   *string `yaml:"device_replacement"`
}

// builtInAgents are the definitions that naru has, read at their first use.
var builtInAgents = sync.OnceValues(func() (*uaParser, error) { return newUAParser(uaparser.DefinitionYaml) })

// newUAParser reads definitions: YAML with user_agent_parsers, os_parsers and device_parsers.
func newUAParser(text []byte) (*uaParser, error) {
	var d uaDefinitions
	if err := yaml.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("definitions of user agents: %w", err)
	}
	p := &uaParser{}
	for _, kind := range []struct {
		name string
		from []uaDefinition
		to   *[]*uaPattern
		of   func(d *uaDefinition) *uaPattern
	}{
		{"user_agent_parsers", d.Browsers, &p.browsers, func(d *uaDefinition) *uaPattern {
			return &uaPattern{name: d.Family, version: [3]*string{d.V1, d.V2}}
		}},
		{"os_parsers", d.Systems, &p.systems, func(d *uaDefinition) *uaPattern {
			return &uaPattern{name: d.System, version: [3]*string{d.SystemV1, d.SystemV2, d.SystemV3}}
		}},
		{"device_parsers", d.Devices, &p.devices, func(d *uaDefinition) *uaPattern {
			return &uaPattern{name: d.Device}
		}},
	} {
		if kind.from == nil {
			return nil, fmt.Errorf("definitions of user agents: there are no %s", kind.name)
		}
		*kind.to = make([]*uaPattern, len(kind.from))
		for i := range kind.from {
			definition := &kind.from[i]
			if definition.Regex == nil {
				return nil, fmt.Errorf("definitions of user agents: number %d of %s has no regex", i+1, kind.name)
			}
			made := kind.of(definition)
			var err error
			made.re, err = regex.Compile(*definition.Regex, regex.Options{IgnoreCase: definition.Flag == "i" && kind.name == "device_parsers"})
			if err != nil {
				return nil, fmt.Errorf("definitions of user agents: number %d of %s: %w", i+1, kind.name, err)
			}
			for _, v := range made.version {
				if n, is := groupOf(v); is && kind.name == "os_parsers" && (n < 0 || n > made.re.NumGroups()) {
					return nil, fmt.Errorf("definitions of user agents: number %d of %s has no group %s", i+1, kind.name, *v)
				}
			}
			(*kind.to)[i] = made
		}
	}
	return p, nil
}

// groupOf reports that a replacement refers to a group, and to which; -1 if it is no number.
func groupOf(replacement *string) (group int, is bool) {
	if replacement == nil {
		return 0, false
	}
	digits, is := strings.CutPrefix(*replacement, "$")
	if !is {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1, true
	}
	return n, true
}

// parse finds out what an agent is. What is not known is "Other".
func (p *uaParser) parse(agent string) *uaClient {
	agent = strings.Clone(agent) // what is kept is parts of it
	f := &uaFinder{agent: agent, in: []byte(agent)}
	c := &uaClient{browser: uaVersion{family: "Other"}, system: uaVersion{family: "Other"}, device: "Other"}
	for _, pattern := range p.browsers {
		if v, ok := pattern.browser(f); ok {
			c.browser = v
			break
		}
	}
	for _, pattern := range p.systems {
		if v, ok := pattern.system(f); ok {
			c.system = v
			break
		}
	}
	for _, pattern := range p.devices {
		if device, ok := pattern.device(f); ok {
			c.device = device
			break
		}
	}
	c.version = c.browser.version(agent)
	c.systemVersion = c.system.systemVersion()
	c.systemFull = c.system.family
	if c.systemVersion != nil {
		c.systemFull += " " + *c.systemVersion
	}
	return c
}

// A uaFinder holds a match of an agent.
type uaFinder struct {
	agent  string
	in     []byte
	match  regex.Match
	groups int
}

func (f *uaFinder) find(re *regex.Regexp) bool {
	if literal := re.Literal(); literal != "" && !strings.Contains(f.agent, literal) {
		return false
	}
	f.groups = re.NumGroups()
	ok, err := re.Match(f.in, 0, &f.match)
	return ok && err == nil // what takes too many steps does not match
}

// group gives what a group matched; nil if it took no part, or there is none.
func (f *uaFinder) group(n int) *string {
	if n > f.groups {
		return nil
	}
	begin, end, ok := f.match.Group(n)
	if !ok {
		return nil
	}
	s := f.agent[begin:end]
	return &s
}

// some gives what a group matched if that is not empty.
func (f *uaFinder) some(n int) *string {
	if s := f.group(n); s != nil && *s != "" {
		return s
	}
	return nil
}

func (p *uaPattern) browser(f *uaFinder) (v uaVersion, ok bool) {
	if !f.find(p.re) {
		return v, false
	}
	first := f.group(1)
	switch {
	case p.name != nil && first != nil:
		v.family = strings.Replace(*p.name, "$1", *first, 1)
	case p.name != nil:
		v.family = *p.name
	case first != nil:
		v.family = *first
	default:
		return v, false
	}
	if v.parts[0] = p.version[0]; v.parts[0] == nil {
		v.parts[0] = f.some(2)
	}
	if v.parts[1] = p.version[1]; v.parts[1] == nil {
		v.parts[1], v.parts[2], v.parts[3] = f.some(3), f.some(4), f.some(5)
	}
	return v, true
}

func (p *uaPattern) system(f *uaFinder) (v uaVersion, ok bool) {
	if !f.find(p.re) {
		return v, false
	}
	first := f.group(1)
	switch {
	case p.name != nil && f.groups > 0:
		replacement := ""
		if first != nil {
			replacement = *first
		}
		v.family = strings.ReplaceAll(*p.name, "$1", replacement)
	case p.name != nil:
		v.family = *p.name
	case first != nil:
		v.family = *first
	default:
		return v, false
	}
	for i := range v.parts {
		if i < len(p.version) && p.version[i] != nil {
			v.parts[i] = p.version[i]
			if n, is := groupOf(p.version[i]); is {
				v.parts[i] = f.group(n)
			}
			continue
		}
		v.parts[i] = f.group(i + 2)
	}
	return v, true
}

func (p *uaPattern) device(f *uaFinder) (device string, ok bool) {
	if !f.find(p.re) {
		return "", false
	}
	if p.name == nil {
		first := f.group(1)
		if first == nil {
			return "", false
		}
		return *first, true
	}
	if !strings.Contains(*p.name, "$") {
		return *p.name, true
	}
	var b strings.Builder
	for i := 0; i < len(*p.name); i++ {
		c := (*p.name)[i]
		if c != '$' || i+1 == len(*p.name) || (*p.name)[i+1] < '0' || (*p.name)[i+1] > '9' {
			b.WriteByte(c)
			continue
		}
		i++
		if s := f.group(int((*p.name)[i] - '0')); s != nil {
			b.WriteString(*s)
		}
	}
	return strings.TrimFunc(b.String(), func(r rune) bool { return r <= ' ' }), true
}

// version gives the parts with points between them. Where the third is the last, a number that follows it in the text
// belongs to it.
func (v *uaVersion) version(agent string) *string {
	if v.parts[0] == nil {
		return nil
	}
	text := *v.parts[0]
	for _, part := range v.parts[1:] {
		if part == nil {
			break
		}
		text += "." + *part
	}
	if v.parts[1] == nil || v.parts[2] == nil || v.parts[3] != nil {
		return &text
	}
	_, rest, _ := strings.Cut(agent, text)
	if rest, found := strings.CutPrefix(rest, "."); found {
		number, _, ends := strings.Cut(rest, " ")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && ends && strconv.FormatInt(n, 10) == number {
			text += "." + number
		}
	}
	return &text
}

// systemVersion gives the parts with points between them, and a blank behind a first part that is no number.
func (v *uaVersion) systemVersion() *string {
	if v.parts[0] == nil {
		return nil
	}
	text, separator := *v.parts[0], " "
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && strconv.FormatInt(n, 10) == text {
		separator = "."
	}
	for _, part := range v.parts[1:] {
		if part == nil {
			break
		}
		text += separator + *part
		separator = "."
	}
	return &text
}
