package cost

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Prices are what things cost. naru ships none: they depend on the place, the contract and the day.
type Prices struct {
	Currency     string             `yaml:"currency"`
	Valid        string             `yaml:"valid"`  // when they were looked up; shown with each sum
	Source       string             `yaml:"source"` // and where
	InstanceHour map[string]float64 `yaml:"instance_hour"`
	BrokerHour   map[string]float64 `yaml:"broker_hour"`
	GiBMonth     map[string]float64 `yaml:"gib_month"` // by tier
	Million      Requests           `yaml:"per_million"`
	Environments map[string]Uses    `yaml:"environments"` // what each is made of; "default" for those that are not listed
	Hours        float64            `yaml:"hours_per_month"`
}

// Requests are the prices of a million of them, where one pays for requests.
type Requests struct {
	Documents float64 `yaml:"documents"` // indexed
	Searches  float64 `yaml:"searches"`
}

// Uses says which prices are those of an environment.
type Uses struct {
	Data         string `yaml:"data"`          // instance type of data nodes
	Manager      string `yaml:"manager"`       // of dedicated cluster managers
	Broker       string `yaml:"broker"`        // of brokers
	Storage      string `yaml:"storage"`       // tier of the data nodes' disks
	KafkaStorage string `yaml:"kafka_storage"` // of the brokers'
}

const largestFile = 1 << 20

// ReadPrices reads a price file. An unknown key is an error, and so is a name that has no price.
func ReadPrices(file string) (*Prices, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, largestFile))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return ParsePrices(file, b)
}

// ParsePrices is ReadPrices of what a file holds.
func ParsePrices(file string, b []byte) (*Prices, error) {
	p, err := parsePrices(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

func parsePrices(b []byte) (*Prices, error) {
	p := &Prices{}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(p); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var errs []error
	if p.Currency == "" {
		errs = append(errs, errors.New("currency is missing"))
	}
	if p.Valid == "" || p.Source == "" {
		errs = append(errs, errors.New("valid and source are missing: when and where the prices were looked up"))
	}
	for of, all := range map[string]map[string]float64{"instance_hour": p.InstanceHour, "broker_hour": p.BrokerHour, "gib_month": p.GiBMonth} {
		for name, v := range all {
			if v < 0 || v != v {
				errs = append(errs, fmt.Errorf("%s.%s: a price is not negative", of, name))
			}
		}
	}
	if p.Million.Documents < 0 || p.Million.Searches < 0 || p.Hours < 0 {
		errs = append(errs, errors.New("a price is not negative"))
	}
	for _, env := range slices.Sorted(maps.Keys(p.Environments)) {
		u := p.Environments[env]
		for _, x := range []struct {
			key, name string
			in        map[string]float64
		}{{"data", u.Data, p.InstanceHour}, {"manager", u.Manager, p.InstanceHour}, {"broker", u.Broker, p.BrokerHour}, {"storage", u.Storage, p.GiBMonth}, {"kafka_storage", u.KafkaStorage, p.GiBMonth}} {
			if _, ok := x.in[x.name]; x.name != "" && !ok {
				errs = append(errs, fmt.Errorf("environments.%s.%s: %q has no price; there are %s", env, x.key, x.name, strings.Join(slices.Sorted(maps.Keys(x.in)), ", ")))
			}
		}
	}
	return p, errors.Join(errs...)
}

func (p *Prices) uses(environment string) Uses {
	if u, ok := p.Environments[environment]; ok {
		return u
	}
	return p.Environments["default"]
}

func (p *Prices) hours() float64 {
	if p.Hours > 0 {
		return p.Hours
	}
	return 730
}

// Held is what nodes with data cost in a month that hold so much.
func (p *Prices) Held(environment string, nodes int, stored Bytes) float64 {
	u := p.uses(environment)
	return float64(nodes)*p.InstanceHour[u.Data]*p.hours() + float64(stored)/float64(GiB)*p.GiBMonth[u.Storage]
}

// A Line is a part of a sum, with its arithmetic.
type Line struct {
	What   string  `json:"what"`
	How    string  `json:"how"`
	Amount float64 `json:"amount"`
}

// Money is what something costs in a month.
type Money struct {
	Currency string   `json:"currency"`
	Valid    string   `json:"valid"`
	Source   string   `json:"source"`
	Monthly  float64  `json:"monthly"`
	Lines    []Line   `json:"lines"`
	Missing  []string `json:"missing,omitempty"` // what has no price
}

// bill is what one pays for.
type bill struct {
	nodes, managers, brokers int
	disk, kafkaDisk          Bytes
	documents, searches      float64 // each second
}

// money sums up a bill.
func (p *Prices) money(environment string, b bill) *Money {
	if p == nil {
		return nil
	}
	u := p.uses(environment)
	m := &Money{Currency: p.Currency, Valid: p.Valid, Source: p.Source}
	add := func(what, how string, amount float64) {
		m.Monthly += amount
		m.Lines = append(m.Lines, Line{what, how, amount})
	}
	hourly := func(n int, what, key, name string, prices map[string]float64) {
		switch {
		case n == 0:
		case name == "":
			m.Missing = append(m.Missing, fmt.Sprintf("%s: environments.%s.%s says no type", what, environment, key))
		default:
			add(what, fmt.Sprintf("%d × %g an hour (%s) × %g h", n, prices[name], name, p.hours()), float64(n)*prices[name]*p.hours())
		}
	}
	stored := func(size Bytes, what, key, name string) {
		switch {
		case size == 0:
		case name == "":
			m.Missing = append(m.Missing, fmt.Sprintf("%s: environments.%s.%s says no tier", what, environment, key))
		default:
			gib := float64(size) / float64(GiB)
			add(what, fmt.Sprintf("%.1f GiB × %g a GiB-month (%s)", gib, p.GiBMonth[name], name), gib*p.GiBMonth[name])
		}
	}
	hourly(b.nodes, "data nodes", "data", u.Data, p.InstanceHour)
	hourly(b.managers, "cluster managers", "manager", u.Manager, p.InstanceHour)
	stored(b.disk, "disks", "storage", u.Storage)
	hourly(b.brokers, "brokers", "broker", u.Broker, p.BrokerHour)
	stored(b.kafkaDisk, "brokers' disks", "kafka_storage", u.KafkaStorage)
	seconds := p.hours() * 3600
	for _, r := range []struct {
		what       string
		each, rate float64
	}{{"documents indexed", p.Million.Documents, b.documents}, {"searches", p.Million.Searches, b.searches}} {
		if r.each > 0 && r.rate > 0 {
			add(r.what, fmt.Sprintf("%.3g a second × %.0f s / 1,000,000 × %g", r.rate, seconds, r.each), r.rate*seconds/1e6*r.each)
		}
	}
	return m
}
