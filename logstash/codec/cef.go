package codec

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// CEF reads and writes ArcSight's Common Event Format:
//
//	CEF:version|vendor|product|device version|event class|name|severity|key=value key=value …
//
// What is not in this form becomes the message of an event with the tag _cefparsefailure. Keys get their full names, or with
// the Elastic Common Schema its fields; there, times become times.
//
// Source: cef.rb and timestamp_normalizer.rb of logstash-codec-cef 6.2.
//
// Differences:
//   - Names of months are English, whatever locale is. Short names of zones are the usual ones of Europe, North America and
//     Japan.
//   - In a stream, messages end with lines if there is no delimiter.
type CEF struct {
	common
	Vendor           *event.Format `ls:"vendor" default:"Elasticsearch" doc:"the vendor that is written"`
	Product          *event.Format `ls:"product" default:"Logstash" doc:"the product that is written"`
	Version          *event.Format `ls:"version" default:"1.0" doc:"the version of the product that is written"`
	Signature        *event.Format `ls:"signature" default:"Logstash" doc:"the class of events that is written"`
	Name             *event.Format `ls:"name" default:"Logstash" doc:"the name of events that is written"`
	Severity         *event.Format `ls:"severity" default:"6" doc:"the severity that is written: a whole number from 0 to 10; for anything else it is 6"`
	Fields           []string      `ls:"fields" doc:"the fields that are written as keys and values"`
	ReverseMapping   bool          `ls:"reverse_mapping" default:"false" doc:"whether keys are written in their short form (src instead of sourceAddress)"`
	Delimiter        *string       `ls:"delimiter" doc:"what messages end in; \\r and \\n are the line ends"`
	DefaultTimezone  string        `ls:"default_timezone" doc:"the zone of times that have none; that of the machine if not given"`
	Locale           string        `ls:"locale" doc:"has no effect: names of months are English"`
	RawDataField     *event.Ref    `ls:"raw_data_field" doc:"a field that gets the message as it was"`
	Device           string        `ls:"device" default:"observer" enum:"observer|host" doc:"what the device of a message is in the Elastic Common Schema"`
	ECSCompatibility string        `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether fields have names of the Elastic Common Schema; that of the pipeline if not given"`
}

type cef struct {
	*CEF
	delimiter, ending string
	header            [7]*event.Ref
	syslog            *event.Ref
	zone              string // the field with the device's zone; "" if times stay as they are
	clock             cefClock
	mapping           *cefMapping
	fields            []cefWritten
}

// A cefWritten is a field that is written, and the key for it.
type cefWritten struct {
	ref *event.Ref
	key string
}

// Setup implements Plugin.
func (c *CEF) Setup(s *Setup) (Codec, error) {
	ecs := c.ECSCompatibility
	if ecs == "" {
		ecs = s.ECS
	}
	schema := ecs != "" && ecs != "disabled"
	f := &cef{CEF: c, clock: cefClock{time.Local}, mapping: newCEFMapping(schema, c.Device, c.ReverseMapping)}
	if c.Delimiter != nil {
		f.ending = strings.ReplaceAll(strings.ReplaceAll(*c.Delimiter, `\r`, "\r"), `\n`, "\n")
		f.delimiter = f.ending
	} else if s.Stream {
		f.delimiter = "\n"
	}
	if c.DefaultTimezone != "" {
		zone, err := cefZone(c.DefaultTimezone)
		if err != nil {
			return nil, option.Errorf("default_timezone", "%w", err)
		}
		f.clock.zone = zone
	}
	names := []string{"cefVersion", "deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId", "name", "severity", "syslog"}
	if schema {
		f.zone = "[event][timezone]"
		names = []string{"[cef][version]", "[observer][vendor]", "[observer][product]", "[observer][version]", "[event][code]", "[cef][name]", "[event][severity]", "[log][syslog][header]"}
	}
	for i, name := range names {
		r, err := event.ParseRef(name)
		if err != nil {
			return nil, err
		}
		if i == len(f.header) {
			f.syslog = r
		} else {
			f.header[i] = r
		}
	}
	for _, name := range c.Fields {
		r, err := s.Style.Parse(name)
		if err != nil {
			return nil, option.Errorf("fields", "%w", err)
		}
		key, known := f.mapping.keys[name]
		if !known {
			key = name
		}
		f.fields = append(f.fields, cefWritten{r, onlyWordCharacters(key)})
	}
	return f, nil
}

