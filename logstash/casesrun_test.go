package logstash

import (
	"errors"
	"strings"
	"testing"

	"github.com/narudata/naru/logstash/syntax"
)

func suite(t *testing.T, text string) *Suite {
	t.Helper()
	s, err := ReadSuite([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// differences runs the only case of a suite, and gives what differs on a line each.
func differences(t *testing.T, config, text string) string {
	t.Helper()
	results, problems, err := suite(t, text).Run([]syntax.File{{Name: "a.conf", Text: []byte(config)}}, syntax.Options{}, Options{ECS: "disabled"})
	if err := errors.Join(err, problems.Err()); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range results[0].Differences {
		out = append(out, strings.TrimSpace(d.Field+" "+string(d.Expected)+"/"+string(d.Found)))
	}
	if results[0].Passed != (len(out) == 0) {
		t.Errorf("passed: %t, with %d differences", results[0].Passed, len(out))
	}
	return strings.Join(out, "; ")
}

func TestCasesAreCompared(t *testing.T) {
	for name, c := range map[string]struct{ config, suite, want string }{
		"numbers are compared as numbers": {"", `{"cases":[{"events":[{"a":1,"b":2.0,"c":1e2}],"expect":[{"a":1.0,"b":2,"c":100}]}]}`, ""},
		"large integers exactly":          {"", `{"cases":[{"events":[{"a":9007199254740993}],"expect":[{"a":9007199254740992}]}]}`, "[a] 9007199254740992/9007199254740993"},
		"text is no number":               {"", `{"cases":[{"events":[{"a":1}],"expect":[{"a":"1"}]}]}`, `[a] "1"/1`},
		"inside of maps":                  {"", `{"cases":[{"events":[{"m":{"a":1,"b":2}}],"expect":[{"m":{"a":2,"c":3}}]}]}`, "[m][a] 2/1; [m][b] /2; [m][c] 3/"},
		"a part of an event":              {"", `{"partial":true,"cases":[{"events":[{"m":{"a":1,"b":2},"x":1}],"expect":[{"m":{"a":1}}]}]}`, ""},
		"ignored fields":                  {"", `{"ignore":["[m][a]"],"cases":[{"ignore":["x"],"events":[{"m":{"a":1},"x":1,"y":2}],"expect":[{"y":2}]}]}`, ""},
		"keys that are references":        {"", `{"cases":[{"events":[{"[m][a]":1}],"expect":[{"[m][a]":1}]}]}`, ""},
		"fields are set before filters": {`filter { if [type] == "t" { mutate { add_tag => ["ok"] } } }`,
			`{"fields":{"type":"s"},"cases":[{"fields":{"type":"t"},"events":[{}],"expect":[{"type":"t","tags":["ok"]}]}]}`, ""},
		"too few events":                         {"filter { drop { } }", `{"cases":[{"events":[{}],"expect":[{"a":1}]}]}`, `{"a":1}/`},
		"too many events":                        {"", `{"cases":[{"events":[{"a":1}],"expect":[]}]}`, `/{"a":1}`},
		"one too few, the others as expected":    {`filter { if [drop] { drop { } } }`, `{"cases":[{"events":[{"a":1},{"drop":1},{"a":2}],"expect":[{"a":1},{"drop":1},{"a":2}]}]}`, `{"drop":1}/`},
		"one too many, and another that differs": {`filter { split { field => "s" } }`, `{"cases":[{"events":[{"s":["x","y"]},{"s":["z"]}],"expect":[{"s":"x"},{"s":"z"}]}]}`, `/{"s":"y"}`},
		"metadata if asked":                      {`filter { mutate { add_field => { "[@metadata][x]" => "y" } } }`, `{"cases":[{"events":[{}],"expect":[{"@metadata":{"x":"z"}}]}]}`, `[@metadata][x] "z"/"y"`},
		"a time of the event":                    {"", `{"cases":[{"events":[{"@timestamp":"2024-01-02T03:04:05Z"}],"expect":[{"@timestamp":"2024-01-02T03:04:05.000Z"}]}]}`, ""},
		"now":                                    {"", `{"now":"2024-01-02T03:04:05Z","cases":[{"events":[{}],"expect":[{"@timestamp":"2024-01-02T03:04:05Z"}]}]}`, ""},
		"a text with a newline is one message":   {`input { stdin { } }`, `{"cases":[{"lines":["a\nb"],"expect":[{"message":"a\nb"}]}]}`, ""},
		"which a codec of lines cuts":            {`input { stdin { codec => line } }`, `{"cases":[{"lines":["a\nb\n"],"expect":[{"message":"a"},{"message":"b"}]}]}`, ""},
		"the verifier in the order of outputs": {`input { stdin { id => "i" } } output { stdout { id => "x" } stdout { id => "y" } }`,
			`{"input_plugin":"i","ignore":["@timestamp"],"export_outputs":true,"testcases":[{"input":["a"],"expected":[{"message":"a","__lfv_out_passed":"y"},{"message":"a","__lfv_out_passed":"x"}]}]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := differences(t, c.config, c.suite)
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTheVerifiersCasesCompareTimestampsUnlessTheyAreIgnored(t *testing.T) {
	if got := differences(t, "", `{"testcases":[{"input":["a"],"expected":[{"message":"a"}]}]}`); !strings.HasPrefix(got, `[@timestamp] /"`) {
		t.Error(got)
	}
	if got := differences(t, "", `{"ignore":["@timestamp"],"testcases":[{"input":["a"],"expected":[{"message":"a"}]}]}`); got != "" {
		t.Error(got)
	}
}

func TestWrongSuitesSayWhatIsExpected(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1}`:                       "there are no test cases",
		`[1]`:                           "there are no test cases",
		`{"cases":[{"lines":["a"]}]}`:   "expect is missing",
		`{"cases":[{"expect":[]}]}`:     "there is no input",
		`{"cases":[],"testcases":[]}`:   "a file has one form",
		`{"cases":[],"ecs":"v9"}`:       "ecs is disabled, v1 or v8",
		`{"cases":[{"line":["a"]}]}`:    "unknown field",
		`{"input":["a"],"expected":[]}`: "put them into testcases",
		`{"cases":[],"filter":"drop {}","config":"a.conf"}`:                "both given",
		`{"cases":[{"name":"x","lines":["a"],"events":[{}],"expect":[]}]}`: "x: lines and events are both given",
	} {
		if _, err := ReadSuite([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzSuites(f *testing.F) {
	f.Add(`{"fields":{"[a][b]":1},"ignore":["[a]"],"cases":[{"lines":["a"],"expect":[{"[c][d]":1}]}]}`)
	f.Add(`{"testcases":[{"input":["a"],"expected":[{}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadSuite([]byte(text))
		if err != nil {
			return
		}
		s.Config, s.Codec, s.Filter = nil, "", ""
		results, _, err := s.Run(nil, syntax.Options{}, Options{})
		if err == nil && len(results) != len(s.Cases) {
			t.Errorf("%d results of %d cases", len(results), len(s.Cases))
		}
	})
}
