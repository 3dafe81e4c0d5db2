package cost

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A Model is by which rules and prices is counted.
type Model struct {
	Constants *Constants // nil: the defaults
	Prices    *Prices    // nil: no money
}

func (m *Model) constants() *Constants {
	if m.Constants == nil {
		return DefaultConstants()
	}
	return m.Constants
}

// A State is what an environment takes, and the cluster that it needs for it.
type State struct {
	Totals
	Need  Need        `json:"need"`
	Kafka *KafkaState `json:"kafka,omitempty"`
	Money *Money      `json:"money,omitempty"` // of what is needed
}

// An Estimate is what an environment takes, what it will take, and what could be saved.
type Estimate struct {
	Environment string       `json:"environment"`
	Cluster     string       `json:"cluster"`
	Version     string       `json:"version"`
	At          time.Time    `json:"at"`
	Managed     bool         `json:"managed"`
	Have        Have         `json:"have"`
	Now         State        `json:"now"`
	Steady      State        `json:"steady"` // once indices and topics are as policies, templates and retention have it
	Families    []FamilyCost `json:"families"`
	Suggestions []Suggestion `json:"suggestions"`
	Plan        *Difference  `json:"plan,omitempty"`    // what is declared and not applied yet
	WhatIf      *Difference  `json:"what_if,omitempty"` // what was asked for
	Limits      []Exceeded   `json:"limits,omitempty"`  // that what is declared exceeds
	Missing     []string     `json:"missing,omitempty"`
}

// Have is what there is and is paid for.
type Have struct {
	Nodes    int    `json:"nodes"` // with data
	Managers int    `json:"managers"`
	Disk     Bytes  `json:"disk"`
	Free     Bytes  `json:"free"`
	Stored   Bytes  `json:"stored"`
	Shards   int    `json:"shards"` // assigned
	Waiting  int    `json:"unassigned_shards,omitempty"`
	Brokers  int    `json:"brokers,omitempty"`
	Kafka    Bytes  `json:"kafka_stored,omitempty"`
	Money    *Money `json:"money,omitempty"`
}

// A FamilyCost is what a family takes.
type FamilyCost struct {
	Name    string     `json:"family"`
	Now     Totals     `json:"now"`
	Growth  *Growth    `json:"growth,omitempty"`
	Life    Life       `json:"life"`
	Steady  Projection `json:"steady"`
	Average Bytes      `json:"average_shard"`
	Queries int64      `json:"queries"`
	Since   time.Time  `json:"counting_since,omitzero"`
	Monthly float64    `json:"monthly,omitempty"` // its share of the need, by its bytes
}

// A Difference is what a change makes of an environment: of what is there, and of what will be.
type Difference struct {
	What         string  `json:"what"`
	Before       State   `json:"before"`
	After        State   `json:"after"`
	SteadyBefore State   `json:"steady_before"`
	SteadyAfter  State   `json:"steady_after"`
	Families     []Moved `json:"families"` // that change
}

// Moved is what a change makes of a family.
type Moved struct {
	Name   string     `json:"family"`
	Before Totals     `json:"before"`
	After  Totals     `json:"after"`
	From   Projection `json:"steady_before"`
	To     Projection `json:"steady_after"`
}

// Changes reports that there is a difference.
func (d *Difference) Changes() bool {
	return d != nil && (len(d.Families) > 0 || d.kafka(d.Before) != d.kafka(d.After) || d.kafka(d.SteadyBefore) != d.kafka(d.SteadyAfter))
}

func (d *Difference) kafka(s State) KafkaState {
	if s.Kafka == nil {
		return KafkaState{}
	}
	k := *s.Kafka
	k.Need = nil
	return k
}

