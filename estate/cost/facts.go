package cost

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Facts are what was seen of an environment.
type Facts struct {
	Environment string    `json:"environment"`
	Cluster     string    `json:"cluster"`
	Version     string    `json:"version"`
	At          time.Time `json:"at"`
	Managed     bool      `json:"managed"` // by a cloud's service, which keeps a part of each disk
	Zstd        bool      `json:"zstd"`    // its version has the codec
	Nodes       []Node    `json:"nodes"`
	Indices     []*Index  `json:"indices"`
	MaxShards   int       `json:"max_shards_per_node"` // 0: the cluster does not say
	Kafka       *Kafka    `json:"kafka,omitempty"`
	Objects     *Objects  `json:"-"` // templates and policies, as they are there
	// Rates are of the whole cluster, each second, since its nodes count.
	Documents float64  `json:"documents_per_second"`
	Searches  float64  `json:"searches_per_second"`
	Missing   []string `json:"missing,omitempty"` // what could not be asked, and why
}

// A Node is one of a cluster. Sizes in bytes; 0: not known.
type Node struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Data    bool      `json:"data"`
	Manager bool      `json:"manager"`
	CPUs    int       `json:"cpus"`
	Heap    Bytes     `json:"heap"`
	Used    float64   `json:"heap_used_percent"`
	Memory  Bytes     `json:"memory"`
	Disk    Bytes     `json:"disk"`
	Free    Bytes     `json:"free"`
	Started time.Time `json:"started"`
	Shards  int       `json:"shards"`
}

// An Index is one of a cluster.
type Index struct {
	Name       string    `json:"name"`
	Open       bool      `json:"open"`
	Primaries  int       `json:"primaries"`
	Replicas   int       `json:"replicas"`
	Documents  int64     `json:"documents"`
	Deleted    int64     `json:"deleted"`
	Primary    Bytes     `json:"primary_bytes"` // of primary shards
	Stored     Bytes     `json:"stored_bytes"`  // of all copies that there are
	Created    time.Time `json:"created"`
	Codec      string    `json:"codec"` // default unless told
	Unassigned int       `json:"unassigned,omitempty"`
	// Queries is how many its shards answered since Counting, the latest time from which one of them counts: it came to its
	// node, or the node began. Zero until then nobody knows of.
	Queries  int64     `json:"queries"`
	Written  int64     `json:"written"`
	Counting time.Time `json:"counting,omitzero"`
}

// Configured is what all copies take that it is to have, whether they are there or not.
func (x *Index) Configured() Bytes { return x.Primary * Bytes(1+x.Replicas) }

// Shards is how many copies of shards it is to have.
func (x *Index) Shards() int { return x.Primaries * (1 + x.Replicas) }

// Begins is when what is in it begins: the date in its name, or else when it was created. An index that was carried here is younger
// than its documents.
func (x *Index) Begins() time.Time {
	if t := dateIn(x.Name); !t.IsZero() && (t.Before(x.Created) || x.Created.IsZero()) {
		return t
	}
	return x.Created
}

func (x *Index) age(now time.Time) float64 { return now.Sub(x.Begins()).Hours() / 24 }

// system reports that the index is not the user's to shape.
func (x *Index) system() bool {
	return strings.HasPrefix(x.Name, ".") && !strings.HasPrefix(x.Name, ".ds-")
}

// Parts of names that count up: dates, months, weeks, and the numbers of rollovers.
var (
	counting = regexp.MustCompile(`(19|20)\d\d[-._]?(0[1-9]|1[0-2])([-._]?(0[1-9]|[12]\d|3[01]))?([-._]?([01]\d|2[0-3]))?(\D|$)|(19|20)\d\d[-._]?[wW]\d\d(\D|$)|\d{5,}`)
	dated    = regexp.MustCompile(`((?:19|20)\d\d)[-._]?(0[1-9]|1[0-2])(?:[-._]?(0[1-9]|[12]\d|3[01]))?(?:\D|$)`)
)