func onlyWordCharacters(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' {
			return r
		}
		return -1
	}, s)
}

// Delimiter implements Decoder.
func (c *cef) Delimiter() string { return c.delimiter }

// Decode implements Decoder.
func (c *cef) Decode(x *Context, message []byte) {
	text := (*charset)(nil).text(message)
	if text == "" && c.delimiter != "" {
		return
	}
	e := x.New()
	e.Complete(x.Now)
	raw := text
	if strings.HasPrefix(text, `"`) {
		text = text[1:max(1, len(text)-1)]
	}
	err := errors.New("it is not UTF-8")
	if len(raw) == len(message) { // otherwise it has been escaped
		err = c.decode(x, e, text, raw)
	}
	if err != nil {
		x.Log.Error("this is no CEF and becomes the event's message", "error", err)
		e.Reset()
		failed(x, text, "_cefparsefailure")
		return
	}
	x.Emit(e)
}

func (c *cef) decode(x *Context, e *event.Event, text, raw string) error {
	if c.RawDataField != nil {
		if err := e.Set(c.RawDataField, event.StringValue(raw)); err != nil {
			return err
		}
	}
	rest := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if strings.Contains(rest, "\n") {
		return errors.New("it has several lines: use the delimiter option")
	}
	for i, field := range c.header {
		end := headerEnd(rest)
		if end < 0 {
			return fmt.Errorf("it has %d of 7 header fields, each followed by |", i)
		}
		value := unescapeHeader(rest[:end])
		rest = rest[end+1:]
		if i == 0 {
			if at := strings.LastIndexByte(value, ' '); at >= 0 {
				if err := e.Set(c.syslog, event.StringValue(value[:at])); err != nil {
					return err
				}
				value = value[at+1:]
			}
			value = strings.TrimPrefix(value, "CEF:")
		}
		if err := e.Set(field, event.StringValue(value)); err != nil {
			return err
		}
	}
	extension, err := c.extension(strings.Trim(rest, " \t\n\v\f\r\x00"))
	if err != nil {
		return err
	}
	return c.setExtension(x, e, extension)
}

// headerEnd finds the | that ends a header field; those behind a backslash do not.
func headerEnd(s string) int {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '\\' || s[i+1] == '|'):
			i++
		case s[i] == '|':
			return i
		}
	}
	return -1
}

