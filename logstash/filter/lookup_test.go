package filter

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// lookUps are the filters that are tested with oneFilter.
func lookUps() map[string]func() Plugin {
	return map[string]func() Plugin{
		"dns":       func() Plugin { return new(DNS) },
		"geoip":     func() Plugin { return new(GeoIP) },
		"useragent": func() Plugin { return new(UserAgent) },
		"xml":       func() Plugin { return new(XML) },
	}
}

// oneFilter makes a filter of its name and the text of its options.
func oneFilter(t testing.TB, name, options string, ecs ECS) (Filter, error) {
	t.Helper()
	config, err := syntax.Parse("test.conf", []byte("filter { "+name+" { "+options+" } }"))
	if err != nil {
		return nil, err
	}
	for p := range syntax.Plugins(config.Statements(syntax.Filter)) {
		plugin := lookUps()[p.Name]()
		for _, problem := range option.Decode(p, plugin, option.Env{Dir: t.TempDir()}) {
			if !problem.Warning {
				err = errors.Join(err, problem)
			}
		}
		if err != nil {
			return nil, err
		}
		f, err := plugin.Setup(&Setup{ECS: ecs, Log: slog.New(slog.DiscardHandler), Now: time.Now, Where: p.Pos.String()})
		if err != nil {
			return nil, err
		}
		if c, ok := f.(Closer); ok {
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		if forker, ok := f.(Forker); ok {
			f = forker.Fork()
		}
		return f, nil
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
