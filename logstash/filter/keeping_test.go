package filter

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
)

// flushed gives what the filters of a chain make of their own.
func (c *chain) flushed(final bool) []*event.Event {
	c.out = nil
	c.x.Emit = func(e *event.Event) { c.out = append(c.out, e) }
	for _, f := range c.filters {
		if f, ok := f.(Flusher); ok {
			f.Flush(c.x, final)
		}
	}
	return c.out
}

func chainOf(t *testing.T, config, dir string) *chain {
	t.Helper()
	c, err := newChain(t, "filter { "+config+" }", dir, ECSDisabled, event.None)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func compareEvents(t *testing.T, what string, got []*event.Event, want ...string) {
	t.Helper()
	if d := cmp.Diff(decodedLines(t, want...), decoded(t, got)); d != "" {
		t.Errorf("%s: (-want +got)\n%s", what, d)
	}
}

func TestAggregateSumsUpATaskAndEndsIt(t *testing.T) {
	c := chainOf(t, `aggregate { task_id => "%{id}" code => "map['n'] ||= 0; map['n'] += event.get('d'); event.set('sum', map['n'])" }`, "")
	compareEvents(t, "sums", c.change(t, `{"id":"a","d":1}`, `{"id":"b","d":5}`, `{"id":"a","d":2}`, `{"d":7}`),
		`{"id":"a","d":1,"sum":1}`, `{"id":"b","d":5,"sum":5}`, `{"id":"a","d":2,"sum":3}`, `{"d":7}`)
	c = chainOf(t, `aggregate { task_id => "%{id}" code => "event.set('n', map['n'] = (map['n'] || 0) + 1)" end_of_task => true add_tag => ["ok"] }`, "")
	compareEvents(t, "ended", c.change(t, `{"id":"a"}`, `{"id":"a"}`), `{"id":"a","n":1,"tags":["ok"]}`, `{"id":"a","n":1,"tags":["ok"]}`)
	c = chainOf(t, `aggregate { task_id => "%{id}" code => "event.set('n', 1)" map_action => "update" add_tag => ["ok"] }`, "")
	compareEvents(t, "no map to update", c.change(t, `{"id":"a"}`), `{"id":"a"}`)
	c = chainOf(t, `aggregate { task_id => "%{id}" code => "nil + 1" add_tag => ["ok"] }`, "")
	compareEvents(t, "an exception", c.change(t, `{"id":"a"}`), `{"id":"a","tags":["_aggregateexception"]}`)
}

func TestAggregateMakesEventsOfMaps(t *testing.T) {
	c := chainOf(t, `aggregate { task_id => "%{id}" code => "map['last'] = event.get('v'); event.cancel" push_previous_map_as_event => true
		timeout_task_id_field => "task" timeout_tags => ["made"] timeout_code => "event.set('twice', event.get('last') * 2)" }`, "")
	compareEvents(t, "the previous map", c.change(t, `{"id":"a","v":1}`, `{"id":"a","v":2}`, `{"id":"b","v":9}`), `{"last":2,"task":"a","tags":["made"],"twice":4}`)
	compareEvents(t, "the last map", c.flushed(true), `{"last":9,"task":"b","tags":["made","_aggregatefinalflush"],"twice":18}`)
	c = chainOf(t, `aggregate { task_id => "%{id}" code => "map['n'] = 1" push_map_as_event_on_timeout => true timeout => 10 }`, "")
	c.change(t, `{"id":"a"}`)
	compareEvents(t, "before its time", c.flushed(false))
	now := time.Now().Add(11 * time.Second)
	c.x.Now = func() time.Time { return now }
	compareEvents(t, "after its time", c.flushed(false), `{"n":1}`)
}

func TestAggregateKeepsItsMapsInAFile(t *testing.T) {
	dir := t.TempDir()
	config := `aggregate { task_id => "%{id}" code => "map['n'] = (map['n'] || 0) + 1; event.set('n', map['n'])" aggregate_maps_path => "maps" }`
	c := chainOf(t, config, dir)
	c.change(t, `{"id":"a"}`)
	if err := c.filters[0].(Closer).Close(); err != nil {
		t.Fatal(err)
	}
	again := chainOf(t, config, dir)
	compareEvents(t, "after a restart", again.change(t, `{"id":"a"}`), `{"id":"a","n":2}`)
	if _, err := os.Stat(filepath.Join(dir, "maps")); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestThrottleMarksWhatIsBeforeAndAfterItsCounts(t *testing.T) {
	c := chainOf(t, `throttle { key => "%{k}" before_count => 2 after_count => 3 period => "60" add_tag => ["t"] }`, "")
	at := `"@timestamp":"2024-01-01T00:00:0`
	var in, want []string
	for i, tag := range []string{`,"tags":["t"]`, "", "", `,"tags":["t"]`} {
		line := `{"k":"a",` + at + string(rune('0'+i)) + `.000Z"`
		in, want = append(in, line+"}"), append(want, line+tag+"}")
	}
	next := `{"k":"a","@timestamp":"2024-01-01T00:01:05.000Z"`
	compareEvents(t, "a period", c.change(t, append(in, next+"}")...), append(want, next+`,"tags":["t"]}`)...)
}

func TestElapsedMeasuresATask(t *testing.T) {
	c := chainOf(t, `elapsed { start_tag => "s" end_tag => "e" unique_id_field => "id" timeout => 10 }`, "")
	compareEvents(t, "start and end", c.change(t, `{"id":1,"tags":["s"],"@timestamp":"2024-01-01T00:00:00.000Z"}`, `{"id":1,"tags":["e"],"@timestamp":"2024-01-01T00:00:02.500Z"}`, `{"id":2,"tags":["e"],"@timestamp":"2024-01-01T00:00:02.500Z"}`),
		`{"id":1,"tags":["s"],"@timestamp":"2024-01-01T00:00:00.000Z"}`,
		`{"id":1,"tags":["e","elapsed","elapsed_match"],"@timestamp":"2024-01-01T00:00:02.500Z","elapsed_time":2.5,"elapsed_timestamp_start":"2024-01-01T00:00:00.000Z"}`,
		`{"id":2,"tags":["e","elapsed_end_without_start"],"@timestamp":"2024-01-01T00:00:02.500Z"}`)
	c.change(t, `{"id":3,"tags":["s"],"@timestamp":"2024-01-01T00:00:00.000Z"}`)
	compareEvents(t, "too young", c.flushed(false))
	made := c.flushed(false)
	if len(made) != 1 || made[0].GetField("elapsed_time").Int() != 10 || !made[0].HasTag("elapsed_expired_error") {
		t.Errorf("expired: %v", decoded(t, made))
	}
}