// state is the cluster that totals need.
func (m *Model) state(f *Facts, t Totals, topics []Topic, steady bool) State {
	k := m.constants()
	s := State{Totals: t, Need: f.need(&t, k)}
	b := bill{nodes: s.Need.Nodes, managers: f.shape(k).managers, disk: s.Need.Disk, documents: f.Documents, searches: f.Searches}
	if f.Kafka != nil {
		s.Kafka = f.Kafka.state(topics, steady, k)
		b.brokers, b.kafkaDisk = s.Kafka.Brokers, s.Kafka.Need.Disk
	}
	s.Money = m.Prices.money(f.Environment, b)
	return s
}

// totals sums up all families, as they are and as they will be.
func (m *Model) totals(f *Facts, families []*Family, objects *Objects, rules []Rule) (now, steady Totals) {
	k := m.constants()
	for _, x := range families {
		now.add(x.now(f, rules, k))
		steady.add(x.steady(f, objects, rules, k).Totals)
	}
	return now, steady
}

func (f *Facts) topics(objects *Objects) []Topic {
	if f.Kafka == nil {
		return nil
	}
	return f.Kafka.under(objects)
}

// Estimate says what the environment takes. declared are the objects once what is pending is applied; nil: nothing is.
func (m *Model) Estimate(f *Facts, declared *Objects, rules []Rule, limits Limits) *Estimate {
	k := m.constants()
	e := &Estimate{Environment: f.Environment, Cluster: f.Cluster, Version: f.Version, At: f.At, Managed: f.Managed, Missing: f.Missing}
	e.Have = m.have(f)
	families := f.families(k)
	now, steady := m.totals(f, families, f.Objects, nil)
	e.Now = m.state(f, now, f.topics(nil), false)
	e.Steady = m.state(f, steady, f.topics(nil), true)
	for _, x := range families {
		c := FamilyCost{Name: x.Name, Now: x.now(f, nil, k), Growth: x.Growth, Life: f.Objects.life(x.newest().Name), Steady: x.steady(f, f.Objects, nil, k)}
		for _, i := range x.Indices {
			c.Queries += i.Queries
			if i.Counting.After(c.Since) {
				c.Since = i.Counting
			}
		}
		if n := x.primaries(); n > 0 {
			c.Average = x.primary() / Bytes(n)
		}
		if e.Now.Money != nil && now.Copies > 0 {
			c.Monthly = e.Now.Money.Monthly * float64(c.Now.Copies) / float64(now.Copies)
		}
		e.Families = append(e.Families, c)
	}
	if declared != nil {
		e.Plan = m.difference(f, families, "what is declared", f.Objects, declared, nil)
		if !e.Plan.Changes() {
			e.Plan = nil
		}
	}
	under := f.Objects
	if declared != nil {
		under = declared
	}
	if len(rules) > 0 {
		texts := make([]string, len(rules))
		for i, r := range rules {
			texts[i] = r.String()
		}
		e.WhatIf = m.difference(f, families, strings.Join(texts, ", "), under, under, rules)
	}
	e.Limits = m.check(f, families, under, limits)
	e.Suggestions = m.suggest(f, families, e)
	return e
}

func (f *Family) primaries() (n int) {
	for _, i := range f.Indices {
		n += i.Primaries
	}
	return n
}

func (m *Model) have(f *Facts) Have {
	h := Have{}
	for _, n := range f.Nodes {
		switch {
		case n.Data:
			h.Nodes++
			h.Disk += n.Disk
			h.Free += n.Free
		case n.Manager:
			h.Managers++
		}
		h.Shards += n.Shards
	}
	for _, x := range f.Indices {
		h.Stored += x.Stored
		h.Waiting += x.Unassigned
	}
	b := bill{nodes: h.Nodes, managers: h.Managers, disk: h.Disk, documents: f.Documents, searches: f.Searches}
	if f.Kafka != nil {
		h.Brokers = len(f.Kafka.Brokers)
		for _, x := range f.Kafka.Brokers {
			h.Kafka += x.Stored
			b.kafkaDisk += x.Disk
		}
		b.brokers = h.Brokers
	}
	h.Money = m.Prices.money(f.Environment, b)
	return h
}

