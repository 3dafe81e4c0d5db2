package logstash

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/logstash/event"
)

// compare compares what was found with what a case expects.
func (r *suiteRunner) compare(c *Case) ([]Difference, error) {
	if r.s.verifier && r.s.Input != "" {
		if err := r.arrange(c); err != nil {
			return nil, err
		}
	}
	pairs, err := r.align(c)
	if err != nil {
		return nil, err
	}
	var out []Difference
	for _, at := range pairs {
		switch {
		case at.expected < 0:
			found, err := r.prepared(r.found[at.found], c, nil)
			if err != nil {
				return nil, err
			}
			out = append(out, Difference{Event: at.found + 1, Found: encoded(found)})
		case at.found < 0:
			out = append(out, Difference{Event: at.expected + 1, Expected: compact(c.Expect[at.expected])})
		default:
			d, err := r.pair(c, at.expected, at.found)
			if err != nil {
				return nil, err
			}
			out = append(out, d...)
		}
	}
	return out, nil
}

// aligned is an expected event and the one it is compared with, by their places; -1 for none.
type aligned struct{ expected, found int }

// mostAligned is up to how many pairs of events are looked at for those that are equal.
const mostAligned = 10_000

// align says which events are compared. If there are as many as expected, those at the same places are; else those between
// two that are as expected, so that one event too many does not make all that follow differ.
func (r *suiteRunner) align(c *Case) ([]aligned, error) {
	n, m := len(c.Expect), len(r.found)
	equal := func(int, int) bool { return false }
	if n != m && n*m <= mostAligned {
		same := make([]bool, n*m)
		for i := range n {
			for j := range m {
				d, err := r.pair(c, i, j)
				if err != nil {
					return nil, err
				}
				same[i*m+j] = len(d) == 0
			}
		}
		equal = func(i, j int) bool { return same[i*m+j] }
	}
	var out []aligned
	for i, j := 0, 0; i < n || j < m; {
		// The nearest two that are equal: those before them are compared as they stand.
		ahead := n - i + m - j
		nextI, nextJ := n, m
		for a := i; a < n && a-i < ahead; a++ {
			for b := j; b < m && a-i+b-j < ahead; b++ {
				if equal(a, b) {
					ahead, nextI, nextJ = a-i+b-j, a, b
				}
			}
		}
		for i < nextI || j < nextJ {
			at := aligned{-1, -1}
			if i < nextI {
				at.expected = i
				i++
			}
			if j < nextJ {
				at.found = j
				j++
			}
			out = append(out, at)
		}
		if i < n && j < m {
			out = append(out, aligned{i, j})
			i, j = i+1, j+1
		}
	}
	return out, nil
}

// arrange brings events that are as expected to where they are expected. In the verifier's daemon mode each output is a
// pipeline of its own, so the order that its files have is one that outputs happened to have.
func (r *suiteRunner) arrange(c *Case) error {
	for want := range min(len(c.Expect), len(r.found)) {
		for found := want; found < len(r.found); found++ {
			d, err := r.pair(c, want, found)
			if err != nil {
				return err
			}
			if len(d) == 0 {
				moved := r.found[found]
				copy(r.found[want+1:found+1], r.found[want:found])
				r.found[want] = moved
				break
			}
		}
	}
	return nil
}

// pair compares an expected event with one that was found.
func (r *suiteRunner) pair(c *Case, expected, n int) ([]Difference, error) {
	want, err := decodeEvent(c.Expect[expected])
	if err == nil {
		want, err = r.unfolded(want)
	}
	if err != nil {
		return nil, fmt.Errorf("expected event %d: %w", expected+1, err)
	}
	found, err := r.prepared(r.found[n], c, want)
	if err != nil {
		return nil, err
	}
	for _, name := range c.Ignore {
		if err := r.remove(want, name); err != nil {
			return nil, err
		}
	}
	d := caseDiffer{event: n + 1, partial: c.Partial}
	d.maps("", want, found)
	return d.out, nil
}

// unfolded puts members whose names are references where these point.
func (r *suiteRunner) unfolded(m map[string]any) (map[string]any, error) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !strings.HasPrefix(key, "[") {
			continue
		}
		ref, err := r.i.Pipeline.o.EscapeStyle.Parse(key)
		if err != nil {
			return nil, err
		}
		v := m[key]
		delete(m, key)
		at := m
		keys := ref.Keys()
		for _, k := range keys[:len(keys)-1] {
			inner, ok := at[k].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[k] = inner
			}
			at = inner
		}
		at[keys[len(keys)-1]] = v
	}
	return m, nil
}

