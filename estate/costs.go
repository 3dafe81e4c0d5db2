package estate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/narudata/naru/estate/cost"
)

// Files beside base/ and overlays/ that say by what is counted.
const (
	pricesFile    = "prices.yaml"
	constantsFile = "sizing.yaml"
)

// readModel reads the prices and the constants that stand beside the environments; there may be none.
func readModel(fsys fs.FS) (m cost.Model, err error) {
	prices, perr := fs.ReadFile(fsys, pricesFile)
	constants, cerr := fs.ReadFile(fsys, constantsFile)
	for _, err := range []error{perr, cerr} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return m, err
		}
	}
	if perr == nil {
		m.Prices, perr = cost.ParsePrices(pricesFile, prices)
		err = errors.Join(err, perr)
	}
	if cerr == nil {
		m.Constants, cerr = cost.ParseConstants(constantsFile, constants)
		err = errors.Join(err, cerr)
	}
	return m, err
}

// Facts looks at what the environment has, as far as it costs something.
func (d *Desired) Facts(ctx context.Context, t *Target, now time.Time) (*cost.Facts, error) {
	f, err := cost.Look(ctx, t.Search, d.Environment, now)
	if err != nil || t.Kafka == nil {
		return f, err
	}
	if f.Kafka, err = cost.LookKafka(ctx, t.Kafka); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		f.Missing, err = append(f.Missing, err.Error()), nil
	}
	return f, err
}

// Objects are the templates, policies and topics of facts once the plan is applied.
func (p *Plan) Objects(f *cost.Facts) *cost.Objects {
	o := f.Objects.Clone()
	for i := range p.Changes {
		p.Changes[i].onto(o)
	}
	return o
}

func (ch *Change) onto(o *cost.Objects) {
	switch ch.Action {
	case Create, Update:
		if body, err := cost.Body(ch.Body); err == nil && body != nil {
			o.Set(string(ch.Kind), ch.Name, body)
		}
	case Delete:
		o.Set(string(ch.Kind), ch.Name, nil)
	case Adopt, Forget:
	}
}

// hold holds the plan against the limits of the environment. A change by which the environment goes beyond one, or further beyond,
// cannot be applied; that it is beyond one already is a note.
func (p *Plan) hold(ctx context.Context, t *Target, d *Desired, now time.Time) error {
	if d.Limits.Zero() {
		return nil
	}
	f, err := d.Facts(ctx, t, now)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.Notes = append(p.Notes, "the limits of env.yaml were not looked at: "+err.Error())
		return nil
	}
	if f.Objects == nil {
		p.Notes = append(p.Notes, "the limits of env.yaml were held against what is there only: templates and policies may not be read")
	}
	if d.Limits.Monthly > 0 && d.Costs.Prices == nil {
		p.Notes = append(p.Notes, "limits.monthly was not looked at: there is no "+pricesFile+" beside base/ and overlays/")
	}
	if d.Limits.Brokers > 0 && f.Kafka == nil {
		p.Notes = append(p.Notes, "limits.brokers was not looked at: what Kafka has is not known")
	}
	declared := p.Objects(f)
	is := d.Costs.Values(f, f.Objects)
	for _, x := range d.Costs.Check(f, declared, d.Limits) {
		if is[x.Limit] >= x.Value {
			p.Notes = append(p.Notes, fmt.Sprintf("limits.%s: %s. So it is already", x.Limit, x.Text))
			continue
		}
		ch := p.raises(d, f, x)
		if ch == nil {
			p.Notes = append(p.Notes, fmt.Sprintf("limits.%s: %s", x.Limit, x.Text))
			continue
		}
		if ch.Problem == "" {
			ch.Problem = fmt.Sprintf("with it the environment goes beyond limits.%s of env.yaml: %s", x.Limit, x.Text)
		}
	}
	return nil
}

// raises is the change without which the value would be least.
func (p *Plan) raises(d *Desired, f *cost.Facts, x cost.Exceeded) *Change {
	least := x.Value
	var by *Change
	for i := range p.Changes {
		if !slices.Contains([]Kind{IndexTemplates, ComponentTemplates, ISMPolicies, KafkaTopics}, p.Changes[i].Kind) {
			continue
		}
		without := f.Objects.Clone()
		for j := range p.Changes {
			if j != i {
				p.Changes[j].onto(without)
			}
		}
		if v := d.Costs.Values(f, without)[x.Limit]; v < least {
			least, by = v, &p.Changes[i]
		}
	}
	return by
}
