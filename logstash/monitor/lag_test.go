package monitor

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash"
)

func TestTheLagOfAnInputHasItsGroupAndTopicAndItsAge(t *testing.T) {
	p := Pipeline{ID: "main", Run: "r", State: Running, Of: compiled(t, shown)}
	o := logstash.RunOptions{Stdin: strings.NewReader(""), Stdout: io.Discard, Data: t.TempDir(), Running: func(now logstash.Running) { p.Now = &now }}
	if _, err := p.Of.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	lags := []logstash.Lag{{Group: "g", Topic: "a", Records: 7, Seconds: new(12.5)}, {Group: "g", Topic: "b", Records: 3}, {Group: "g", Topic: "c", Seconds: new(0.0)}}
	p.Now.Lags = func() map[string][]logstash.Lag { return map[string][]logstash.Lag{"in": lags} }
	m := New(Options{List: func() Node { return Node{Pipelines: []Pipeline{p}} }, Now: time.Now, Root: machineFiles})
	var got []string
	for line := range strings.Lines(get(t, m, "/metrics").Body.String()) {
		if strings.HasPrefix(line, "naru_input_lag_") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		`naru_input_lag_records{group="g",name="stdin",pipeline="main",plugin="in",topic="a"} 7`,
		`naru_input_lag_records{group="g",name="stdin",pipeline="main",plugin="in",topic="b"} 3`,
		`naru_input_lag_records{group="g",name="stdin",pipeline="main",plugin="in",topic="c"} 0`,
		`naru_input_lag_seconds{group="g",name="stdin",pipeline="main",plugin="in",topic="a"} 12.5`,
		`naru_input_lag_seconds{group="g",name="stdin",pipeline="main",plugin="in",topic="c"} 0`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var r Report
	if err := json.Unmarshal(get(t, m, "/naru/figures").Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if got := r.Pipelines[0]; got.Lags["in"] != 10 {
		t.Errorf("lags: %v", got.Lags)
	} else if diff := cmp.Diff(lags, got.Topics["in"]); diff != "" {
		t.Error(diff)
	}
}