// familyOf is the name of an index with what counts up in it as *.
func familyOf(name string) string {
	var b strings.Builder
	for rest := name; rest != ""; {
		at := counting.FindStringSubmatchIndex(rest)
		if at == nil {
			b.WriteString(rest)
			break
		}
		end := at[1]
		for _, group := range []int{7, 9} { // (\D|$) belongs to what follows
			if at[2*group] >= 0 {
				end = at[2*group]
			}
		}
		b.WriteString(rest[:at[0]])
		if !strings.HasSuffix(b.String(), "*") {
			b.WriteByte('*')
		}
		rest = rest[end:]
	}
	family := b.String()
	for strings.Contains(family, "*-*") {
		family = strings.ReplaceAll(family, "*-*", "*")
	}
	return family
}

// dateIn is the date in a name; zero: there is none.
func dateIn(name string) time.Time {
	m := dated.FindStringSubmatch(name)
	if m == nil {
		return time.Time{}
	}
	day := m[3]
	if day == "" {
		day = "01"
	}
	t, err := time.Parse("20060102", m[1]+m[2]+day)
	if err != nil {
		return time.Time{}
	}
	return t
}

// A Family is the indices whose names differ only in what counts up: those of one application's logs, say.
type Family struct {
	Name    string
	Indices []*Index // the oldest first
	Counts  bool     // there is something in the name that counts up
	Growth  *Growth  // nil: not known
}

// Growth is how fast a family grows, in bytes of primary shards a day: from what its indices have, but the newest one,
// which is not full yet.
type Growth struct {
	Low     Bytes   `json:"low"` // of a quarter of the indices it is less
	Likely  Bytes   `json:"likely"`
	High    Bytes   `json:"high"` // of a quarter it is more
	Indices int     `json:"indices"`
	Days    float64 `json:"days"`
	Every   float64 `json:"every_days"` // there is a new index
}

// families groups the indices, the largest family first.
func (f *Facts) families(k *Constants) []*Family {
	by := map[string]*Family{}
	for _, x := range f.Indices {
		name := familyOf(x.Name)
		if by[name] == nil {
			by[name] = &Family{Name: name, Counts: strings.Contains(name, "*")}
		}
		by[name].Indices = append(by[name].Indices, x)
	}
	all := slices.Collect(maps.Values(by))
	for _, x := range all {
		slices.SortFunc(x.Indices, func(a, b *Index) int {
			if c := a.Begins().Compare(b.Begins()); c != 0 {
				return c
			}
			return strings.Compare(a.Name, b.Name)
		})
		x.Growth = x.growth(k.of(growthDays))
	}
	slices.SortFunc(all, func(a, b *Family) int {
		if x, y := a.configured(), b.configured(); x != y {
			return int(max(-1, min(1, y-x)))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

func (f *Family) newest() *Index { return f.Indices[len(f.Indices)-1] }

func (f *Family) configured() (sum Bytes) {
	for _, i := range f.Indices {
		sum += i.Configured()
	}
	return sum
}

func (f *Family) primary() (sum Bytes) {
	for _, i := range f.Indices {
		sum += i.Primary
	}
	return sum
}

func (f *Family) shards() (n int) {
	for _, i := range f.Indices {
		n += i.Shards()
	}
	return n
}

func (f *Family) system() bool { return f.Indices[0].system() }

// growth looks at the indices of the last days. Two are too few to see it, and indices that were all made at once, by a restore
// say, say nothing of it.
func (f *Family) growth(days float64) *Growth {
	if !f.Counts || len(f.Indices) < 3 {
		return nil
	}
	last := f.newest().Begins()
	g := &Growth{}
	var rates []float64
	var sum float64
	for i, index := range f.Indices[:len(f.Indices)-1] {
		began, ended := index.Begins(), f.Indices[i+1].Begins()
		if last.Sub(began).Hours()/24 > days && len(f.Indices)-1-i > 2 {
			continue
		}
		span := ended.Sub(began).Hours() / 24
		g.Indices++
		g.Days += span
		sum += float64(index.Primary)
		if span > 0 {
			rates = append(rates, float64(index.Primary)/span)
		}
	}
	const shortest = 1.0 / 24
	if g.Days < shortest || len(rates) < 2 {
		return nil
	}
	slices.Sort(rates)
	quarter := func(q float64) Bytes { return Bytes(rates[int(q*float64(len(rates)-1)+0.5)]) }
	g.Low, g.Likely, g.High, g.Every = quarter(0.25), Bytes(sum/g.Days), quarter(0.75), g.Days/float64(g.Indices)
	g.Low, g.High = min(g.Low, g.Likely), max(g.High, g.Likely)
	return g
}
