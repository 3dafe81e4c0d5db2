package agent

import (
	"slices"
	"strings"

	"github.com/narudata/naru/format/filebeat"
)

// A Processor changes an event; false: the event is dropped. It is used by several goroutines.
type Processor func(e *Event) bool

// A builderOf reads the settings of a processor; nil: they are wrong, which is said, or there is nothing to do.
type builderOf func(s *filebeat.Section, env *environment) Processor

// processors are those that naru has.
func processorTable() map[string]builderOf {
	return map[string]builderOf{
		"add_fields": addFields, "add_tags": addTags, "add_labels": addLabels, "add_id": addID,
		"drop_fields": dropFields, "include_fields": includeFields, "drop_event": dropEvent,
		"rename": renameFields(true), "copy_fields": renameFields(false),
		"add_host_metadata": addHost, "add_kubernetes_metadata": addKubernetes,
		"decode_json_fields": decodeJSON, "dissect": dissectField, "timestamp": timestampField,
		"convert": convertFields, "replace": replaceFields, "truncate_fields": truncateFields,
		"lowercase": changeCase(strings.ToLower), "uppercase": changeCase(strings.ToUpper),
		"add_locale": addLocale,
	}
}

// left are processors that add something, which naru goes without.
var left = map[string]string{
	"add_cloud_metadata":        "set what you need of it by add_fields, with variables of the environment",
	"add_docker_metadata":       "names and labels of Docker's containers are not asked for: set what you need by add_fields, or use Kubernetes metadata",
	"add_process_metadata":      "logs of files have no processes: remove it",
	"add_observer_metadata":     "set what you need of it by add_fields",
	"add_network_direction":     "do it where the events go",
	"add_session_metadata":      "remove it",
	"add_cloudfoundry_metadata": "set what you need of it by add_fields",
	"add_nomad_metadata":        "set what you need of it by add_fields",
	"community_id":              "do it where the events go (naru logstash)",
	"dns":                       "do it where the events go (naru logstash: filter dns)",
	"translate_sid":             "remove it",
	"detect_mime_type":          "remove it",
	"rate_limit":                "nothing is left out: back-pressure slows the reading instead",
	"cache":                     "do it where the events go",
}

// elsewhere are processors that change events, without which they would not be what is expected.
var elsewhere = []string{
	"script", "decode_csv_fields", "decode_xml", "decode_xml_wineventlog", "decode_base64_field", "decode_cef", "decode_duration", "decompress_gzip_field",
	"extract_array", "extract_field", "fingerprint", "move_fields", "parse_aws_vpc_flow_log", "registered_domain", "syslog", "urldecode", "translate_ldap_attribute",
	"add_formatted_index",
}

// readProcessors reads a list of processors: each is one name with its settings, or if, then, else.
func readProcessors(of []*filebeat.Section, env *environment) []Processor {
	var out []Processor
	for _, s := range of {
		if p := readProcessor(s, env); p != nil {
			out = append(out, p)
		}
	}
	return out
}

func readProcessor(s *filebeat.Section, env *environment) Processor {
	defer s.Done()
	if s.Has("if") {
		c := readCondition(s.Sub("if"))
		then := readProcessors(s.Sections("then"), env)
		otherwise := readProcessors(s.Sections("else"), env)
		if c == nil {
			return nil
		}
		return func(e *Event) bool {
			if c(e) {
				return process(e, then)
			}
			return process(e, otherwise)
		}
	}
	if len(s.Node.Members) != 1 {
		for _, m := range s.Node.Members {
			s.Know(m.Name)
		}
		s.Say(filebeat.Wrong, "", "expected one processor in each item of the list", "settings of a processor are two columns further right than its name")
		return nil
	}
	name := s.Node.Members[0].Name
	table := processorTable()
	build, ok := table[name]
	if !ok {
		hint, skipped := left[name]
		switch {
		case skipped:
			s.Know(name)
			s.Say(filebeat.Different, name, "naru has no such processor, and goes without it", hint)
		case slices.Contains(elsewhere, name):
			s.Know(name)
			s.Say(filebeat.Unsupported, name, "naru has no such processor", "do it where the events go (an ingest pipeline, or naru logstash), and remove it here")
		default:
			p := filebeat.Problem{Place: s.Node.Members[0].Place, Level: filebeat.Wrong, Setting: s.Path + "." + name, Text: "there is no such processor"}
			if near := filebeat.Nearest(name, sortedKeys(table)); near != "" {
				p.Hint = "do you mean " + near + "?"
			}
			s.Know(name)
			s.Doc.Say(p)
		}
		return nil
	}
	under := s.Sub(name)
	defer under.Done()
	var when Condition
	if under.Has("when") {
		if when = readCondition(under.Sub("when")); when == nil {
			return nil
		}
	}
	p := build(under, env)
	if p == nil || when == nil {
		return p
	}
	return func(e *Event) bool { return !when(e) || p(e) }
}

func process(e *Event, all []Processor) bool {
	for _, p := range all {
		if !p(e) {
			return false
		}
	}
	return true
}
