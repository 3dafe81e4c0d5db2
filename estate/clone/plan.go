package clone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stage"
)

// A Plan is what a clone will be, or goes on to be.
type Plan struct {
	Of          string  `json:"of"`
	Environment string  `json:"environment"`
	From        Cluster `json:"from"`
	To          Cluster `json:"to"`
	// Record is the clone's: a new one, or that of the clone that was begun.
	Record *Record `json:"record"`
	Begun  bool    `json:"begun"` // earlier

	Indices   []Index  `json:"indices"`
	Documents int64    `json:"documents"` // in the sample; estimated
	Bytes     int64    `json:"bytes"`     // of all copies; estimated
	Structure []Object `json:"structure,omitempty"`
	Masked    []Masked `json:"masked,omitempty"`
	Unmasked  []string `json:"unmasked,omitempty"`  // fields that look like personal data and are not masked
	FreeTexts []string `json:"free_text,omitempty"` // fields in which anything may stand, and that are not masked
	Problems  []string `json:"problems,omitempty"`  // with which nothing is begun
	Notes     []string `json:"notes,omitempty"`

	structure *estate.Plan
	groups    []flow.Group // of the indices, as the source gives them
	keyFile   string
	gone      []string // indices of the record that the other environment does not have any more
}

// An Index is an index, or a data stream, that is cloned.
type Index struct {
	Name      string `json:"name"`
	As        string `json:"as"`
	Stream    bool   `json:"stream,omitempty"`
	Documents int64  `json:"documents"` // that there are; -1: not known
	Bytes     int64  `json:"bytes"`     // of its primary shards
	Copies    int64  `json:"copies"`    // that the clone has of each shard
	Sampled   int64  `json:"sampled"`   // estimated
	Takes     int64  `json:"takes"`     // bytes of all copies, estimated
	Whole     bool   `json:"whole"`     // its documents have the field that is sampled by
}

// Object is a template, policy or pipeline, and what happens to it.
type Object struct {
	estate.Key
	Action string `json:"action"`        // create, change, adopt, delete, …; there: it stays as it is
	Why    string `json:"why,omitempty"` // it stays, or cannot be made
}

// ErrDone is that the clone is there, and complete.
var ErrDone = errors.New("the clone is complete")

// NewPlan adds to the options what to declares of clones, and looks at both environments, and at what was begun. Only reading is done. What keeps the clone from being made is
// in Plan.Problems; an error is that it could not be found out, or that the options are wrong.
func NewPlan(ctx context.Context, from, to Side, o Options, getenv func(string) string, now time.Time) (*Plan, error) {
	o.Mask = slices.Clone(o.Mask)
	o.Declared(to.Desired)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p := &Plan{Of: from.Environment, Environment: to.Environment, From: clusterOf(from.Search), To: clusterOf(to.Search), keyFile: o.KeyFile}
	switch {
	case from.Environment == to.Environment:
		return nil, fmt.Errorf("%s cannot be a clone of itself", to.Environment)
	case p.From.UUID == p.To.UUID && o.Prefix == "":
		return nil, fmt.Errorf("%s and %s are the same cluster, %s: its indices would be their own clones; give them other names, like --prefix %s",
			from.Environment, to.Environment, p.From.Name, prefixOf(to.Environment))
	}
	key := ""
	if len(o.Mask) > 0 {
		masker, err := (&stage.Mask{Fields: o.Mask, KeyFile: o.KeyFile}).Open(getenv)
		if err != nil {
			return nil, err
		}
		_, key, _ = strings.Cut(masker.String(), " with key ")
	}
	if err := p.find(ctx, from, to, &o, key, now); err != nil {
		return nil, err
	}
	if err := p.describe(ctx, from, &o); err != nil {
		return nil, err
	}
	if err := p.look(ctx, to, &o); err != nil {
		return nil, err
	}
	if err := p.planStructure(ctx, from, to, now); err != nil {
		return nil, err
	}
	return p, nil
}

