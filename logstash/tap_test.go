package logstash

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
)

const tapped = `
input { stdin { id => "in" codec => line { } add_field => { "[@metadata][secret]" => "s" } } }
filter {
  if [message] == "b" { drop { id => "gone" } }
  mutate { id => "change" add_field => { "x" => "y" } remove_field => [ "host", "event", "@timestamp", "@version" ] }
  clone { id => "twice" clones => [ "copy" ] }
}
output { stdout { id => "out" codec => line { format => "%{message} %{x}" } } }
`

// samplesOf runs the pipeline over lines, and gives what a tap saw.
func samplesOf(t *testing.T, at string, lines ...string) []Sample {
	t.Helper()
	p, problems := compileText(t, tapped)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	tap, err := p.Tap(at, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	if _, err := p.Run(t.Context(), RunOptions{Stdin: strings.NewReader(strings.Join(lines, "\n")), Stdout: io.Discard, Data: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	var out []Sample
	for len(tap.Samples) > 0 {
		out = append(out, <-tap.Samples)
	}
	return out
}

// fields gives an event without what is of the moment.
func fields(t *testing.T, raw json.RawMessage) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	for _, of := range []string{"@timestamp", "@version", "host", "event"} {
		delete(m, of)
	}
	return m
}

func TestATapSeesAnEventBeforeAndAfterAFilter(t *testing.T) {
	meta := map[string]any{"secret": "s"}
	got := samplesOf(t, "change", "a", "b", "c")
	if len(got) != 2 {
		t.Fatalf("%d samples", len(got))
	}
	s := got[0]
	if s.Kind != "filter" || s.Plugin != "change" || s.Name != "mutate" || s.Dropped || s.Took <= 0 || s.Time.IsZero() {
		t.Errorf("the sample is %+v", s)
	}
	if !strings.Contains(string(s.Before), "@timestamp") || strings.Contains(string(s.After), "@timestamp") {
		t.Errorf("before %s, after %s", s.Before, s.After)
	}
	if diff := cmp.Diff(map[string]any{"message": "a", "@metadata": meta}, fields(t, s.Before)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"message": "a", "x": "y", "@metadata": meta}, fields(t, s.After)); diff != "" {
		t.Error(diff)
	}
}

func TestATapSeesWhatIsDroppedAndWhatIsMadeOfAnEvent(t *testing.T) {
	got := samplesOf(t, "gone", "a", "b")
	if len(got) != 1 || !got[0].Dropped || got[0].After != nil || fields(t, got[0].Before)["message"] != "b" {
		t.Errorf("at drop: %+v", got)
	}
	got = samplesOf(t, "clone", "a") // by its name
	if len(got) != 1 || len(got[0].Emitted) != 1 || fields(t, got[0].Emitted[0])["message"] != "a" {
		t.Errorf("at clone: %+v", got)
	}
}

func TestATapSeesMessagesOfAnInputAndRecordsOfAnOutput(t *testing.T) {
	got := samplesOf(t, "in", "a", "b")
	if len(got) != 2 || got[1].Message == nil || *got[1].Message != "b" || fields(t, got[1].After)["message"] != "b" || got[1].Before != nil {
		t.Errorf("at the input: %+v", got)
	}
	got = samplesOf(t, "out", "a")
	if len(got) != 2 || got[0].Record == nil || got[0].Record.Body != "a y\n" || fields(t, got[0].Before)["x"] != "y" {
		t.Errorf("at the output: %+v", got)
	}
}

func TestATapIsRefusedWhereThereIsNoPlugin(t *testing.T) {
	p, _ := compileText(t, `input { stdin { } } filter { mutate { id => "one" } mutate { id => "two" } } output { stdout { } }`)
	for at, want := range map[string]string{"ome": `did you mean "one"`, "mutate": "several mutate", "": "there are stdin:1:9, one, two, stdout:1:"} {
		if _, err := p.Tap(at, 0); !errors.Is(err, ErrNoPlugin) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", at, err)
		}
	}
	if p.taps.look() != nil {
		t.Error("somebody taps")
	}
}

// TestATapThatNobodyReadsHoldsNothingUp runs a pipeline with several workers while taps come and go, of which one is never
// read.
func TestATapThatNobodyReadsHoldsNothingUp(t *testing.T) {
	const events = 50_000
	p, problems := compileText(t, fmt.Sprintf(`
		input { generator { id => "in" count => %d message => "a" } }
		filter { mutate { id => "change" add_field => { "x" => "y" } } }
		output { null { id => "out" } }`, events))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	deaf, err := p.Tap("change", tapMost)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	over := make(chan struct{})
	var others sync.WaitGroup
	seen := make([]int, 3)
	for i, at := range []string{"in", "change", "out"} {
		others.Go(func() {
			for {
				tap, err := p.Tap(at, tapMost)
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case <-tap.Samples:
					seen[i]++
				case <-over:
					tap.Close()
					return
				}
				tap.Close()
			}
		})
	}
	tally, err := p.Run(t.Context(), RunOptions{Workers: 4, Data: t.TempDir()})
	close(over)
	others.Wait()
	if err != nil || tally.Messages != events {
		t.Errorf("the tally is %+v: %v", tally, err)
	}
	if len(deaf.Samples) == 0 || len(deaf.Samples) > tapWaiting {
		t.Errorf("%d samples wait", len(deaf.Samples))
	}
	if seen[0] == 0 || seen[1] == 0 || seen[2] == 0 {
		t.Errorf("taps saw %v", seen)
	}
}

