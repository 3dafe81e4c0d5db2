package ruby_test

import (
	"errors"
	"testing"
	"time"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/ruby"
)

// FuzzRun gives any text to the parser, and runs what it accepts with a small budget.
func FuzzRun(f *testing.F) {
	for _, seed := range []string{
		`event.set("a", event.get("b").to_s.gsub(/x/, "y")) if event.get("b")`,
		"x = {a: 1, \"b\" => [1, 2.5, nil]}\nx.each do |k, v| event.set(k.to_s, v) end",
		`def f(a, b = 2, *c, &d) yield a end; f(1) { |x| break x }`,
		"begin; raise 'x'; rescue => e; event.tag(e.message); ensure; @a ||= []; @a << 1; end",
		"case event.get('n') when 1..3 then 'a' when /b/, Integer then 'c' else <<~E + %w[a b].join\n  text #{1 + 1}\nE\nend",
		`a, (b, *c), d = 1, [2, 3], *[4]; a <=> b; 1 << 2 ** 3; "%05.2f" % 1; x = ->(y) { y&.size }`,
		`Time.at(0).utc.strftime("%Y %-d %10N"); [1].pack("N").unpack("C*"); "aé"[1..-1].tr("a-z", "b")`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code string) {
		p, err := ruby.Compile(code, ruby.Options{Params: []string{"event", "new_event_block"}, Steps: 20_000, Memory: 4 << 20})
		if err != nil {
			return
		}
		e := event.NewAt(time.Unix(0, 0))
		_ = e.SetField("b", event.StringsValue("x", "yé"))
		_ = e.SetField("n", event.IntValue(7))
		begin := time.Now()
		_, err = p.Inspect(ruby.Env{Now: func() time.Time { return time.Unix(0, 0) }, Emit: func(*event.Event) {}}, e, ruby.Block{})
		if exc, ok := errors.AsType[*ruby.Exception](err); err != nil && (!ok || exc.Class == "" || exc.Class == "InternalError") {
			t.Errorf("%q: %v is no exception of Ruby", code, err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("%q: took %s", code, took)
		}
	})
}