// optionalFields are those that naru's own cases compare only if the expected event has them.
var optionalFields = []string{"@version", "@timestamp", "@metadata", "@outputs"}

// prepared decodes what came out, without what is not compared.
func (r *suiteRunner) prepared(text json.RawMessage, c *Case, want map[string]any) (map[string]any, error) {
	m, err := decodeEvent(text)
	if err != nil {
		return nil, err
	}
	for _, name := range c.Ignore {
		if err := r.remove(m, name); err != nil {
			return nil, err
		}
	}
	if inner, ok := want["event"].(map[string]any); !ok || inner["original"] == nil {
		if err := r.remove(m, "[event][original]"); err != nil {
			return nil, err
		}
	}
	if !r.s.verifier {
		for _, name := range optionalFields {
			if _, ok := want[name]; !ok {
				delete(m, name)
			}
		}
	}
	return m, nil
}

// remove removes a field; maps that it leaves without members go, too.
func (r *suiteRunner) remove(m map[string]any, name string) error {
	ref, err := r.i.Pipeline.o.EscapeStyle.Parse(name)
	if err != nil {
		return fmt.Errorf("ignore: %w", err)
	}
	keys := ref.Keys()
	if ref.Metadata() && keys[0] != "@metadata" {
		keys = append([]string{"@metadata"}, keys...)
	}
	removeKeys(m, keys)
	return nil
}

func removeKeys(m map[string]any, keys []string) {
	if len(keys) == 1 {
		delete(m, keys[0])
		return
	}
	if inner, ok := m[keys[0]].(map[string]any); ok {
		removeKeys(inner, keys[1:])
		if len(inner) == 0 {
			delete(m, keys[0])
		}
	}
}

func decodeEvent(text json.RawMessage) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	if m == nil {
		m = map[string]any{}
	}
	return m, nil
}

// caseDiffer finds where two events differ.
type caseDiffer struct {
	event   int
	partial bool
	out     []Difference
}

func (d *caseDiffer) maps(path string, want, found map[string]any) {
	names := map[string]bool{}
	for k := range want {
		names[k] = true
	}
	if !d.partial {
		for k := range found {
			names[k] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(names)) {
		at := path + "[" + k + "]"
		w, wanted := want[k]
		f, there := found[k]
		switch {
		case !wanted:
			d.out = append(d.out, Difference{Event: d.event, Field: at, Found: encoded(f)})
		case !there:
			d.out = append(d.out, Difference{Event: d.event, Field: at, Expected: encoded(w)})
		default:
			d.values(at, w, f)
		}
	}
}

func (d *caseDiffer) values(at string, want, found any) {
	w, wantMap := want.(map[string]any)
	f, foundMap := found.(map[string]any)
	if wantMap && foundMap {
		d.maps(at, w, f)
		return
	}
	if !sameValue(want, found) && (at != "[@timestamp]" || !sameTime(want, found)) {
		d.out = append(d.out, Difference{Event: d.event, Field: at, Expected: encoded(want), Found: encoded(found)})
	}
}

// sameValue compares two values. Numbers are equal if they are as numbers: 1 is 1.0, as in JSON.
func sameValue(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		other, ok := b.(json.Number)
		if !ok || a == other {
			return ok
		}
		if !strings.ContainsAny(a.String()+other.String(), ".eE") {
			return false // integers, which may be larger than a float is exact
		}
		x, err := strconv.ParseFloat(a.String(), 64)
		y, err2 := strconv.ParseFloat(other.String(), 64)
		return err == nil && err2 == nil && x == y
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, sameValue)
	case map[string]any:
		other, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, other, sameValue)
	}
	return reflect.DeepEqual(a, b)
}

// sameTime compares two texts as times: the number of their digits does not matter.
func sameTime(a, b any) bool {
	x, ok := a.(string)
	y, ok2 := b.(string)
	if !ok || !ok2 {
		return false
	}
	t, ok := event.ParseTimestamp(x)
	u, ok2 := event.ParseTimestamp(y)
	return ok && ok2 && t.Truncate(time.Nanosecond).Equal(u)
}

// encoded gives a decoded value as JSON again.
func encoded(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("BUG: " + err.Error()) // it was decoded from JSON
	}
	return bytes.TrimSpace(b.Bytes())
}

func compact(text json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return text
	}
	return b.Bytes()
}