func prefixOf(environment string) string {
	name := strings.TrimLeft(strings.ToLower(environment), "-_+.")
	return name + "-"
}

// find takes up the clone that was begun, or makes a new record.
func (p *Plan) find(ctx context.Context, from, to Side, o *Options, key string, now time.Time) error {
	list, err := Records(ctx, to)
	if err != nil {
		return err
	}
	r := &Record{
		ID: newID(now), Estate: to.Estate, Environment: to.Environment, Of: from.Environment, Source: p.From, Indices: o.Indices, Rate: o.Rate, By: o.By,
		Mask: o.Mask, Key: key, Prefix: o.Prefix, Replicas: o.Replicas, Who: estate.Who(), Commit: to.Commit, Began: now.UTC(),
	}
	if r.Rate == 0 {
		r.Rate = 1
	}
	for _, old := range list {
		if old.Of != from.Environment || old.Prefix != o.Prefix {
			continue
		}
		again := fmt.Sprintf("`naru env rm -f %s -e %s` takes it away", to.Dir, to.Environment)
		switch why := old.differs(o, key); {
		case old.Source.UUID != p.From.UUID:
			return fmt.Errorf("%s has a clone of %s, %s, which was then the cluster %s (%s), and is %s (%s); %s", to.Environment, old.Of, old.ID, old.Source.Name, old.Source.UUID, p.From.Name, p.From.UUID, again)
		case old.Expired(now):
			return fmt.Errorf("%s has a clone of %s, %s, whose time was over on %s; %s", to.Environment, old.Of, old.ID, old.Until.Format(time.DateTime), again)
		case why != "":
			return fmt.Errorf("%s has a clone of %s, %s, of %s, which was begun with something else: %s; %s", to.Environment, old.Of, old.ID, old.Began.Format(time.DateTime), why, again)
		}
		r, p.Begun = old, true
	}
	r.Budget = o.Budget
	if o.TTL > 0 {
		r.TTL, r.Until = o.TTL.String(), r.Began.Add(o.TTL)
	} else if !p.Begun {
		r.TTL, r.Until = "", time.Time{}
	}
	p.Record = r
	return nil
}

// describe asks the other environment what it has.
func (p *Plan) describe(ctx context.Context, from Side, o *Options) error {
	options := opensearch.SourceOptions{Indices: o.Indices, Streams: true}
	if p.Begun {
		options.Indices, options.Absent = p.Record.exactly(), true
	}
	source, err := opensearch.NewSource(ctx, from.Search, options)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // it keeps nothing that was not read
	if p.groups, err = source.Groups(ctx); err != nil {
		return err
	}
	streams, err := streamsOf(ctx, from.Search)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	all := map[string]*fields{}
	var primary float64
	for _, g := range p.groups {
		names[g.Name] = true
		x := Index{Name: g.Name, As: o.Prefix + g.Name, Stream: streams[g.Name] && o.Prefix == "", Documents: g.Records, Bytes: g.Bytes}
		var meta sourceMeta
		if err := json.Unmarshal(g.Meta, &meta); err != nil {
			return fmt.Errorf("what %s says of %s: %w", from.Search, g.Name, err)
		}
		x.Copies = 1 + int64(o.Replicas)
		if o.Replicas < 0 {
			x.Copies = 1 + meta.replicas()
		}
		all[g.Name] = fieldsOf(meta.Mappings["_doc"])
		if o.By != "" {
			named, hidden := all[g.Name].has(o.By)
			x.Whole = named || hidden
		}
		if g.Grade == flow.Unreadable {
			p.Problems = append(p.Problems, fmt.Sprintf("%s cannot be read: %s", g.Name, g.Why))
		}
		primary += float64(x.Bytes) * float64(x.Copies)
		p.Indices = append(p.Indices, x)
	}
	slices.SortFunc(p.Indices, func(a, b Index) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range p.Record.Made {
		if !names[m.Of] {
			p.gone = append(p.gone, m.Of)
		}
	}
	if len(p.gone) > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s does not have any more: %s", p.Of, strings.Join(p.gone, ", ")))
	}
	if len(p.Indices) == 0 && !p.Begun {
		p.Problems = append(p.Problems, p.Of+" has no index to clone")
	}
	p.fit(primary)
	p.estimate()
	p.judge(o, all)
	return nil
}