func TestATapTakesNoMoreThanItsRate(t *testing.T) {
	p, _ := compileText(t, tapped)
	tap, err := p.Tap("change", 20)
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	for tap.allowed.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	began, n := time.Now(), 0
	for time.Since(began) < 250*time.Millisecond {
		if tap.wants("filter", 1) {
			n++
		}
	}
	if n < 2 || n > 8 {
		t.Errorf("%d samples in a quarter of a second", n)
	}
}

func TestLargeEventsAndTextsOfSamplesAreBounded(t *testing.T) {
	if got := sampledText([]byte(strings.Repeat("ä", tapTextBytes))); len(got) > tapTextBytes+4 || !strings.HasSuffix(got, "ä…") {
		t.Errorf("%d bytes, … %q", len(got), got[len(got)-8:])
	}
	if got := sampledText([]byte("\xff a")); got != "\ufffd a" {
		t.Errorf("%q", got)
	}
	p, _ := compileText(t, tapped)
	w := p.NewWorker()
	e := w.New()
	if err := e.SetField("message", event.StringValue(strings.Repeat("x", tapEventBytes))); err != nil {
		t.Fatal(err)
	}
	if got := string(sampled(e)); !strings.Contains(got, "too large") || !json.Valid([]byte(got)) {
		t.Errorf("%.100s", got)
	}
}

// balance says what does not add up in figures of a run that is over; "" if all does.
func balance(f *Figures) string {
	if f.In+f.Made != f.Dropped+f.Lost+f.Filtered {
		return fmt.Sprintf("in %d + made %d, dropped %d + lost %d + filtered %d", f.In, f.Made, f.Dropped, f.Lost, f.Filtered)
	}
	events := int64(0)
	for _, in := range f.Inputs {
		events += in.Events
	}
	if events != f.In {
		return fmt.Sprintf("the inputs made %d events, not %d", events, f.In)
	}
	for _, x := range f.Filters {
		if x.In+x.Made != x.Out+x.Dropped {
			return fmt.Sprintf("%s: in %d + made %d, out %d + dropped %d", x.ID, x.In, x.Made, x.Out, x.Dropped)
		}
	}
	return ""
}

// TestFiguresAddUpAtAnyTime looks at figures while workers run: sums are right within each, nothing gets less.
func TestFiguresAddUpAtAnyTime(t *testing.T) {
	// The first input has so many batches that some of its own are among those that are measured.
	p, problems := compileText(t, `
		input { generator { count => 400000 message => "a" } generator { count => 30000 lines => ["b", "c"] } }
		filter {
		  if [message] == "b" { drop { } }
		  clone { clones => ["z"] }
		  if [message] == "c" and [nothing] > 1 { mutate { } }
		}
		output {
		  if [message] == "a" { null { } }
		  stdout { codec => line { format => "%{message}" } }
		}`)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var now Running
	begun, over := make(chan struct{}), make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		<-begun
		var last Figures
		for looks := 0; ; looks++ {
			f := p.Figures(now.Stats)
			if wrong := balance(&f); wrong != "" {
				t.Error(wrong)
				return
			}
			if f.Out > f.Filtered || f.Out < last.Out || f.Filtered < last.Filtered {
				t.Errorf("out %d of %d after %d of %d", f.Out, f.Filtered, last.Out, last.Filtered)
				return
			}
			last = f
			select {
			case <-over:
				return
			default:
			}
		}
	})
	_, err := p.Run(t.Context(), RunOptions{Workers: 3, Data: t.TempDir(), Stdout: io.Discard, Running: func(r Running) { now = r; close(begun) }})
	close(over)
	watching.Wait()
	if err != nil {
		t.Fatal(err)
	}
	f := p.Figures(now.Stats)
	if wrong := balance(&f); wrong != "" {
		t.Error(wrong)
	}
	if f.In != 400_000+60_000 || f.Dropped != 30000 || f.Lost == 0 || f.Out != f.Filtered || f.Busy <= 0 {
		t.Errorf("the figures are %+v", f)
	}
	for _, out := range f.Outputs {
		if out.Name == "null" && out.Events == f.Filtered && out.Delivered == 0 && out.Waiting == 0 {
			continue // it writes nothing
		}
		if out.Events != out.Delivered+out.Dead || out.Waiting != 0 || out.Writes == 0 || out.Codec <= 0 {
			t.Errorf("%+v", out)
		}
	}
	if f.Inputs[0].Events != 400_000 || f.Inputs[0].Messages != 400_000 || f.Inputs[0].Codec <= 0 {
		t.Errorf("%+v", f.Inputs[0])
	}
}

// TestAnOutputThatGivesNothingIsNotWaitedFor is of events of which an output writes nothing.
func TestAnOutputThatGivesNothingIsNotWaitedFor(t *testing.T) {
	p, _ := compileText(t, `input { generator { count => 10 } } output { null { } }`)
	p.counts.all.filtered, p.counts.all.outputs[0] = 10, endTally{in: 10, made: 4, failed: 1}
	f := p.Figures(nil)
	if f.Out != 6 || f.Outputs[0].Waiting != 4 || f.Outputs[0].Dead != 1 {
		t.Errorf("the figures are %+v", f)
	}
}