var (
	headerUnescapes    = strings.NewReplacer(`\\`, `\`, `\|`, `|`)
	headerEscapes      = strings.NewReplacer("\r\n", " ", `\`, `\\`, "|", `\|`, "\n", " ", "\r", " ")
	extensionUnescapes = strings.NewReplacer(`\\`, `\`, `\=`, `=`, `\n`, "\n", `\r`, "\r")
	extensionEscapes   = strings.NewReplacer("\r\n", `\n`, `\`, `\\`, "=", `\=`, "\n", `\n`, "\r", `\n`)
)

func unescapeHeader(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	return headerUnescapes.Replace(s)
}

// extension cuts keys and values. Values may have blanks in them: what looks like a key and = behind a blank ends a value.
func (c *cef) extension(s string) ([]event.Entry, error) {
	var out []event.Entry
	for s != "" {
		n := extensionKey(s)
		if n == 0 {
			return nil, fmt.Errorf("there is a value without a key: %q", s)
		}
		key := s[:n]
		s = s[n+1:]
		end := 0
		for end < len(s) {
			blanks := end
			for blanks < len(s) && strings.IndexByte(" \t\n\v\f\r", s[blanks]) >= 0 {
				blanks++
			}
			if blanks > end && extensionKey(s[blanks:]) > 0 {
				break
			}
			end = max(blanks, end+1)
		}
		value := s[:end]
		s = strings.TrimLeft(s[end:], " \t\n\v\f\r")
		if strings.IndexByte(value, '\\') >= 0 {
			value = extensionUnescapes.Replace(value)
		}
		field, known := c.mapping.fields[key]
		if !known {
			field = indexed(key)
		}
		out = put(out, event.Entry{Key: field, Value: event.StringValue(value)})
	}
	return out, nil
}

// put sets a field, in its old place if there is one.
func put(list []event.Entry, e event.Entry) []event.Entry {
	for i := range list {
		if list[i].Key == e.Key {
			list[i].Value = e.Value
			return list
		}
	}
	return append(list, e)
}

// extensionKey gives the length of the key that s begins with, if = follows it; 0 if there is none. A key is a word, which may
// have parts behind points, and an index in brackets.
func extensionKey(s string) int {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	if n == 0 {
		return 0
	}
	for n < len(s) && s[n] == '.' {
		part := strings.IndexAny(s[n+1:], ".= \t\n\v\f\r|\\[]")
		if part <= 0 {
			return 0
		}
		n += 1 + part
	}
	if n < len(s) && s[n] == '[' {
		digits := n + 1
		for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
			digits++
		}
		if digits == n+1 || digits == len(s) || s[digits] != ']' {
			return 0
		}
		n = digits + 1
	}
	if n == len(s) || s[n] != '=' {
		return 0
	}
	return n
}

// indexed makes a reference of a key with an index: foo[0] is [foo][0].
func indexed(key string) string {
	if i := strings.IndexByte(key, '['); i > 0 && strings.HasSuffix(key, "]") {
		return "[" + key[:i] + "]" + key[i:]
	}
	return key
}

func (c *cef) setExtension(x *Context, e *event.Event, extension []event.Entry) error {
	get := func(name string) (string, bool) {
		for _, f := range extension {
			if f.Key == name {
				return f.Value.Str(), true
			}
		}
		return "", false
	}
	set := func(name string, v event.Value) error {
		r, err := event.ParseRef(name)
		if err != nil {
			return err
		}
		return e.Set(r, v)
	}
	zone, _ := get(c.zone)
	times := map[string]bool{}
	for _, name := range c.mapping.times {
		text, ok := get(name)
		if !ok || times[name] {
			continue
		}
		times[name] = true
		v := event.NullValue
		if strings.TrimSpace(text) != "" {
			t, err := c.clock.parse(text, zone, x.Now)
			if err != nil {
				return err
			}
			v = event.TimeValue(t)
		}
		if err := set(name, v); err != nil {
			return err
		}
	}
	for _, f := range extension {
		if times[f.Key] {
			continue
		}
		if err := set(f.Key, f.Value); err != nil {
			return fmt.Errorf("%s: %w", f.Key, err)
		}
	}
	return nil
}

// Encode implements Encoder.
func (c *cef) Encode(dst []byte, e *event.Event) []byte {
	dst = append(dst, "CEF:0"...)
	for _, part := range []struct {
		format  *event.Format
		instead string
	}{{c.Vendor, "Elasticsearch"}, {c.Product, "Logstash"}, {c.Version, "1.0"}, {c.Signature, "Logstash"}, {c.Name, "Logstash"}} {
		text, err := part.format.Text(e)
		if text = headerEscapes.Replace(text); err != nil || text == "" {
			text = part.instead
		}
		dst = append(append(dst, '|'), text...)
	}
	dst = append(append(dst, '|'), c.severity(e)...)
	dst = append(dst, '|')
	first := true
	for _, f := range c.fields {
		v := e.Get(f.ref)
		if v.Nil() {
			continue
		}
		if !first {
			dst = append(dst, ' ')
		}
		first = false
		dst = append(append(dst, f.key...), '=')
		switch v.Kind() {
		case event.List, event.Map:
			dst = append(dst, extensionEscapes.Replace(string(event.AppendJSON(nil, v)))...)
		case event.Time:
			dst = event.AppendTime(dst, v.Time())
		case event.Float:
			dst = append(dst, option.Text(v.Float())...)
		default:
			dst = append(dst, extensionEscapes.Replace(v.Text())...)
		}
	}
	return append(dst, c.ending...)
}

// severity gives a whole number from 0 to 10.
func (c *cef) severity(e *event.Event) string {
	text, err := c.Severity.Text(e)
	f, parsing := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || parsing != nil || f != float64(int(f)) || f < 0 || f > 10 {
		return "6"
	}
	return strconv.Itoa(int(f))
}
