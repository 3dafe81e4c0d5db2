package cost

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Rule is a change to think through: "replicas=0@30d", "retention=14d", "codec=zstd", "shards=1", "rollover=50GiB", each with
// ":PATTERN" of families or indices, or for all whose names count up.
type Rule struct {
	What    string  `json:"what"`
	Number  int     `json:"number,omitempty"`
	Days    float64 `json:"days,omitempty"`
	Size    Bytes   `json:"size,omitempty"`
	Codec   string  `json:"codec,omitempty"`
	Pattern string  `json:"pattern,omitempty"`
	text    string
}

func (r Rule) String() string { return r.text }

const ruleForms = "replicas=N[@AGE], retention=AGE, codec=zstd|best_compression|default, shards=N, rollover=SIZE; each may end in :PATTERN"

// ParseRules reads rules with commas between them.
func ParseRules(text string) ([]Rule, error) {
	var out []Rule
	for part := range strings.SplitSeq(text, ",") {
		r, err := parseRule(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("%q: %w; a what-if is %s", part, err, ruleForms)
		}
		out = append(out, r)
	}
	return out, nil
}

func parseRule(text string) (Rule, error) {
	r := Rule{text: text}
	what, value, ok := strings.Cut(text, "=")
	if !ok {
		return r, fmt.Errorf("no = in it")
	}
	if value, r.Pattern, ok = strings.Cut(value, ":"); ok {
		if _, err := path.Match(r.Pattern, ""); err != nil || r.Pattern == "" {
			return r, fmt.Errorf("%q is no pattern", r.Pattern)
		}
	}
	number := func(s string, least int) (n int, err error) {
		if n, err = strconv.Atoi(s); err != nil || n < least || n > 1<<20 {
			return 0, fmt.Errorf("%q is no number from %d", s, least)
		}
		return n, nil
	}
	var err error
	switch r.What = what; what {
	case "replicas":
		n, at, aged := strings.Cut(value, "@")
		if r.Number, err = number(n, 0); err == nil && aged {
			if r.Days = days(at); r.Days <= 0 {
				err = fmt.Errorf("%q is no age like 30d", at)
			}
		}
	case "retention":
		if r.Days = days(value); r.Days <= 0 {
			err = fmt.Errorf("%q is no age like 30d", value)
		}
	case "codec":
		if r.Codec = value; !slices.Contains([]string{"default", "best_compression", "zstd", "zstd_no_dict"}, value) {
			err = fmt.Errorf("no such codec")
		}
	case "shards":
		r.Number, err = number(value, 1)
	case "rollover":
		if r.Size, err = ParseBytes(value); err == nil && r.Size < MiB {
			err = fmt.Errorf("%q is no size like 50GiB", value)
		}
	default:
		err = fmt.Errorf("nothing is called %q", what)
	}
	return r, err
}

// fits reports that the rule is for the index of the family.
func (r *Rule) fits(f *Family, x *Index) bool {
	if r.Pattern == "" {
		return f.Counts && !f.system()
	}
	yes, err := path.Match(r.Pattern, x.Name)
	return err == nil && yes || r.Pattern == f.Name
}

// Totals are what indices take.
type Totals struct {
	Indices    int   `json:"indices"`
	Primary    Bytes `json:"primary_bytes"`
	Copies     Bytes `json:"bytes"` // of all copies
	Shards     int   `json:"shards"`
	Active     int   `json:"active_shards"` // that are written to
	MostCopies int   `json:"most_copies"`   // of a shard
}

func (t *Totals) add(o Totals) {
	t.Indices += o.Indices
	t.Primary += o.Primary
	t.Copies += o.Copies
	t.Shards += o.Shards
	t.Active += o.Active
	t.MostCopies = max(t.MostCopies, o.MostCopies)
}

// ratio is what is left of a size when its codec becomes another.
func ratio(from, to string, k *Constants) float64 {
	of := func(codec string) float64 {
		switch codec {
		case "best_compression", "zlib":
			return k.of(ratioCompressed)
		case "zstd", "zstd_no_dict":
			return k.of(ratioZstd)
		}
		return 1
	}
	if to == "" {
		return 1
	}
	return of(to) / of(from)
}

// now is what the family's indices take as they are, after the rules.
func (f *Family) now(facts *Facts, rules []Rule, k *Constants) (t Totals) {
	newest := f.newest()
	for _, x := range f.Indices {
		primary, replicas, primaries, gone := float64(x.Primary), x.Replicas, x.Primaries, false
		for i := range rules {
			r := &rules[i]
			if !r.fits(f, x) {
				continue
			}
			age := x.age(facts.At)
			switch r.What {
			case "replicas":
				if age >= r.Days {
					replicas = r.Number
				}
			case "retention":
				gone = gone || age > r.Days && x != newest
			case "codec":
				primary *= ratio(x.Codec, r.Codec, k)
			case "shards":
				primaries = r.Number
			}
		}
		if gone {
			continue
		}
		one := Totals{Indices: 1, Primary: Bytes(primary), Copies: Bytes(primary * float64(1+replicas)), Shards: primaries * (1 + replicas), MostCopies: 1 + replicas}
		if (x.Written > 0 && (x == newest || !f.Counts) || x == newest && x.Counting.IsZero()) && f.busy(primaries, k) {
			one.Active = one.Shards
		}
		t.add(one)
	}
	return t
}