// fit lowers the rate until the clone is within its budget.
func (p *Plan) fit(primary float64) {
	r := p.Record
	if r.Budget == 0 || p.Begun || primary*float64(r.Rate) <= float64(r.Budget) {
		return
	}
	fits := twoDigits(float64(r.Budget) / primary)
	r.Asked, r.Rate = r.Rate, stage.Rate(fits)
	p.Notes = append(p.Notes, fmt.Sprintf("%s of %s would take about %s, more than the budget of %s: the rate is lowered to %s",
		r.Asked, p.Of, bytesText(int64(primary*float64(r.Asked))), bytesText(r.Budget), r.Rate))
}

// twoDigits cuts a share to two significant digits, so that it can be read and written.
func twoDigits(f float64) float64 {
	digits := strconv.FormatFloat(f, 'e', 1, 64)
	out, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		panic("BUG: " + err.Error()) // it was just written
	}
	if out > f { // it was rounded up
		step := math.Pow(10, math.Floor(math.Log10(f))-1)
		out, err = strconv.ParseFloat(strconv.FormatFloat(out-step, 'e', 1, 64), 64)
		if err != nil {
			panic("BUG: " + err.Error())
		}
	}
	return out
}

func (p *Plan) estimate() {
	rate := float64(p.Record.Rate)
	for i := range p.Indices {
		x := &p.Indices[i]
		x.Sampled = int64(math.Round(float64(max(x.Documents, 0)) * rate))
		x.Takes = int64(float64(x.Bytes) * float64(x.Copies) * rate)
		p.Documents += x.Sampled
		p.Bytes += x.Takes
	}
}

// judge says what is wrong, or odd, about the fields.
func (p *Plan) judge(o *Options, all map[string]*fields) {
	if o.By != "" && !slices.ContainsFunc(p.Indices, func(x Index) bool { return x.Whole }) && len(p.Indices) > 0 {
		p.Problems = append(p.Problems, fmt.Sprintf("no mapping has the field %s that is sampled by%s", o.By, nearest(o.By, all)))
	} else if o.By != "" {
		var without []string
		for _, x := range p.Indices {
			if !x.Whole {
				without = append(without, x.Name)
			}
		}
		if len(without) > 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("sampled by their ids, as their mappings have no %s: %s", o.By, shortened(without)))
		}
	}
	var problems []string
	p.Masked, problems = checkMask(o.Mask, all)
	p.Problems = append(p.Problems, problems...)
	for _, m := range p.Masked {
		if m.Unnamed > 0 && m.Indices == 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("no mapping names %s; it is masked in the documents of those %d that may have it all the same", m.Field, m.Unnamed))
		}
	}
	p.Unmasked, p.FreeTexts = suspects(o.Mask, all)
	if p.Documents == 0 && len(p.Indices) > 0 && !p.Begun {
		p.Notes = append(p.Notes, "the sample is so small that it may have no document")
	}
}

