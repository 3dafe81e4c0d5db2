package estate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate/measure"
	"github.com/narudata/naru/internal/words"
)

// An Action is what is done to an object.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "change"
	Delete Action = "delete"
	Adopt  Action = "adopt"  // it is there and is taken over as it is; nothing is changed
	Forget Action = "forget" // it is gone already, or given back: only the record goes
)

// A Risk says how much care a change wants.
type Risk string

// The risks, from the least.
const (
	NoRisk Risk = "none"
	Low    Risk = "low"
	Medium Risk = "medium"
	High   Risk = "high"
)

var risks = []Risk{NoRisk, Low, Medium, High}

func worse(a, b Risk) Risk {
	return risks[max(0, slices.Index(risks, a), slices.Index(risks, b))]
}

// A Change is what happens to one object.
type Change struct {
	Key
	Action  Action   `json:"action"`
	Fields  []Field  `json:"fields,omitempty"`
	Effects []string `json:"effects,omitempty"` // what it means, beyond the fields
	Risk    Risk     `json:"risk"`
	// Irreversible says what an undo would not bring back; "": an undo brings all back.
	Irreversible string   `json:"irreversible,omitempty"`
	Outside      bool     `json:"changed_outside,omitempty"` // it is not as it was applied last
	Problem      string   `json:"problem,omitempty"`         // why it cannot be applied
	Files        []string `json:"files,omitempty"`

	Body     json.RawMessage `json:"body,omitempty"`     // what is sent; none: it is there already
	Declared json.RawMessage `json:"declared,omitempty"` // what the record says was declared, afterwards
	Before   Seen            `json:"before"`
	// Then is what the record is afterwards, for an undo; nil: what Declared says.
	Then *Record `json:"then,omitempty"`

	// ChangeManaged has the indices that an ISM policy manages go on with its new version.
	ChangeManaged bool `json:"change_managed,omitempty"`

	pending bool // an apply began it and did not finish
	grave   bool // what it touches was found to make it a high risk
}

// Seen is the state of an object that a plan was made from. An apply refuses another one.
type Seen struct {
	Hash   string    `json:"hash"` // of the canonical body; "absent"
	SeqNo  int64     `json:"seq_no,omitempty"`
	Term   int64     `json:"term,omitempty"`
	Record seenState `json:"record"`
}

// PlanVersion is the format of plans.
const PlanVersion = "naru.dev/plan/v1"

// A Plan is all that it takes for a cluster to be what is declared.
type Plan struct {
	Version     string            `json:"version"`
	ID          string            `json:"id"`
	Approval    string            `json:"approval,omitempty"` // the plan's Fingerprint, which is what somebody approves; none: it does nothing, or not all that is declared is in it
	What        string            `json:"what"`               // apply, undo, repair
	Undoes      string            `json:"undoes,omitempty"`
	Estate      string            `json:"estate"`
	Environment string            `json:"environment"`
	Target      opensearch.Target `json:"target"`
	Kafka       *kafka.Config     `json:"kafka,omitempty"`      // nil: the environment has none
	Dashboards  *DashboardsTarget `json:"dashboards,omitempty"` // nil: the environment has none
	Cluster     Cluster           `json:"cluster"`
	Commit      Commit            `json:"commit,omitzero"`
	Made        time.Time         `json:"made"`
	Changes     []Change          `json:"changes"` // in the order in which they are applied
	Unchanged   int               `json:"unchanged"`
	Notes       []string          `json:"notes,omitempty"`
	Measure     measure.Settings  `json:"measure,omitzero"` // how its apply is measured, unless told
}

// A Cluster is what a plan is for, and no other.
type Cluster struct {
	Name    string `json:"name"`
	UUID    string `json:"uuid"`
	Version string `json:"version"`
	Kafka   string `json:"kafka,omitempty"` // the id of the Kafka cluster; "": the environment has none
}

// Problems counts the changes that cannot be applied.
func (p *Plan) Problems() int {
	n := 0
	for i := range p.Changes {
		if p.Changes[i].Problem != "" {
			n++
		}
	}
	return n
}

