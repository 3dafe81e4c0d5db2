package logstash

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/narudata/naru/logstash/filter"
)

// A Suite is a file of test cases for one pipeline. There are two forms: naru's own, and that of logstash-filter-verifier.
//
// naru's own, in YAML or JSON:
//
//	config: apache.conf       # a path, or a list of paths, from the file's folder on; without it, the *.conf files beside
//	filter: |                 # or the text of a filter section, without the section's braces
//	  mutate { … }
//	input: beats              # the input of the configuration that lines come from, by its id or name: its codec, type, tags
//	codec: json_lines         # or a codec; without both, those of the first input, or plain
//	ecs: disabled             # pipeline.ecs_compatibility
//	now: 2024-02-29T12:00:00Z # what the time is
//	env: {REGION: eu}         # variables for ${…}
//	fields: {type: apache}    # set in every event before the filters
//	ignore: ["[host]"]        # fields that are not compared
//	partial: true             # only what expected events have is compared
//	cases:
//	  - name: an error is an alarm
//	    lines: ["…"]          # lines of input, or
//	    events: [{…}]         # events; keys may be references, as [log][level]
//	    fields: {}            # more, for this case
//	    ignore: []
//	    partial: false
//	    expect: [{…}]         # what comes out, in its order; [] for nothing
//
// @version, @timestamp, @metadata and @outputs, the list of the ids of the outputs that get the event, are compared where the
// expected event has them; so is [event][original], which codecs set with the schema, in both forms.
//
// Of logstash-filter-verifier, both modes are read: a file with input_plugin is one for the daemon mode, in which an event
// counts once for each output that gets it. Source: its README.
type Suite struct {
	Config  []string
	Filter  string
	Input   string
	Codec   string
	ECS     filter.ECS
	Now     time.Time
	Env     map[string]string
	Fields  json.RawMessage
	Ignore  []string
	Partial bool
	Cases   []Case

	verifier bool // the form of logstash-filter-verifier
	metadata bool // of it: @metadata is compared
	passed   bool // of it: __lfv_out_passed names the output
}

// A Case is input, and the events that are expected to come of it.
type Case struct {
	Name    string
	Lines   []string
	Events  []json.RawMessage
	Fields  json.RawMessage
	Ignore  []string
	Partial bool
	Expect  []json.RawMessage
}

// ErrNoCases says that a file has no test cases in any form: it is something else.
var ErrNoCases = errors.New("there are no test cases: expected the key cases, or testcases as in logstash-filter-verifier")

// suiteFile is naru's form.
type suiteFile struct {
	Config  stringOrList      `json:"config"`
	Filter  string            `json:"filter"`
	Input   string            `json:"input"`
	Codec   string            `json:"codec"`
	ECS     string            `json:"ecs"`
	Now     *time.Time        `json:"now"`
	Env     map[string]string `json:"env"`
	Fields  json.RawMessage   `json:"fields"`
	Ignore  []string          `json:"ignore"`
	Partial bool              `json:"partial"`
	Cases   []caseFile        `json:"cases"`
}

type caseFile struct {
	Name    string             `json:"name"`
	Lines   []string           `json:"lines"`
	Events  []json.RawMessage  `json:"events"`
	Fields  json.RawMessage    `json:"fields"`
	Ignore  []string           `json:"ignore"`
	Partial *bool              `json:"partial"`
	Expect  *[]json.RawMessage `json:"expect"`
}

// stringOrList is a list, which may be written as its only element.
type stringOrList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *stringOrList) UnmarshalJSON(in []byte) error {
	var one string
	if err := json.Unmarshal(in, &one); err == nil {
		*l = stringOrList{one}
		return nil
	}
	return json.Unmarshal(in, (*[]string)(l))
}

// verifierFile is the form of logstash-filter-verifier.
type verifierFile struct {
	InputPlugin    string            `json:"input_plugin"`
	Codec          string            `json:"codec"`
	Ignore         []string          `json:"ignore"`
	Fields         json.RawMessage   `json:"fields"`
	ExportMetadata bool              `json:"export_metadata"`
	ExportOutputs  bool              `json:"export_outputs"`
	Input          []json.RawMessage `json:"input"`
	Expected       []json.RawMessage `json:"expected"`
	Testcases      []struct {
		Input       []string          `json:"input"`
		Fields      json.RawMessage   `json:"fields"`
		Expected    []json.RawMessage `json:"expected"`
		Description string            `json:"description"`
	} `json:"testcases"`
}

