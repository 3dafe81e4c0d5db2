package estate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/narudata/naru/connect/opensearch"
)

// Observed is what a cluster has of the kinds that matter to an estate, and what was applied to it last.
type Observed struct {
	Cluster opensearch.Info
	Kafka   string          // the id of the Kafka cluster; "": the environment has none
	Records map[Key]*Record // of all estates
	Indices []IndexFact
	Missing map[Kind]error     // kinds that the cluster does not have
	manages map[string]manages // indices that ISM policies manage; nil: not known

	live     map[Kind]map[string]*Live
	inquired *inquired
	refs     *references // of the plan that is being made; nil: not gathered yet
}

// IndexFact is what a plan needs to know of an index.
type IndexFact struct {
	Name      string
	Created   time.Time
	Bytes     int64 // of all copies
	Documents int64
}

// Observe asks the cluster. It lists each kind at once: some ten requests, however many objects there are.
func Observe(ctx context.Context, t *Target, d *Desired) (*Observed, error) {
	recorded, err := records(ctx, t.Search)
	if err != nil {
		return nil, err
	}
	wanted := map[Kind]wants{}
	for key, obj := range d.Objects {
		want(wanted, key, obj.Body, pendingBody(recorded[key]), recorded[key].declared())
	}
	for key, r := range recorded {
		if r.ownedBy(d) && d.Objects[key] == nil {
			want(wanted, key, pendingBody(r), r.declared())
		}
	}
	if wanted[ComponentTemplates] != nil && wanted[IndexTemplates] == nil {
		wanted[IndexTemplates] = wants{} // whose indices are touched
	}
	for one, other := range map[Kind]Kind{Roles: RoleMappings, RoleMappings: Roles} { // a mapping is nothing without its role
		if len(wanted[one]) > 0 && wanted[other] == nil {
			wanted[other] = wants{}
		}
	}
	o, err := observe(ctx, t, wanted)
	if err != nil {
		return nil, err
	}
	o.Records = recorded
	for key := range d.Objects {
		if err := o.Missing[key.Kind]; err != nil && !errors.Is(err, errNoPlace) {
			return nil, fmt.Errorf("%s: %w", d.Objects[key].Files[0], err)
		}
	}
	return o, nil
}

// wants are the objects of a kind that are to be looked at, by name, with the bodies that say what is theirs.
type wants map[string][]Body

func want(wanted map[Kind]wants, key Key, bodies ...Body) {
	if kinds[key.Kind] == nil {
		return // of a later version
	}
	if wanted[key.Kind] == nil {
		wanted[key.Kind] = wants{}
	}
	wanted[key.Kind][key.Name] = append(wanted[key.Kind][key.Name], bodies...)
}

// observe lists the wanted kinds, and the indices.
func observe(ctx context.Context, t *Target, wanted map[Kind]wants) (*Observed, error) {
	o := &Observed{Cluster: t.Search.Info(), Missing: map[Kind]error{}, live: map[Kind]map[string]*Live{}, inquired: new(inquired)}
	type answer struct {
		kind Kind
		all  map[string]*Live
		err  error
	}
	results := make([]answer, len(Kinds))
	g, ctx := errgroup.WithContext(ctx)
	for i, k := range Kinds {
		if wanted[k] == nil {
			continue
		}
		g.Go(func() error {
			all, err := listed(ctx, t, k, wanted[k])
			if err != nil && !errors.Is(err, errNoAPI) {
				return fmt.Errorf("list the %s: %w", k, err)
			}
			results[i] = answer{k, all, err}
			return nil
		})
	}
	g.Go(func() (err error) {
		o.Indices, err = indexFacts(ctx, t.Search)
		return err
	})
	if t.Kafka != nil {
		g.Go(func() (err error) {
			o.Kafka, err = t.Kafka.ClusterID(ctx)
			return err
		})
	}
	if wanted[ISMPolicies] != nil {
		g.Go(func() (err error) {
			o.manages, err = managed(ctx, t.Search)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, r := range results {
		switch {
		case r.err != nil:
			o.Missing[r.kind] = r.err
		case r.all != nil:
			o.live[r.kind] = r.all
		}
	}
	return o, nil
}

func indexFacts(ctx context.Context, c *opensearch.Client) ([]IndexFact, error) {
	var rows []struct {
		Index   string  `json:"index"`
		Created string  `json:"creation.date"`
		Bytes   *string `json:"store.size"`
		Docs    *string `json:"docs.count"`
	}
	const path = "/_cat/indices?format=json&bytes=b&h=index,creation.date,store.size,docs.count&expand_wildcards=all"
	if err := sendJSON(ctx, c, http.MethodGet, path, nil, &rows); err != nil {
		return nil, fmt.Errorf("list the indices of %s: %w", c, err)
	}
	number := func(s *string) int64 {
		if s == nil {
			return 0
		}
		n, err := strconv.ParseInt(*s, 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	facts := make([]IndexFact, len(rows))
	for i, r := range rows {
		facts[i] = IndexFact{Name: r.Index, Created: time.UnixMilli(number(&r.Created)).UTC(), Bytes: number(r.Bytes), Documents: number(r.Docs)}
	}
	return facts, nil
}

// managed says which indices have which policy. A cluster without the plugin, or a user who may not ask: nil.
func managed(ctx context.Context, c *opensearch.Client) (map[string]manages, error) {
	answer, err := call(ctx, c, http.MethodGet, "/_plugins/_ism/explain/*?size=10000", nil)
	if _, refused := errors.AsType[*opensearch.StatusError](err); refused || errors.Is(err, errNoAPI) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]manages{}
	for index, x := range answer {
		entry, _ := x.(map[string]any)
		if m := managesOf(entry); m.policy != "" {
			out[index] = m
		}
	}
	return out, nil
}

// view is the object as the cluster has it, as far as it is the declared one's, or the recorded one's.
func (o *Observed) view(key Key, bodies ...Body) *Live {
	live := o.live[key.Kind][key.Name]
	if whole := o.live[key.Kind][wholeCluster]; whole != nil {
		live = whole
	}
	return part(key, live, bodies...)
}

// part is what of live is the object's.
func part(key Key, live *Live, bodies ...Body) *Live {
	if view := kinds[key.Kind].view; view != nil && live != nil {
		return view(live, bodies...)
	}
	return live
}

// look is view of one object as it is now.
func look(ctx context.Context, t *Target, key Key, bodies ...Body) (*Live, error) {
	live, err := one(ctx, t, key, bodies)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", key, err)
	}
	return part(key, live, bodies...), nil
}

func one(ctx context.Context, t *Target, key Key, bodies []Body) (*Live, error) {
	k := kinds[key.Kind]
	if err := t.has(key.Kind); err != nil {
		return nil, err
	}
	if k.among == nil {
		return k.get(ctx, t, key.Name)
	}
	all, err := k.among(ctx, t, wants{key.Name: bodies})
	return all[key.Name], err
}

// listed gives all of a kind, or the wanted ones of it.
func listed(ctx context.Context, t *Target, k Kind, wanted wants) (map[string]*Live, error) {
	switch err := t.has(k); {
	case err != nil:
		return nil, err
	case kinds[k].among != nil:
		return kinds[k].among(ctx, t, wanted)
	}
	return kinds[k].list(ctx, t)
}
