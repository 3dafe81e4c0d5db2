package logstash

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/filter"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// twin is a filter that emits copies of an event; their name gets a letter, and a number.
type twin struct {
	option.Common
	Letter  string `ls:"letter,required"`
	Copies  int64  `ls:"copies" default:"1"`
	Cancels bool   `ls:"cancels"`
	flushed int
}

func (f *twin) Setup(*filter.Setup) (filter.Filter, error) {
	if f.Letter == "!" {
		return nil, option.Errorf("letter", "expected a letter, found %q", f.Letter)
	}
	return f, nil
}

func (f *twin) Filter(x *filter.Context, e *event.Event) {
	for i := range f.Copies {
		c := x.New()
		e.CopyTo(c)
		if err := c.SetField("name", event.StringValue(fmt.Sprintf("%s%s%d", e.GetField("name").Str(), f.Letter, i+1))); err != nil {
			panic(err)
		}
		x.Emit(c)
	}
	if f.Cancels {
		e.Cancel()
	}
}

// Flush emits an event that is named after the letter.
func (f *twin) Flush(x *filter.Context, final bool) {
	f.flushed++
	if !final {
		return
	}
	e := x.New()
	if err := e.SetField("name", event.StringValue(strings.ToUpper(f.Letter))); err != nil {
		panic(err)
	}
	x.Emit(e)
}

// Alone says that only one worker may use it.
func (*twin) Alone() bool { return true }

func twins(t *testing.T, text string) (*Pipeline, Problems) {
	t.Helper()
	table := filter.Table()
	table["twin"] = func() filter.Plugin { return new(twin) }
	return Read([]syntax.File{{Name: "a.conf", Text: []byte(text)}}, syntax.Options{}, Options{Log: slog.New(slog.DiscardHandler), Filters: table})
}

func names(w *Worker, run func(out func(*event.Event))) []string {
	var out []string
	run(func(e *event.Event) { out = append(out, e.GetField("name").Str()) })
	w.EndBatch()
	return out
}

func TestEventsThatFiltersEmitComeBehindTheOneTheyAreMadeOf(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{`twin { letter => "a" copies => 2 } twin { letter => "b" }`, []string{"e", "eb1", "ea1", "ea1b1", "ea2", "ea2b1"}},
		{`twin { letter => "a" copies => 2 cancels => true } twin { letter => "b" }`, []string{"ea1", "ea1b1", "ea2", "ea2b1"}},
		{`twin { letter => "a" } if [name] == "ea1" { drop { } }`, []string{"e"}},
		{`if [name] == "e" { twin { letter => "a" } } else { drop { } } twin { letter => "b" }`, []string{"e", "eb1", "ea1", "ea1b1"}},
		{`drop { } twin { letter => "a" }`, nil},
	} {
		p, problems := twins(t, "filter { "+c.text+" }")
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		w := p.NewWorker()
		for range 2 { // the second time with events of the pool
			got := names(w, func(out func(*event.Event)) { w.Run(eventOf(t, `{"name":"e"}`), out) })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s: %s", c.text, diff)
			}
		}
	}
}

func TestWhatFiltersFlushGoesOnBehindThem(t *testing.T) {
	p, problems := twins(t, `filter { twin { letter => "a" } if [name] == "A" { mutate { replace => { "name" => "first" } } } twin { letter => "b" copies => 1 } }`)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	w := p.NewWorker()
	got := names(w, func(out func(*event.Event)) { w.Flush(true, true, out) })
	if diff := cmp.Diff([]string{"first", "firstb1", "B"}, got); diff != "" {
		t.Error(diff)
	}
	got = names(w, func(out func(*event.Event)) { w.Flush(true, false, out) })
	if len(got) > 0 {
		t.Errorf("another worker flushed what all share: %q", got)
	}
}

func TestAFilterThatSeesAllEventsHasOneWorker(t *testing.T) {
	p, _ := twins(t, `filter { twin { letter => "a" } }`)
	if n := p.MaxWorkers(); n != 1 {
		t.Errorf("%d workers", n)
	}
	p, _ = twins(t, `filter { drop { } }`)
	if n := p.MaxWorkers(); n != 0 {
		t.Errorf("%d workers", n)
	}
}

func TestACodecThatSeesTheFirstLineHasOneWorker(t *testing.T) {
	for text, want := range map[string]int{
		`input { stdin { codec => csv { autodetect_column_names => true } } }`:        1,
		`output { stdout { codec => csv { include_headers => true } } }`:              1,
		`input { stdin { codec => csv { } } } output { stdout { codec => csv { } } }`: 0,
	} {
		p, problems := twins(t, text)
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		if n := p.MaxWorkers(); n != want {
			t.Errorf("%s: %d workers, not %d", text, n, want)
		}
	}
}

func TestProblemsAreAllNamedWithTheirPlace(t *testing.T) {
	_, problems := twins(t, `input { redis { } stdin { codec => cef { } } }
filter {
  twin { letter => "!" }
  twin { }
  mutate { id => "one" }
  mutate { id => "one" }
  if [a] == [] { grog { } }
  elapsed { }
}
output { if [a] { stdout { codec => jsonlines } } redis { } stdout { codecs => json } }`)
	var got []string
	for _, e := range problems.Errors {
		got = append(got, e.Error())
	}
	for _, want := range []string{
		"a.conf:1:9: the input redis is known and not built into naru yet",
		`a.conf:3:20: letter of twin filter: expected a letter, found "!"`,
		"a.conf:4:3: twin filter needs the option letter",
		`a.conf:6:3: the id "one" is that of the plugin at a.conf:5:3`,
		"a.conf:7:13: == cannot compare with an empty list",
		`a.conf:7:18: there is no filter "grog": did you mean "grok"?`,
		`a.conf:10:37: there is no codec "jsonlines": did you mean "json_lines"?`,
		"a.conf:10:51: the output redis is known",
		`a.conf:10:70: stdout output has no option "codecs": did you mean "codec"?`,
	} {
		found := false
		for _, g := range got {
			found = found || strings.HasPrefix(g, want)
		}
		if !found {
			t.Errorf("no problem is %q:\n%s", want, strings.Join(got, "\n"))
		}
	}
	if problems.OnlyUnbuilt() || len(problems.Unbuilt) < 2 {
		t.Errorf("not built in: %q", problems.Unbuilt)
	}
}

func TestAFileWithSyntaxErrorsIsCheckedAllTheSame(t *testing.T) {
	_, problems := compileText(t, "filter { mutat { } }\nfilter { mutate { add_tag => } }")
	if len(problems.Errors) != 2 || problems.Errors[0].Pos.Line != 1 || problems.Errors[1].Pos.Line != 2 {
		t.Errorf("got %v", problems.Errors)
	}
}
