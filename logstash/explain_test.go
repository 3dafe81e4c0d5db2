package logstash

import (
	"slices"
	"strings"
	"testing"

	"github.com/narudata/naru/logstash/event"
)

func explained(t *testing.T, config string, events ...string) Explanation {
	t.Helper()
	x, err := isolated(t, config).Explainer("")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if err := x.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	return x.End()
}

func TestAnExplanationFollowsEventsThatFiltersMake(t *testing.T) {
	x := explained(t, `filter {
		split { id => "cut" }
		if [message] == "b" { drop { } }
		mutate { add_tag => ["seen"] }
	} output { if [message] == "a" { stdout { id => "first" } } null { } }`, `{"message":"a\nb\nc"}`)
	var got []string
	for _, e := range x.Events {
		got = append(got, strings.Join([]string{e.From, e.Dropped, strings.Join(e.Outputs, ",")}, "|"))
	}
	want := []string{"stdin|a.conf:2:3|", "cut||first,null:5:62", "cut|a.conf:3:25|", "cut||null:5:62"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	first := x.Steps[0]
	if len(first.Makes) != 3 || !first.Drops {
		t.Errorf("the first step makes %v, drops %t", first.Makes, first.Drops)
	}
}

func TestAnExplanationComesOutAsTheWorkersDo(t *testing.T) {
	const config = `filter { split { } if [message] == "b" { mutate { add_field => { "x" => "%{message}" } } } }`
	x := explained(t, config, `{"message":"a\nb","@timestamp":"2024-01-02T03:04:05Z"}`)
	var want []string
	p := isolated(t, config)
	w := p.Pipeline.NewWorker()
	e := w.New()
	if err := e.Fields().ParseJSON([]byte(`{"message":"a\nb","@timestamp":"2024-01-02T03:04:05Z"}`), event.JSONOptions{}); err != nil {
		t.Fatal(err)
	}
	e.Complete(w.x.Now())
	w.Run(e, func(e *event.Event) { want = append(want, string(e.AppendJSON(nil))) })
	var got []string
	for _, e := range x.Events {
		if e.After != nil {
			got = append(got, string(e.After))
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("explained: %s\nrun: %s", got, want)
	}
}

func TestChangesAreThoseOfFields(t *testing.T) {
	x := explained(t, `filter { mutate {
		rename => { "a" => "[m][b]" } convert => { "n" => "integer" } remove_field => ["gone", "[m][x]"] add_field => { "[@metadata][k]" => "v" }
		add_tag => ["t"] remove_tag => ["old"] } }`, `{"a":1,"n":"1","gone":{"y":2},"m":{"x":1},"tags":["old","kept"]}`)
	var got []string
	for _, c := range x.Steps[0].Changes {
		got = append(got, c.Field+" "+string(c.Before)+" "+string(c.After))
	}
	want := `[a] 1 |[n] "1" 1|[gone][y] 2 |[m][x] 1 |[m][b]  1|[@metadata][k]  "v"`
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if tags := x.Steps[0].Tags; tags == nil || strings.Join(tags.Added, ",") != "t" || strings.Join(tags.Removed, ",") != "old" {
		t.Errorf("tags: %+v", tags)
	}
}

func TestWhatIsNotBuiltInOnlyMattersForFilters(t *testing.T) {
	x, err := isolated(t, `input { s3 { bucket => "b" type => "log" tags => ["in"] } redis { id => "queue" } } output { kafka { topic_id => "t" } }`).Explainer("queue")
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Line(`{"a":1}`); err != nil { // redis has the codec json
		t.Fatal(err)
	}
	if out := x.End(); out.Events[0].From != "queue" || !strings.Contains(string(out.Events[0].After), `"a":1`) || out.Events[0].Outputs[0] != "kafka:1:94" {
		t.Errorf("%+v %s", out.Events[0], out.Events[0].After)
	}
}
