package filter

import (
	"errors"
	"strings"
	"testing"

	"github.com/narudata/naru/logstash/event"
)

// oneFilter makes a filter of its name and the text of its options.
func oneFilter(t testing.TB, name, options string, ecs ECS) (Filter, error) {
	t.Helper()
	filters, err := setUp(t, "filter { "+name+" { "+options+" } }", ecs)
	if err != nil {
		return nil, err
	}
	if len(filters) > 0 {
		return filters[0], nil
	}
	return nil, errors.New("no filter")
}

func mustFilter(t testing.TB, name, options string, ecs ECS) Filter {
	t.Helper()
	f, err := oneFilter(t, name, options, ecs)
	if err != nil {
		t.Fatalf("%s { %s }: %v", name, options, err)
	}
	return f
}

// filtered gives what a filter makes of an event, as JSON, without @version and @timestamp.
func filtered(t testing.TB, f Filter, in string) string {
	t.Helper()
	return string(filteredEvent(t, f, in).AppendJSON(nil))
}

func filteredEvent(t testing.TB, f Filter, in string) *event.Event {
	t.Helper()
	e := run(t, []Filter{f}, in)
	e.RemoveField("@version")
	e.RemoveField("@timestamp")
	return e
}

// refused tests that options are an error that mentions words.
func refused(t *testing.T, name, options string, ecs ECS, words ...string) {
	t.Helper()
	_, err := oneFilter(t, name, options, ecs)
	if err == nil {
		t.Errorf("%s { %s } is taken", name, options)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s { %s }: %v does not mention %q", name, options, err, w)
		}
	}
}
