package agent

import (
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/narudata/naru/format/filebeat"
)

// readSteps reads what is done with lines: multiline and json of the log input, the format of the container input, parsers of
// filestream.
func (c *Config) readSteps(s *filebeat.Section, in *Input) {
	var steps []Step
	switch in.Type {
	case "container":
		steps = append(steps, Step{Container: readContainer(s)})
		s.Know("combine_partial")
		fallthrough
	case "log":
		if s.Has("json") {
			j := s.Sub("json")
			o := readJSON(j)
			if !j.Bool("keys_under_root", false) {
				o.Target = "json"
			}
			j.Done()
			steps = append(steps, Step{JSON: o})
		}
		if s.Has("multiline") {
			if m := readMultiline(s.Sub("multiline"), in); m != nil {
				if n := len(steps); n > 0 && steps[n-1].JSON != nil && steps[n-1].JSON.MessageKey == "" {
					s.Say(filebeat.Wrong, "json", "lines of objects are joined by their texts: json.message_key is missing", "")
				}
				steps = append(steps, Step{Multiline: m})
			}
		}
	case "filestream":
		steps = readParsers(s, in)
		s.Each(filebeat.Wrong, "filestream has it among its parsers", "write it as an item of parsers: json as ndjson", "multiline", "json")
	}
	// What comes after the last step that holds lines back is done by the workers.
	last := -1
	for i := range steps {
		if steps[i].JSON == nil {
			last = i
		}
	}
	in.Reading.Steps = steps[:last+1]
	for _, step := range steps[last+1:] {
		in.JSON = append(in.JSON, step.JSON)
	}
}

func readContainer(s *filebeat.Section) *Container {
	c := &Container{Format: s.Choice("format", "auto", "auto", "docker", "cri")}
	switch s.Choice("stream", "all", "all", "stdout", "stderr") {
	case "stdout":
		c.Stream = 1
	case "stderr":
		c.Stream = 2
	}
	return c
}

func readJSON(s *filebeat.Section) *JSON {
	j := &JSON{
		Overwrite: s.Bool("overwrite_keys", false), Expand: s.Bool("expand_keys", false), AddError: s.Bool("add_error_key", false),
		MessageKey: s.Text("message_key", ""), DocumentID: s.Text("document_id", ""),
	}
	s.Know("ignore_decoding_error")
	return j
}

func readParsers(s *filebeat.Section, in *Input) []Step {
	var steps []Step
	for _, p := range s.Sections("parsers") {
		if len(p.Node.Members) != 1 {
			p.Say(filebeat.Wrong, "", "expected one parser in each item of the list", "settings of a parser are two columns further right than its name")
			continue
		}
		name := p.Node.Members[0].Name
		under := p.Sub(name)
		switch name {
		case "container":
			steps = append(steps, Step{Container: readContainer(under)})
			under.Done()
		case "multiline":
			if m := readMultiline(under, in); m != nil {
				steps = append(steps, Step{Multiline: m})
			}
		case "ndjson":
			j := readJSON(under)
			j.Target = under.Text("target", "")
			if under.Has("keys_under_root") && !under.Bool("keys_under_root", false) && !under.Has("target") {
				j.Target = "json"
			}
			under.Know("field")
			under.Done()
			steps = append(steps, Step{JSON: j})
		case "syslog":
			p.Say(filebeat.Unsupported, "syslog", "naru has no such parser", "parse it where the events go: naru logstash has grok and date, OpenSearch has ingest pipelines")
		case "include_message":
			in.Include = append(in.Include, under.Regexps("patterns")...)
			under.Done()
		default:
			p.Say(filebeat.Wrong, name, "expected one of ndjson, multiline, container, include_message", "")
		}
	}
	for i := range steps {
		for j := i + 1; j < len(steps); j++ {
			if steps[i].JSON != nil && steps[j].Container != nil {
				s.Say(filebeat.Wrong, "parsers", "container comes before ndjson: lines of containers are cut first", "")
			}
			if steps[i].JSON != nil && steps[j].Multiline != nil && steps[i].JSON.MessageKey == "" {
				s.Say(filebeat.Wrong, "parsers", "lines of objects are joined by their texts: message_key of ndjson is missing", "")
			}
		}
	}
	return steps
}

func readMultiline(s *filebeat.Section, in *Input) *Multiline {
	defer s.Done()
	m := &Multiline{Kind: s.Choice("type", "pattern", "pattern", "count", "while_pattern"), Bare: s.Bool("skip_newline", false)}
	m.MaxLines = int(s.Int("max_lines", 500, 1, math.MaxInt32))
	m.Negate = s.Bool("negate", false)
	m.Before = s.Choice("match", "after", "after", "before") == "before"
	if d := s.Duration("timeout", 5*time.Second); d > 0 {
		in.Reading.Patience = d
	}
	if m.Kind == "count" {
		m.MaxLines = int(s.Int("count_lines", 0, 0, math.MaxInt32))
		if m.MaxLines < 1 {
			s.Say(filebeat.Wrong, "count_lines", "expected how many lines belong together", "")
			return nil
		}
		s.Know("pattern", "flush_pattern")
		return m
	}
	if !s.Has("pattern") {
		s.Say(filebeat.Wrong, "", "expected pattern: a regular expression", "")
		return nil
	}
	if m.Pattern = pattern(s, "pattern"); m.Pattern == nil {
		return nil
	}
	if s.Has("flush_pattern") {
		if m.Flush = pattern(s, "flush_pattern"); m.Flush == nil {
			return nil
		}
	}
	if m.Kind == "pattern" && !s.Has("match") {
		s.Say(filebeat.Wrong, "", "expected match: after or before", "")
	}
	return m
}

func pattern(s *filebeat.Section, key string) *regexp.Regexp {
	text := s.Text(key, "")
	re, err := regexp.Compile(text)
	if err != nil {
		hint := ""
		if strings.Contains(text, "(?=") || strings.Contains(text, "(?!") || strings.Contains(text, "(?<") {
			hint = "neither Filebeat nor naru have look-arounds: use negate: true"
		}
		s.Say(filebeat.Wrong, key, err.Error(), hint)
		return nil
	}
	return re
}
