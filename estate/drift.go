package estate

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Drifted is an object that is not as it was applied last.
type Drifted struct {
	Key
	Gone    bool      `json:"gone,omitempty"`   // somebody deleted it
	Fields  []Field   `json:"fields,omitempty"` // from what was applied to what is there
	Applied time.Time `json:"applied"`          // it was as applied then: it was changed since
	Changed time.Time `json:"changed,omitzero"` // when, if the system says
	Apply   string    `json:"apply"`
	Commit  Commit    `json:"commit,omitzero"`
	By      string    `json:"applied_by,omitempty"`
	Repair  bool      `json:"repair,omitempty"`     // env.yaml lets naru put it back
	Pending bool      `json:"unfinished,omitempty"` // an apply was cut short at it; a plan has the rest
}

// FindDrift compares what the estate's records say was applied with what is there, whatever Git says now.
func FindDrift(d *Desired, o *Observed) []Drifted {
	var out []Drifted
	for _, key := range o.relevant(d) {
		r := o.Records[key]
		if r == nil || !r.ownedBy(d) || len(r.Observed) == 0 && r.Pending == nil {
			continue
		}
		live := o.view(key, decoded(r.Declared))
		x := Drifted{
			Key: key, Gone: live == nil, Applied: r.At, Apply: r.Apply, Commit: r.Commit, By: r.By, Repair: d.repairs(key), Pending: r.Pending != nil,
		}
		if live != nil {
			x.Changed = live.Updated
			x.Fields = compare(canonical(key, live.Body), decoded(r.Observed), nil, nil)
			if key.Kind == KafkaGroups {
				x.Fields = nil // partitions were added in which it has no offset: a plan has that
			}
			if key.Kind == Aliases {
				x.Fields = slices.DeleteFunc(x.Fields, func(f Field) bool { return rolledOver(f, d, o, r) })
			}
		}
		if x.Gone || len(x.Fields) > 0 || x.Pending {
			out = append(out, x)
		}
	}
	return out
}

// rolledOver reports a difference of an alias that comes of rollovers and retention: the write index that nobody
// declares, an index that a declared pattern matches, one that is gone.
func rolledOver(f Field, d *Desired, o *Observed, r *Record) bool {
	rest, ok := strings.CutPrefix(f.Path, "indices.")
	if !ok {
		return false
	}
	if index, ok := strings.CutSuffix(rest, ".is_write_index"); ok {
		_, declared := object(decoded(r.Declared), "indices", index)["is_write_index"]
		return !declared
	}
	if len(f.To) == 0 { // gone from the alias
		return !slices.ContainsFunc(o.Indices, func(x IndexFact) bool { return x.Name == rest })
	}
	obj := d.Objects[r.Key]
	if obj == nil || len(f.From) > 0 {
		return false
	}
	for pattern := range object(obj.Body, "indices") {
		if match, err := path.Match(pattern, rest); err == nil && match {
			return true
		}
	}
	return false
}

// NewRepair makes a plan that puts back those of the drifted objects that env.yaml marks under drift.repair.
func NewRepair(d *Desired, o *Observed, drifted []Drifted, now time.Time) *Plan {
	p := newPlan("repair", d, o, now)
	p.Commit = Commit{}
	for i := range drifted {
		x := &drifted[i]
		if !x.Repair || x.Pending {
			p.Unchanged++
			continue
		}
		r := o.Records[x.Key]
		live := o.view(x.Key, decoded(r.Declared))
		ch := Change{Key: x.Key, Action: Update, Risk: Medium, Body: r.Declared, Declared: r.Declared, Outside: true}
		if ch.Before.Record = r.state; x.Gone {
			ch.Action = Create
		}
		ch.see(live)
		for _, f := range x.Fields {
			ch.Fields = append(ch.Fields, Field{Path: f.Path, From: f.To, To: f.From, Outside: true})
		}
		ch.Effects = []string{fmt.Sprintf("as it was applied on %s", x.Applied.Format(time.DateTime))}
		p.Changes = append(p.Changes, ch)
	}
	p.order()
	p.finish()
	return p
}