// look finds out what of the clone is there, and what stands in its way.
func (p *Plan) look(ctx context.Context, to Side, o *Options) error {
	var aliases map[string]struct {
		Aliases map[string]json.RawMessage `json:"aliases"`
	}
	if err := to.Search.JSON(ctx, http.MethodGet, "/_alias?expand_wildcards=all", nil, &aliases); err != nil {
		return fmt.Errorf("list the indices of %s: %w", to.Search, err)
	}
	streams, err := streamsOf(ctx, to.Search)
	if err != nil {
		return err
	}
	made := map[string]*Made{}
	for _, m := range p.Record.Made {
		made[m.Name] = m
	}
	if !p.Begun {
		for _, x := range p.Indices {
			m := &Made{Of: x.Name, Name: x.As, Stream: x.Stream}
			p.Record.Made, made[x.As] = append(p.Record.Made, m), m
		}
	}
	holders := map[string]string{} // of aliases, that are not the clone's
	for index, x := range aliases {
		for alias := range x.Aliases {
			if made[index] == nil {
				holders[alias] = index
			}
		}
	}
	for _, m := range p.Record.Made {
		_, there := aliases[m.Name]
		switch {
		case holders[m.Name] != "":
			p.problem("%s has an alias %s; give the clone's indices other names (--prefix)", to.Environment, m.Name)
			continue
		case streams[m.Name] != m.Stream && streams[m.Name]:
			p.problem("%s has a data stream %s; give the clone's indices other names (--prefix)", to.Environment, m.Name)
			continue
		case !there && !streams[m.Name]:
			continue
		}
		ours, err := p.Record.marked(ctx, to.Search, m)
		if err != nil {
			return err
		}
		if !ours && (!m.Stream || m.There || !p.Begun) {
			p.problem("%s has an index %s that this clone did not make, and does not write to: leave it out (--index), or give the clone's indices other names (--prefix)", to.Environment, m.Name)
		}
	}
	for _, g := range p.groups {
		var meta sourceMeta
		if err := json.Unmarshal(g.Meta, &meta); err != nil {
			return err
		}
		for alias, a := range meta.Aliases {
			if holder := holders[o.Prefix+alias]; holder != "" && a["is_write_index"] == true && !p.Begun {
				p.problem("the alias %s, whose write index is %s in %s, is that of %s in %s", o.Prefix+alias, g.Name, p.Of, holder, to.Environment)
			}
			if _, index := aliases[o.Prefix+alias]; index {
				p.problem("%s has an index of the name %s, which is an alias of %s in %s", to.Environment, o.Prefix+alias, g.Name, p.Of)
			}
		}
	}
	return nil
}

func (p *Plan) problem(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(p.Problems, text) {
		p.Problems = append(p.Problems, text)
	}
}

// exactly are patterns that match what the clone makes indices of, and nothing else.
func (r *Record) exactly() flow.Patterns {
	out := flow.Patterns{"-*"}
	for _, m := range r.Made {
		out = append(out, strings.ReplaceAll(m.Of, "[", `\[`))
	}
	return out
}

// sourceMeta is what a group of a cluster says of its index.
type sourceMeta struct {
	Mappings map[string]map[string]any `json:"mappings"`
	Settings map[string]any            `json:"settings"`
	Aliases  map[string]map[string]any `json:"aliases"`
}

func (m *sourceMeta) replicas() int64 {
	n, err := strconv.ParseInt(fmt.Sprint(m.Settings["index.number_of_replicas"]), 10, 32)
	if err != nil || n < 0 {
		return 1
	}
	return n
}

// streamsOf names the data streams of a cluster; of one that knows none, none.
func streamsOf(ctx context.Context, c *opensearch.Client) (map[string]bool, error) {
	var answer struct {
		Streams []struct{ Name string } `json:"data_streams"`
	}
	err := c.JSON(ctx, http.MethodGet, "/_data_stream", nil, &answer)
	if e, ok := errors.AsType[*opensearch.StatusError](err); ok && !e.Temporary() && e.Status < 500 && e.Status != http.StatusUnauthorized {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the data streams of %s: %w", c, err)
	}
	out := map[string]bool{}
	for _, s := range answer.Streams {
		out[s.Name] = true
	}
	return out, nil
}

// shortened names some, and how many there are.
func shortened(names []string) string {
	const most = 8
	names = slices.Sorted(slices.Values(names))
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func bytesText(n int64) string {
	unit, f := "B", float64(n)
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 {
			break
		}
		unit, f = u, f/1024
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}