// ReadSuite reads a file of test cases in JSON, which YAML is made into before.
func ReadSuite(in []byte) (*Suite, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(in, &keys); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return nil, ErrNoCases // a list, or a text
		}
		return nil, err
	}
	switch {
	case keys["cases"] != nil && keys["testcases"] != nil:
		return nil, errors.New("there are cases and testcases: a file has one form")
	case keys["cases"] != nil:
		return readOwnSuite(in)
	case keys["testcases"] != nil:
		return readVerifierSuite(in)
	case keys["input"] != nil && keys["expected"] != nil:
		return nil, errors.New("input and expected stand on the top level, which logstash-filter-verifier no longer takes: put them into testcases: [{input, expected}]")
	}
	return nil, ErrNoCases
}

func readOwnSuite(in []byte) (*Suite, error) {
	var f suiteFile
	d := json.NewDecoder(bytes.NewReader(in))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	s := &Suite{
		Config: f.Config, Filter: f.Filter, Input: f.Input, Codec: f.Codec, ECS: filter.ECS(f.ECS), Env: f.Env, Fields: f.Fields,
		Ignore: f.Ignore, Partial: f.Partial,
	}
	if f.Now != nil {
		s.Now = *f.Now
	}
	if s.Filter != "" && len(s.Config) > 0 {
		return nil, errors.New("config and filter are both given: a pipeline has one configuration")
	}
	if s.Input != "" && s.Codec != "" {
		return nil, errors.New("input and codec are both given: an input has its codec")
	}
	if s.ECS != "" && !slices.Contains([]filter.ECS{filter.ECSDisabled, filter.ECSv1, filter.ECSv8}, s.ECS) {
		return nil, fmt.Errorf("ecs is disabled, v1 or v8, not %q", s.ECS)
	}
	for i, c := range f.Cases {
		name := c.Name
		if name == "" {
			name = fmt.Sprintf("case %d", i+1)
		}
		if c.Expect == nil {
			return nil, fmt.Errorf("%s: expect is missing: it lists the events that come out, [] for none", name)
		}
		if len(c.Lines) > 0 && len(c.Events) > 0 {
			return nil, fmt.Errorf("%s: lines and events are both given", name)
		}
		if len(c.Lines)+len(c.Events) == 0 {
			return nil, fmt.Errorf("%s: there is no input: expected lines or events", name)
		}
		out := Case{Name: name, Lines: c.Lines, Events: c.Events, Fields: c.Fields, Partial: s.Partial, Expect: *c.Expect}
		out.Ignore = append(slices.Clone(s.Ignore), c.Ignore...)
		if c.Partial != nil {
			out.Partial = *c.Partial
		}
		s.Cases = append(s.Cases, out)
	}
	return s, nil
}

func readVerifierSuite(in []byte) (*Suite, error) {
	var f verifierFile
	if err := json.Unmarshal(in, &f); err != nil {
		return nil, err
	}
	s := &Suite{
		Input: f.InputPlugin, Codec: f.Codec, Fields: f.Fields, Ignore: append(f.Ignore, "@version"),
		verifier: true, metadata: f.ExportMetadata, passed: f.ExportOutputs,
	}
	switch {
	case s.Input != "":
		s.Codec = "" // that of the input counts
	case s.Codec == "":
		s.Codec = "line"
	}
	for i, c := range f.Testcases {
		name := c.Description
		if name == "" {
			name = fmt.Sprintf("case %d", i+1)
		}
		out := Case{Name: name, Lines: c.Input, Fields: c.Fields, Ignore: s.Ignore, Expect: c.Expected}
		if len(c.Input) == 0 {
			out.Events = []json.RawMessage{[]byte("{}")}
		}
		s.Cases = append(s.Cases, out)
	}
	return s, nil
}
