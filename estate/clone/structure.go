package clone

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/estate"
)

// structure are the kinds that are copied. What is about the cluster (settings, snapshots), and who may do what, differs
// between environments by its nature; aliases come with their indices.
var structure = []estate.Kind{estate.IngestPipelines, estate.ComponentTemplates, estate.ISMPolicies, estate.IndexTemplates}

// desired is what the clone is to have of templates, policies and pipelines, under its own name among the estate's.
func (r *Record) desired(to Side) *estate.Desired {
	return &estate.Desired{
		Dir: to.Dir, Environment: r.owner(), Estate: r.Estate, Target: to.Desired.Target, Objects: map[estate.Key]*estate.Declared{}, Commit: r.Commit,
	}
}

// planStructure compares what the other environment has with what is here. What is here and not the clone's stays as it is.
func (p *Plan) planStructure(ctx context.Context, from, to Side, now time.Time) error {
	d := p.Record.desired(to)
	o, err := estate.Observe(ctx, to.Target, d) // for the records
	if err != nil {
		return err
	}
	stay := func(key estate.Key, why string) {
		p.Structure = append(p.Structure, Object{Key: key, Action: "there", Why: why})
	}
	kinds := structure
	if p.Record.Prefix != "" {
		kinds = nil
		p.Notes = append(p.Notes, "names get the prefix "+p.Record.Prefix+": templates, pipelines and policies are not copied, and data streams become indices")
	}
	for _, kind := range kinds {
		theirs, err := estate.List(ctx, from.Target, kind)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Of, err)
		}
		ours, err := estate.List(ctx, to.Target, kind)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Environment, err)
		}
		if kind == estate.ISMPolicies && ours == nil {
			if len(theirs) > 0 {
				p.Notes = append(p.Notes, fmt.Sprintf("%s has no ISM: the policies of %s are not copied", p.Environment, p.Of))
			}
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(theirs)) {
			key, live := estate.Key{Kind: kind, Name: name}, theirs[name]
			if live.Reserved || systems(name, live.Body) || ownPolicy(key) {
				continue
			}
			record := o.Records[key]
			mine := record != nil && record.Estate == d.Estate && record.Environment == d.Environment
			switch there := ours[name]; {
			case mine:
			case there != nil && estate.Same(key, there.Body, live.Body):
				stay(key, "it is the same")
				continue
			case there != nil:
				stay(key, fmt.Sprintf("it is not that of %s, and not the clone's to change", p.Of))
				continue
			case to.Objects[key] != nil:
				p.problem("%s declares %s, and does not have it yet: naru apply -f %s -e %s comes first", p.Environment, key, to.Dir, to.Environment)
				continue
			}
			d.Objects[key] = &estate.Declared{Key: key, Body: estate.AsDeclared(key, live.Body), Files: []string{p.Of}}
		}
	}
	if err := p.planExpiry(ctx, to, d); err != nil {
		return err
	}
	return p.compare(ctx, to, d, now)
}

// planExpiry has a policy of the clone's own delete its indices, where the cluster knows policies.
func (p *Plan) planExpiry(ctx context.Context, to Side, d *estate.Desired) error {
	if p.Record.Policy = ""; p.Record.Until.IsZero() {
		return nil
	}
	policies, err := estate.List(ctx, to.Target, estate.ISMPolicies)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Environment, err)
	}
	until := p.Record.Until.UTC().Format("2006-01-02 15:04 UTC")
	if policies == nil {
		p.Notes = append(p.Notes, fmt.Sprintf("%s has no ISM: `naru env expire` has to delete the clone after %s", p.Environment, until))
		return nil
	}
	key, body := p.Record.expiry()
	d.Objects[key] = &estate.Declared{Key: key, Body: body, Files: []string{"--ttl"}}
	p.Record.Policy = key.Name
	what := "an ISM policy deletes its indices after " + until
	if slices.ContainsFunc(p.Record.Made, func(m *Made) bool { return m.Stream }) {
		what += ", but for the last one of a data stream, which ISM may not delete"
	}
	p.Notes = append(p.Notes, what+"; `naru env expire` takes away what is left")
	return nil
}

// compare makes the plan for what the clone is to have.
func (p *Plan) compare(ctx context.Context, to Side, d *estate.Desired, now time.Time) error {
	o, err := estate.Observe(ctx, to.Target, d)
	if err != nil {
		return err
	}
	if p.structure, err = estate.NewPlan(ctx, to.Target, d, o, false, now); err != nil {
		return err
	}
	for i := range p.structure.Changes {
		ch := &p.structure.Changes[i]
		p.Structure = append(p.Structure, Object{Key: ch.Key, Action: string(ch.Action), Why: ch.Problem})
		if ch.Problem != "" {
			p.problem("%s: %s", ch.Key, ch.Problem)
		}
	}
	return nil
}

// systems reports objects that belong to the system, or to its plugins.
func systems(name string, body estate.Body) bool {
	meta, _ := body["_meta"].(map[string]any)
	return strings.HasPrefix(name, ".") || meta["managed"] == true
}

const policyPrefix = "naru-clone-"

// ownPolicy reports policies that clones made: of those in the other environment none is copied.
func ownPolicy(key estate.Key) bool {
	return key.Kind == estate.ISMPolicies && strings.HasPrefix(key.Name, policyPrefix)
}

// expiry is the ISM policy that deletes an index when the clone's time is over.
func (r *Record) expiry() (estate.Key, estate.Body) {
	age := r.Until.Sub(r.Began).Round(time.Second)
	text := fmt.Sprintf("%ds", int64(age/time.Second))
	switch {
	case age%(24*time.Hour) == 0:
		text = fmt.Sprintf("%dd", age/(24*time.Hour))
	case age%time.Hour == 0:
		text = fmt.Sprintf("%dh", age/time.Hour)
	case age%time.Minute == 0:
		text = fmt.Sprintf("%dm", age/time.Minute)
	}
	return estate.Key{Kind: estate.ISMPolicies, Name: policyPrefix + r.ID}, estate.Body{"policy": map[string]any{
		"description": fmt.Sprintf("deletes the clone %s of %s after %s", r.ID, r.Of, text), "default_state": "kept",
		"states": []any{
			map[string]any{"name": "kept", "actions": []any{}, "transitions": []any{map[string]any{"state_name": "over", "conditions": map[string]any{"min_index_age": text}}}},
			map[string]any{"name": "over", "actions": []any{map[string]any{"delete": map[string]any{}}}, "transitions": []any{}},
		},
	}}
}
