package clone

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stage"
)

const noteType = "clone"

// A Record is a clone as its cluster's records have it.
type Record struct {
	ID          string        `json:"id"`
	Estate      string        `json:"estate"`
	Environment string        `json:"environment"` // that it is in
	Of          string        `json:"of"`          // the environment that it is a copy of
	Source      Cluster       `json:"source"`
	Indices     flow.Patterns `json:"indices,omitempty"`
	Rate        stage.Rate    `json:"rate"`
	Asked       stage.Rate    `json:"asked,omitempty"` // the rate that was asked for, if the budget did not let it
	By          string        `json:"by,omitempty"`
	Mask        []string      `json:"mask,omitempty"`
	Key         string        `json:"key,omitempty"` // tells the key of the masks from others, without giving it away
	Prefix      string        `json:"prefix,omitempty"`
	Replicas    int           `json:"replicas"`
	Budget      int64         `json:"budget,omitempty"`
	TTL         string        `json:"ttl,omitempty"`
	Made        []*Made       `json:"made"`
	Policy      string        `json:"policy,omitempty"` // the ISM policy that deletes its indices
	Began       time.Time     `json:"began"`
	Until       time.Time     `json:"until,omitzero"` // when it is to vanish
	Done        time.Time     `json:"done,omitzero"`  // when all was carried and compared
	Documents   int64         `json:"documents,omitempty"`
	Who         string        `json:"who,omitempty"` // who began it
	Commit      estate.Commit `json:"commit,omitzero"`

	note *estate.Note
}

// Made is an index, or a data stream, that a clone makes.
type Made struct {
	Of     string `json:"of"`   // its name in the other environment
	Name   string `json:"name"` // its name here
	Stream bool   `json:"stream,omitempty"`
	There  bool   `json:"there,omitempty"` // it was made, and marked
	// Later are settings that it gets when all is carried: pipelines, which must not see the documents again.
	Later map[string]string `json:"later,omitempty"`
}

// Expired reports that the clone was to vanish before now.
func (r *Record) Expired(now time.Time) bool { return !r.Until.IsZero() && !now.Before(r.Until) }

// owner names the clone's templates, policies and pipelines among the records of the estate.
func (r *Record) owner() string { return r.Environment + " (clone " + r.ID + ")" }

// noteID is one for each environment that is cloned into another, with each prefix.
func noteID(r *Record) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{r.Estate, r.Environment, r.Of, r.Prefix}, "\x00")))
	return "clone-" + hex.EncodeToString(sum[:16])
}

func newID(now time.Time) string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return now.UTC().Format("20060102-150405-") + hex.EncodeToString(b[:])
}

// write keeps the record. It is estate.ErrNoteMoved if somebody else changed it since it was read.
func (r *Record) write(ctx context.Context, t *estate.Target) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if r.note == nil {
		r.note = &estate.Note{Type: noteType, ID: noteID(r), Estate: r.Estate, Environment: r.Environment}
	}
	r.note.Body = body
	return r.note.Write(ctx, t)
}

// Records lists the clones that an environment has, the oldest first.
func Records(ctx context.Context, to Side) ([]*Record, error) {
	notes, err := estate.Notes(ctx, to.Target, noteType)
	if err != nil {
		return nil, err
	}
	var out []*Record
	for _, n := range notes {
		if n.Estate != to.Estate || n.Environment != to.Environment {
			continue
		}
		r := &Record{note: n}
		if err := json.Unmarshal(n.Body, r); err != nil {
			return nil, fmt.Errorf("the record %s of a clone: %w", n.ID, err)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b *Record) int { return a.Began.Compare(b.Began) })
	return out, nil
}

// differs says what of the options is not as the clone was begun with; "": nothing. The budget and the time to live may
// change.
func (r *Record) differs(o *Options, key string) string {
	was, is := r.asked(), o.asked(key)
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if was[name] != is[name] {
			return fmt.Sprintf("%s was %s, and is %s", name, orNone(was[name]), orNone(is[name]))
		}
	}
	return ""
}

func (r *Record) asked() map[string]string {
	rate := r.Rate
	if r.Asked != 0 {
		rate = r.Asked
	}
	return asked(r.Indices, rate, r.By, r.Mask, r.Key, r.Replicas)
}

func (o *Options) asked(key string) map[string]string {
	rate := o.Rate
	if rate == 0 {
		rate = 1
	}
	return asked(o.Indices, rate, o.By, o.Mask, key, o.Replicas)
}

func asked(indices flow.Patterns, rate stage.Rate, by string, mask []string, key string, replicas int) map[string]string {
	return map[string]string{
		"--index": strings.Join(indices, ","), "--sample": rate.String(), "--by": by, "--mask": strings.Join(mask, ","),
		"the key of --mask": key, "--replicas": fmt.Sprint(replicas),
	}
}

func orNone(s string) string {
	if s == "" {
		return "not given"
	}
	return s
}