// busy reports that each of so many primary shards has something to do, as far as that is known.
func (f *Family) busy(primaries int, k *Constants) bool {
	return f.Growth == nil || float64(f.Growth.Likely)/float64(max(1, primaries)) >= k.bytes(activeLeast)
}

// A Projection is what a family takes once all its indices are as templates and policies have it.
type Projection struct {
	Totals
	Steady bool   `json:"steady"` // from its growth and its retention; else from the indices that there are
	How    string `json:"how"`
}

// steady projects the family under objects, after the rules.
func (f *Family) steady(facts *Facts, objects *Objects, rules []Rule, k *Constants) Projection {
	newest := f.newest()
	life := objects.life(newest.Name)
	replicas, primaries := newest.Replicas, newest.Primaries
	if life.Template != "" {
		replicas, primaries = life.Replicas, life.Primaries
	}
	codec := newest.Codec
	if life.Template != "" && life.Codec != "" {
		codec = life.Codec
	}
	for i := range rules {
		r := &rules[i]
		if !r.fits(f, newest) {
			continue
		}
		switch r.What {
		case "replicas":
			if r.Days == 0 {
				replicas, life.Steps = r.Number, nil
				break
			}
			life.Steps = slices.DeleteFunc(slices.Clone(life.Steps), func(s Step) bool { return s.Days >= r.Days })
			life.Steps = append(life.Steps, Step{r.Days, r.Number})
		case "retention":
			life.Retention = r.Days
		case "codec":
			codec = r.Codec
		case "shards":
			primaries = r.Number
		case "rollover":
			life.Size, life.ShardSize, life.Days = r.Size, 0, 0
		}
	}
	if f.Growth == nil || !f.Counts || life.Retention == 0 {
		return f.asItIs(facts, life, replicas, rules, k)
	}
	perDay := float64(f.Growth.Likely) * ratio(newest.Codec, codec, k)
	every := f.Growth.Every
	if rolled := life.every(perDay, primaries); rolled > 0 {
		every = rolled
	}
	p := Projection{Steady: true}
	var parts []string
	shards := 0.0
	bounds := []Step{{0, replicas}}
	for _, s := range life.Steps {
		if s.Days < life.Retention && s.Days > bounds[len(bounds)-1].Days {
			bounds = append(bounds, s)
		} else if s.Days <= bounds[len(bounds)-1].Days {
			bounds[len(bounds)-1].Replicas = s.Replicas
		}
	}
	for i, from := range bounds {
		to := life.Retention
		if i+1 < len(bounds) {
			to = bounds[i+1].Days
		}
		span := to - from.Days
		p.Copies += Bytes(perDay * span * float64(1+from.Replicas))
		shards += span / every * float64(primaries) * float64(1+from.Replicas)
		p.MostCopies = max(p.MostCopies, 1+from.Replicas)
		parts = append(parts, fmt.Sprintf("%s × %s", shortDays(round2(span)), copiesText(1+from.Replicas)))
	}
	p.Primary = Bytes(perDay * life.Retention)
	p.Indices = int(math.Ceil(life.Retention/every)) + 1
	p.Shards = int(math.Ceil(shards)) + primaries*(1+replicas) // the index that is being written
	if f.busy(primaries, k) {
		p.Active = primaries * (1 + replicas)
	}
	p.How = fmt.Sprintf("%s a day × (%s)", Bytes(perDay), strings.Join(parts, " + "))
	return p
}

func copiesText(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}

func round2(v float64) float64 { return math.Round(v*100) / 100 }

// every is how many days an index takes until it is rolled over; 0: nothing says.
func (l *Life) every(perDay float64, primaries int) float64 {
	if perDay <= 0 {
		return l.Days
	}
	every := math.Inf(1)
	if l.Size > 0 {
		every = float64(l.Size) / perDay
	}
	if l.ShardSize > 0 {
		every = min(every, float64(l.ShardSize)*float64(max(1, primaries))/perDay)
	}
	if l.Days > 0 {
		every = min(every, l.Days)
	}
	if math.IsInf(every, 1) {
		return 0
	}
	return max(every, 1.0/24)
}

// asItIs takes the indices that there are: of one that does not count up, nothing but a new one would be another. Policies change
// the replicas of those that are old enough.
func (f *Family) asItIs(facts *Facts, life Life, replicas int, rules []Rule, k *Constants) Projection {
	shaped := *f
	shaped.Indices = make([]*Index, len(f.Indices))
	for i, x := range f.Indices {
		y := *x
		if f.Counts && life.Template != "" {
			y.Replicas = replicas
		}
		y.Replicas = life.at(y.age(facts.At), y.Replicas)
		shaped.Indices[i] = &y
	}
	p := Projection{Totals: shaped.now(facts, rules, k), How: "the indices that there are"}
	switch {
	case f.Growth != nil && life.Retention == 0:
		p.How += fmt.Sprintf("; no policy deletes them, and they grow by %s of primary shards a day", f.Growth.Likely)
	case f.Counts && f.Growth == nil:
		p.How += "; there are too few of them to see how fast they grow"
	}
	return p
}