func (m *Model) difference(f *Facts, families []*Family, what string, from, to *Objects, rules []Rule) *Difference {
	k := m.constants()
	d := &Difference{What: what}
	beforeNow, beforeSteady := m.totals(f, families, from, nil)
	afterNow, afterSteady := m.totals(f, families, to, rules)
	d.Before, d.After = m.state(f, beforeNow, f.topics(nil), false), m.state(f, afterNow, f.topics(nil), false)
	d.SteadyBefore, d.SteadyAfter = m.state(f, beforeSteady, f.topics(from), true), m.state(f, afterSteady, f.topics(to), true)
	for _, x := range families {
		moved := Moved{x.Name, x.now(f, nil, k), x.now(f, rules, k), x.steady(f, from, nil, k), x.steady(f, to, rules, k)}
		if moved.Before != moved.After || moved.From.Totals != moved.To.Totals {
			d.Families = append(d.Families, moved)
		}
	}
	slices.SortStableFunc(d.Families, func(a, b Moved) int {
		return int(max(-1, min(1, math.Abs(float64(b.From.Copies-b.To.Copies))-math.Abs(float64(a.From.Copies-a.To.Copies)))))
	})
	return d
}

// Exceeded is a limit that what is declared goes beyond.
type Exceeded struct {
	Limit string  `json:"limit"` // its name in env.yaml
	Most  float64 `json:"most"`
	Value float64 `json:"value"`
	Text  string  `json:"text"`
}

// Check says which limits the environment goes beyond once all is as objects have it.
func (m *Model) Check(f *Facts, objects *Objects, l Limits) []Exceeded {
	return m.check(f, f.families(m.constants()), objects, l)
}

func (m *Model) check(f *Facts, families []*Family, objects *Objects, l Limits) []Exceeded {
	if l.Zero() {
		return nil
	}
	s := m.will(f, families, objects)
	why := ""
	for _, p := range s.Need.Parts {
		if p.What == s.Need.By {
			why = p.How
		}
	}
	var out []Exceeded
	values := s.values()
	over := func(limit string, most float64, format string, args ...any) {
		if value, known := values[limit]; known && most > 0 && value > most {
			out = append(out, Exceeded{limit, most, value, fmt.Sprintf(format, args...)})
		}
	}
	over("storage", float64(l.Storage), "it needs disks of %s, more than %s: %s", s.Need.Disk, l.Storage, s.Need.DiskHow)
	over("shards", float64(l.Shards), "it has %d shards, more than %d", s.Shards, l.Shards)
	over("nodes", float64(l.Nodes), "it needs %d data nodes, more than %d: %s", s.Need.Nodes, l.Nodes, why)
	if s.Kafka != nil {
		over("brokers", float64(l.Brokers), "it needs %d brokers, more than %d", s.Kafka.Brokers, l.Brokers)
	}
	if s.Money != nil {
		over("monthly", l.Monthly, "it costs %.2f %s a month, more than %.2f (prices of %s)", s.Money.Monthly, s.Money.Currency, l.Monthly, s.Money.Valid)
	}
	return out
}

// will is the state of the environment once all is as objects have it.
func (m *Model) will(f *Facts, families []*Family, objects *Objects) State {
	_, steady := m.totals(f, families, objects, nil)
	return m.state(f, steady, f.topics(objects), true)
}

// Values are what limits are held against, by their names, once all is as objects have it. What is not known is not there.
func (m *Model) Values(f *Facts, objects *Objects) map[string]float64 {
	s := m.will(f, f.families(m.constants()), objects)
	return s.values()
}

func (s *State) values() map[string]float64 {
	v := map[string]float64{"storage": float64(s.Need.Disk), "shards": float64(s.Shards), "nodes": float64(s.Need.Nodes)}
	if s.Kafka != nil {
		v["brokers"] = float64(s.Kafka.Brokers)
	}
	if s.Money != nil {
		v["monthly"] = s.Money.Monthly
	}
	return v
}
