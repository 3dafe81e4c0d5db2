// Package cutover gives aliases other indices: all of them in one request, which the cluster does as one, so that no reader or
// writer ever sees one alias switched and another not, or an alias without an index.
package cutover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
)

// A Plan says what aliases name, and what they are to name.
type Plan struct {
	Cluster  string   `json:"cluster"`
	Switches []Switch `json:"aliases"` // by name
}

// A Switch is one alias.
type Switch struct {
	Alias string `json:"alias"`
	// From is what it names, To what it is to name, both sorted.
	From []string `json:"from"`
	To   []string `json:"to"`
	// Writes is the index among To that is_write_index is set for; "": none. Then only an alias of one index can be written to.
	Writes string `json:"writes,omitempty"`
	Done   bool   `json:"done"` // it is so already

	actions []any
	want    map[string]entry
}

// entry is what an index has for an alias: filter, routing, is_write_index, is_hidden.
type entry map[string]any

const writeIndex = "is_write_index"

// Changes counts the aliases that are still to be switched.
func (p *Plan) Changes() int {
	n := 0
	for i := range p.Switches {
		if !p.Switches[i].Done {
			n++
		}
	}
	return n
}

// Aliases gives what each alias is to name.
func (p *Plan) Aliases() map[string][]string {
	all := make(map[string][]string, len(p.Switches))
	for _, s := range p.Switches {
		all[s.Alias] = s.To
	}
	return all
}

// New looks what the aliases name, and what indices the patterns choose: one pattern for each alias, or several with commas, where
// one that begins with - or ! excludes. All that is in the way is reported at once: a pattern without an index, an index of the
// alias's name, one that is closed or has a shard that cannot be read.
//
// An index that an alias gets has the filter and routing that the alias's indices had. Where one of them took the writes, its
// successor does: the last one by name.
func New(ctx context.Context, c *opensearch.Client, wanted map[string]string) (*Plan, error) {
	if len(wanted) == 0 {
		return nil, errors.New("no alias is named")
	}
	indices, err := indicesOf(ctx, c)
	if err != nil {
		return nil, err
	}
	p := &Plan{Cluster: c.String()}
	var errs []error
	for _, alias := range slices.Sorted(maps.Keys(wanted)) {
		s, err := newSwitch(alias, wanted[alias], indices)
		if err != nil {
			errs = append(errs, fmt.Errorf("alias %s: %w", alias, err))
			continue
		}
		p.Switches = append(p.Switches, *s)
	}
	return p, errors.Join(errs...)
}

// index is one of the cluster's, with what it has for each alias.
type index struct {
	name    string
	closed  bool
	red     bool
	aliases map[string]entry
}

func indicesOf(ctx context.Context, c *opensearch.Client) ([]*index, error) {
	var rows []struct {
		Index  string `json:"index"`
		Status string `json:"status"`
		Health string `json:"health"`
	}
	const path = "/_cat/indices?format=json&h=index,status,health&expand_wildcards=all"
	if err := c.JSON(ctx, http.MethodGet, path, nil, &rows); err != nil {
		return nil, fmt.Errorf("list the indices of %s: %w", c, err)
	}
	var aliases map[string]struct {
		Aliases map[string]entry `json:"aliases"`
	}
	if err := c.JSON(ctx, http.MethodGet, "/_alias?expand_wildcards=all", nil, &aliases); err != nil {
		return nil, fmt.Errorf("list the aliases of %s: %w", c, err)
	}
	indices := make([]*index, len(rows))
	for i, r := range rows {
		indices[i] = &index{r.Index, r.Status == "close", r.Health == "red", aliases[r.Index].Aliases}
	}
	slices.SortFunc(indices, func(a, b *index) int { return strings.Compare(a.name, b.name) })
	return indices, nil
}