// Count counts the changes with an action.
func (p *Plan) Count(a Action) int {
	n := 0
	for i := range p.Changes {
		if p.Changes[i].Action == a {
			n++
		}
	}
	return n
}

// NewPlan compares what is declared, what was applied last and what is there. It asks the cluster about templates and
// pipelines that differ: whether it would take them, and whether two ways of writing mean the same. About those that are
// new and plain it asks together (see combined); about the first MostAsked of the others, or about all.
func NewPlan(ctx context.Context, t *Target, d *Desired, o *Observed, askAll bool, now time.Time) (*Plan, error) {
	p := newPlan("apply", d, o, now)
	o.refs = nil
	var mu sync.Mutex // guards p.Changes and p.Unchanged
	g, asking := errgroup.WithContext(ctx)
	const questions = 8 // at a time
	g.SetLimit(questions)
	asked, unasked := 0, 0
	var changes, created []*Change
	for _, key := range o.relevant(d) {
		change := decide(d, o, key)
		if change == nil {
			mu.Lock()
			p.Unchanged++
			mu.Unlock()
			continue
		}
		if change.asks() && change.Action == Create {
			created = append(created, change)
			continue
		}
		changes = append(changes, change)
	}
	together, alone := combined(created)
	var left, unfound atomic.Int64
	left.Store(int64(len(together) + MostAsked))
	if askAll {
		left.Store(math.MaxInt64)
	}
	for _, c := range together {
		g.Go(func() error {
			if err := c.ask(asking, t, o, &left, &unfound); err != nil {
				return fmt.Errorf("ask %s about %s and others: %w", t.Search, c.changes[0].Key, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, ch := range c.changes {
				p.Changes = append(p.Changes, *ch)
			}
			return nil
		})
	}
	for _, change := range append(changes, alone...) {
		if change.asks() {
			if asked++; asked > MostAsked && !askAll {
				unasked++
				mu.Lock()
				p.Changes = append(p.Changes, *change)
				mu.Unlock()
				continue
			}
		}
		g.Go(func() error {
			same, err := change.ask(asking, t, o)
			if err != nil {
				return fmt.Errorf("ask %s about %s: %w", t.Search, change.Key, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if same {
				p.Unchanged++
				return nil
			}
			p.Changes = append(p.Changes, *change)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if unasked += int(unfound.Load()); unasked > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("the cluster was not asked about %d of %d changes, whether it would take them (--ask-all asks about each)", unasked, asked+len(created)-len(alone)))
	}
	p.Notes = append(p.Notes, slices.Concat(d.Notes, o.unseen(d))...)
	if err := o.inquire(ctx, t, p.Changes, now); err != nil {
		return nil, err
	}
	for i := range p.Changes {
		explain(&p.Changes[i], d, o, now)
	}
	if err := p.hold(ctx, t, d, now); err != nil {
		return nil, err
	}
	p.order()
	if len(p.Changes) > 0 && o.elsewhere(d) == 0 {
		p.Approval = p.Fingerprint()
	}
	p.finish()
	return p, nil
}

// MostAsked is about how many changes a plan asks the cluster one by one unless told to ask about all.
const MostAsked = 100

func newPlan(what string, d *Desired, o *Observed, now time.Time) *Plan {
	return &Plan{
		Version: PlanVersion, What: what, Estate: d.Estate, Environment: d.Environment, Target: d.Target, Kafka: d.Kafka, Dashboards: d.Dashboards, Commit: d.Commit, Made: now.UTC(),
		Cluster: Cluster{o.Cluster.Name, o.Cluster.UUID, o.Cluster.String(), o.Kafka}, Changes: []Change{}, Measure: d.Measure,
	}
}

// finish gives the plan its id: a hash of what it holds, however its texts are escaped.
func (p *Plan) finish() {
	p.ID = ""
	content, err := decodeBody(text(p))
	if err != nil {
		panic("BUG: " + err.Error()) // it was just written
	}
	sum := sha256.Sum256(text(content))
	p.ID = hex.EncodeToString(sum[:6])
}

// ReadPlan reads a plan that was written to a file, and refuses one that was changed since.
func ReadPlan(file string) (*Plan, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := new(Plan)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("%s is no plan: %w", file, err)
	}
	if p.Version != PlanVersion {
		return nil, fmt.Errorf("%s has the version %q, not %s: make it anew with this naru", file, p.Version, PlanVersion)
	}
	id := p.ID
	if p.finish(); p.ID != id {
		return nil, fmt.Errorf("%s is not what `naru plan` wrote: its id is %s, its content's %s; make it anew", file, id, p.ID)
	}
	for i := range p.Changes {
		if ch := &p.Changes[i]; kinds[ch.Kind] == nil || ch.Name == "" {
			return nil, fmt.Errorf("%s: change %d is of no kind that naru knows: %q", file, i+1, ch.Key)
		}
	}
	return p, p.Target.Validate()
}

// relevant gives the keys of what is declared, and of what the estate owns.
func (o *Observed) relevant(d *Desired) []Key {
	all := map[Key]bool{}
	for key := range d.Objects {
		all[key] = o.Missing[key.Kind] == nil
	}
	maps.DeleteFunc(all, func(_ Key, there bool) bool { return !there })
	for key, r := range o.Records {
		if r.ownedBy(d) && kinds[key.Kind] != nil && o.Missing[key.Kind] == nil {
			all[key] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), compareKeys)
}

// unseen says what the estate owns and cannot be looked at.
func (o *Observed) unseen(d *Desired) []string {
	count := map[Kind]int{}
	for key, r := range o.Records {
		if r.ownedBy(d) && o.Missing[key.Kind] != nil && d.Objects[key] == nil {
			count[key.Kind]++
		}
	}
	var notes []string
	elsewhere := o.elsewhere(d)
	if elsewhere > 0 {
		notes = append(notes, words.Of(elsewhere, "flow or pipeline is", "flows and pipelines are")+" declared, and nothing here runs such: that is for the operator, by `naru env render`")
	}
	for _, k := range Kinds {
		if n := count[k]; n > 0 {
			notes = append(notes, fmt.Sprintf("%s left alone, which %s applied once: %s", words.Of(n, "object of "+string(k)+" is", "objects of "+string(k)+" are"), map[bool]string{true: "was", false: "were"}[n == 1], o.Missing[k]))
		}
	}
	return notes
}

// elsewhere counts what is declared and does not run here.
func (o *Observed) elsewhere(d *Desired) (n int) {
	for key := range d.Objects {
		if o.Missing[key.Kind] != nil {
			n++
		}
	}
	return n
}

// decoded is a body of a record.
func decoded(raw json.RawMessage) Body {
	if len(raw) == 0 {
		return nil
	}
	b, err := decodeBody(raw)
	if err != nil {
		return nil // then it counts as never applied
	}
	return b
}

// declaredBody is the body that the cluster is to have: patterns of an alias as indices.
func (o *Observed) declaredBody(key Key, body Body) Body {
	if key.Kind == Aliases && body != nil {
		return expanded(body, o.Indices)
	}
	return body
}

// decide says what happens to one object; nil: nothing.
func decide(d *Desired, o *Observed, key Key) *Change {
	r := o.Records[key]
	var declared Body
	ch := &Change{Key: key, Risk: NoRisk}
	if obj := d.Objects[key]; obj != nil {
		declared, ch.Files = o.declaredBody(key, obj.Body), obj.Files
		if key.Kind == Aliases && len(object(declared, "indices")) == 0 { // its patterns match no index: there cannot be such an alias yet
			if r == nil {
				return nil
			}
			declared = nil
		}
	}
	var lastDeclared, lastObserved Body
	if r != nil {
		lastDeclared, lastObserved = decoded(r.Declared), decoded(r.Observed)
		ch.Before.Record = r.state
		ch.pending = r.Pending != nil
	}
	live := o.view(key, declared, lastDeclared, pendingBody(r))
	ch.see(live)
	if r != nil && !r.ownedBy(d) {
		ch.Action = Update
		ch.Problem = fmt.Sprintf("it belongs to the environment %s of the estate %s; remove it there first, or give it another name here", r.Environment, r.Estate)
		return ch
	}
	if live != nil && live.Reserved && declared != nil {
		ch.Action = Update
		ch.Problem = "it is reserved, hidden or static: the system has it from its own files, and lets nobody change it by its API"
		return ch
	}
	was := canonical(key, bodyOf(live))
	if lastObserved != nil {
		ch.Outside = !equal(was, lastObserved)
	}
	switch {
	case declared == nil && d.Objects[key.twin()] != nil: // it stands in another folder now
		ch.Action = Forget
		return ch
	case declared == nil:
		return ch.gone(live, r, was)
	case live == nil:
		ch.Action = Create
		ch.send(declared)
		ch.onlyNewMoves(declared, lastDeclared)
		return ch
	}
	want := canonical(key, declared)
	compared := clone(want)
	if leave := kinds[key.Kind].leave; leave != nil {
		leave(compared, live)
	}
	ch.Fields = compare(compared, was, lastDeclared, lastObserved)
	switch {
	case r == nil:
		ch.Action = Adopt // as it is: what is different stays for the next plan
		ch.Declared = text(was)
		if len(ch.Fields) == 0 {
			ch.Declared = text(want)
		}
	case len(ch.Fields) > 0:
		ch.Action = Update
		ch.send(declared)
		ch.ChangeManaged = key.Kind == ISMPolicies && d.ChangeManaged
		ch.onlyNewMoves(declared, lastDeclared)
		if key.Kind == KafkaACLs && lastDeclared != nil && scopeOf(declared) != scopeOf(lastDeclared) {
			ch.Problem = "it was the list of another principal or resource: a list keeps what it is about; give this one another name"
		}
	case ch.pending && key.Kind == ISMPolicies && d.ChangeManaged: // it may not have reached its indices
		ch.Action, ch.Declared, ch.ChangeManaged = Update, text(want), true
	case ch.pending || lastObserved == nil || ch.Outside && key.Kind != Aliases:
		ch.Action, ch.Declared = Adopt, text(want) // it is as it should be; the record does not know
	default:
		return nil
	}
	return ch
}

// gone decides about what is not declared any more.
func (ch *Change) gone(live *Live, r *Record, was Body) *Change {
	intent := pendingBody(r)
	switch {
	case live == nil:
		ch.Action = Forget
	case ch.Kind == KafkaGroups: // where it stands is the group's own
		ch.Action = Forget
	case live.Reserved: // it is the system's now
		ch.Action = Forget
	case len(r.Observed) == 0 && (intent == nil || len(compare(canonical(ch.Key, intent), was, nil, nil)) > 0):
		ch.Action = Forget // an apply meant to make it and did not: what is there is somebody else's
	default:
		ch.Action = Delete
	}
	return ch
}

// pendingBody is what an apply meant to send and did not say it did.
func pendingBody(r *Record) Body {
	if r == nil || r.Pending == nil {
		return nil
	}
	return decoded(r.Pending.Declared)
}

func bodyOf(live *Live) Body {
	if live == nil {
		return nil
	}
	return live.Body
}

// see notes the state of the object that the change is made from.
func (ch *Change) see(live *Live) {
	ch.Before.Hash = hash(canonical(ch.Key, bodyOf(live)))
	if live != nil {
		ch.Before.SeqNo, ch.Before.Term = live.SeqNo, live.Term
	}
}

// send sets what is sent and recorded.
func (ch *Change) send(declared Body) {
	ch.Body, ch.Declared = text(declared), text(canonical(ch.Key, declared))
}

// asks reports that there is something to ask the cluster about the change.
func (ch *Change) asks() bool {
	return kinds[ch.Kind].ask != nil && ch.Problem == "" && (ch.Action == Create || ch.Action == Update)
}

// refuses reports that an answer says that the cluster would not take what it was asked about.
func refuses(err error) bool {
	e, said := errors.AsType[*opensearch.StatusError](err)
	return said && !e.Temporary() && e.Status >= 400 && e.Status < 500 && e.Status != 401 && e.Status != 403
}

// ask has the cluster say whether it would take the body, and whether it and what is there mean the same.
func (ch *Change) ask(ctx context.Context, t *Target, o *Observed) (same bool, err error) {
	if !ch.asks() {
		return false, nil
	}
	ask := kinds[ch.Kind].ask
	effect, err := ask(ctx, t, decoded(ch.Body))
	if refuses(err) {
		e, _ := errors.AsType[*opensearch.StatusError](err)
		ch.Problem = "the cluster would refuse it: " + e.Reason
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if effect == nil || ch.Action != Update || slices.ContainsFunc(ch.Fields, func(f Field) bool { return !under(f.Path, "template.mappings") }) {
		return false, nil
	}
	is, err := ask(ctx, t, o.view(ch.Key).Body)
	if err != nil {
		return false, nil //nolint:nilerr // what is there is odd; then the difference counts
	}
	return equal(effect, is), nil
}

// order sorts the changes into the order of their application: what others name first, deletions last and the other
// way round.
func (p *Plan) order() {
	depths := p.depths()
	slices.SortFunc(p.Changes, func(a, b Change) int {
		switch {
		case a.removes() && b.removes():
			return compareKeys(b.Key, a.Key)
		case a.removes():
			return 1
		case b.removes():
			return -1
		case a.Kind == b.Kind && a.Kind == IngestPipelines:
			return cmp.Or(cmp.Compare(depths[a.Name], depths[b.Name]), cmp.Compare(a.Name, b.Name))
		}
		return compareKeys(a.Key, b.Key)
	})
}

// depths says how many pipelines of the plan, one calling the next, come before each. Where they call each other in a
// circle, any order is as good.
func (p *Plan) depths() map[string]int {
	calls := map[string][]string{}
	for i := range p.Changes {
		if ch := &p.Changes[i]; ch.Kind == IngestPipelines && !ch.removes() {
			calls[ch.Name] = ch.calls()
		}
	}
	depths := map[string]int{}
	var depth func(name string) int
	depth = func(name string) int {
		if d, known := depths[name]; known {
			return d
		}
		depths[name] = 0 // in a circle
		d := 0
		for _, called := range calls[name] {
			if _, changes := calls[called]; changes && called != name {
				d = max(d, depth(called)+1)
			}
		}
		depths[name] = d
		return d
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		depth(name)
	}
	return depths
}

// pipelinesIn are the pipelines that a pipeline's processors call.
func pipelinesIn(v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		if called, ok := v["pipeline"].(map[string]any); ok {
			if name, ok := called["name"].(string); ok {
				out = append(out, name)
			}
		}
		for _, x := range v {
			out = append(out, pipelinesIn(x)...)
		}
	case []any:
		for _, x := range v {
			out = append(out, pipelinesIn(x)...)
		}
	}
	return out
}

// Summary says in one line what the plan does.
func (p *Plan) Summary() string {
	if len(p.Changes) == 0 {
		return fmt.Sprintf("No changes: the cluster has what is declared (%d unchanged).", p.Unchanged)
	}
	var parts []string
	for _, a := range []struct {
		action Action
		text   string
	}{{Create, "create"}, {Update, "change"}, {Delete, "delete"}, {Adopt, "adopt"}, {Forget, "forget"}} {
		if n := p.Count(a.action); n > 0 {
			parts = append(parts, fmt.Sprintf("%d to %s", n, a.text))
		}
	}
	risk := NoRisk
	for i := range p.Changes {
		risk = worse(risk, p.Changes[i].Risk)
	}
	return fmt.Sprintf("%s, %d unchanged. Highest risk: %s.", strings.Join(parts, ", "), p.Unchanged, cmp.Or(risk, NoRisk))
}