func newSwitch(alias, pattern string, indices []*index) (*Switch, error) {
	patterns := flow.Patterns(strings.Split(pattern, ","))
	if err := patterns.Validate(); err != nil {
		return nil, err
	}
	s := &Switch{Alias: alias, From: []string{}, To: []string{}, want: map[string]entry{}}
	had := map[string]entry{}
	var errs []error
	for _, x := range indices {
		if x.name == alias {
			return nil, fmt.Errorf("an index is called %s, and an alias of that name cannot be beside it: delete the index once it is not needed any more, then switch", alias)
		}
		if e, ok := x.aliases[alias]; ok {
			s.From = append(s.From, x.name)
			had[x.name] = e
		}
		if !patterns.Match(x.name) || strings.HasPrefix(x.name, ".") && !strings.HasPrefix(patterns[0], ".") {
			continue
		}
		switch {
		case x.closed:
			errs = append(errs, fmt.Errorf("index %s is closed, and cannot be read", x.name))
		case x.red:
			errs = append(errs, fmt.Errorf("index %s has a shard that cannot be read (its health is red)", x.name))
		}
		s.To = append(s.To, x.name)
	}
	if len(s.To) == 0 {
		errs = append(errs, fmt.Errorf("no index matches %s", pattern))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, s.plan(had)
}

// plan finds the actions, given what the alias's indices have.
func (s *Switch) plan(had map[string]entry) error {
	shared, same := entry(nil), true
	for _, name := range s.From {
		e := without(had[name])
		if shared != nil && !reflect.DeepEqual(shared, e) {
			same = false
		}
		shared = e
	}
	for _, name := range s.To {
		if e, ok := had[name]; ok {
			s.want[name] = without(e)
			continue
		}
		if !same {
			return fmt.Errorf("its indices %s have different filters or routing: naru does not know which %s is to have", strings.Join(s.From, ", "), name)
		}
		s.want[name] = maps.Clone(shared)
		if s.want[name] == nil {
			s.want[name] = entry{}
		}
	}
	s.writes(had)
	for _, name := range s.From {
		if s.want[name] == nil {
			s.actions = append(s.actions, map[string]any{"remove": map[string]any{"index": name, "alias": s.Alias}})
		}
	}
	for _, name := range s.To {
		if e, ok := had[name]; ok && reflect.DeepEqual(tidy(e), tidy(s.want[name])) {
			continue
		}
		add := map[string]any{"index": name, "alias": s.Alias}
		maps.Copy(add, s.want[name])
		s.actions = append(s.actions, map[string]any{"add": add})
	}
	s.Done = len(s.actions) == 0
	return nil
}

// writes decides which index takes what is written to the alias.
func (s *Switch) writes(had map[string]entry) {
	before, explicit := "", false
	for _, name := range s.From {
		switch had[name][writeIndex] {
		case true:
			before, explicit = name, true
		case false: // it says that it takes none
			s.setWrite(name, false)
		default:
			if len(s.From) == 1 {
				before = name // the only one takes them
			}
		}
	}
	switch {
	case before == "", !explicit && len(s.To) == 1:
		return
	case s.want[before] != nil:
		s.Writes = before
	default:
		s.Writes = s.To[len(s.To)-1]
	}
	s.setWrite(s.Writes, true)
}

func (s *Switch) setWrite(name string, is bool) {
	if e := s.want[name]; e != nil {
		e[writeIndex] = is
	}
}

// without gives an entry without what only one index has.
func without(e entry) entry {
	out := maps.Clone(e)
	if out == nil {
		out = entry{}
	}
	delete(out, writeIndex)
	return out
}

// tidy is an entry without what is the same as nothing.
func tidy(e entry) entry {
	out := maps.Clone(e)
	maps.DeleteFunc(out, func(k string, v any) bool { return v == nil || v == false && k != writeIndex })
	if len(out) == 0 {
		return entry{}
	}
	return out
}

// Apply switches all aliases at once, and looks whether they are switched. If an answer is lost, or somebody changed an alias
// since the plan was made, it says so unless all is as it should be.
func (p *Plan) Apply(ctx context.Context, c *opensearch.Client) error {
	var actions []any
	for i := range p.Switches {
		actions = append(actions, p.Switches[i].actions...)
	}
	if len(actions) == 0 {
		return nil
	}
	sent := c.JSON(ctx, http.MethodPost, "/_aliases", map[string]any{"actions": actions}, nil)
	if e, ok := errors.AsType[*opensearch.StatusError](sent); ok && !e.Temporary() {
		return fmt.Errorf("switch the aliases of %s: %w; none was switched", c, sent)
	}
	const patience = 10 * time.Second
	looking, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := p.look(looking, c); err != nil {
		return errors.Join(sent, err)
	}
	return nil
}

// look says whether the aliases name what they are to name.
func (p *Plan) look(ctx context.Context, c *opensearch.Client) error {
	indices, err := indicesOf(ctx, c)
	if err != nil {
		return fmt.Errorf("look whether the aliases were switched: %w", err)
	}
	for i := range p.Switches {
		s := &p.Switches[i]
		is := []string{}
		for _, x := range indices {
			if _, ok := x.aliases[s.Alias]; ok {
				is = append(is, x.name)
			}
		}
		if !slices.Equal(is, s.To) {
			return fmt.Errorf("alias %s names %s, not %s: it was not switched, or somebody changed it since", s.Alias, list(is), list(s.To))
		}
	}
	return nil
}

func list(names []string) string {
	const few = 5
	if len(names) == 0 {
		return "no index"
	}
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

// MarshalJSON gives what is to be known of the plan, with empty lists as such.
func (p *Plan) MarshalJSON() ([]byte, error) {
	type plain Plan
	out := plain(*p)
	if out.Switches == nil {
		out.Switches = []Switch{}
	}
	return json.Marshal(out)
}
