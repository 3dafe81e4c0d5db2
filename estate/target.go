package estate

import (
	"context"
	"fmt"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch"
)

// A Target is the live systems of an environment. What an environment does not have is nil; only Search is always there,
// since it keeps the records of all of them.
type Target struct {
	Search     *opensearch.Client
	Kafka      *kafka.Admin
	Dashboards *Dashboards
	Flows      Flows
}

// Flows is a place where flows and pipelines run: an operator's custom resources, say. Both kinds are one namespace of
// names there, and a body is the spec of a flow.
type Flows interface {
	// List gives all that the place has.
	List(ctx context.Context) (map[string]*Live, error)
	// Get gives one; nil: there is none.
	Get(ctx context.Context, name string) (*Live, error)
	// Put writes the body; live is what stood there when it was last looked at, nil for none. It fails if another stands there now.
	Put(ctx context.Context, name string, body Body, live *Live) error
	// Remove deletes what is there; none is no error.
	Remove(ctx context.Context, name string, live *Live) error
}

// systems says where an environment's live systems are.
type systems struct {
	search     opensearch.Target
	kafka      *kafka.Config
	dashboards *DashboardsTarget
}

// connect connects to each system that there is, and says at once if one does not answer.
func (s systems) connect(ctx context.Context, getenv func(string) string) (*Target, error) {
	search, err := s.search.Connect(ctx, getenv)
	if err != nil {
		return nil, err
	}
	t := &Target{Search: search}
	if s.kafka != nil {
		config := *s.kafka
		config.Getenv = getenv
		if t.Kafka, err = config.Admin(ctx); err != nil {
			return nil, err
		}
	}
	if s.dashboards != nil {
		if t.Dashboards, err = s.dashboards.Connect(ctx, getenv); err != nil {
			t.Close()
			return nil, err
		}
	}
	return t, nil
}

// Connect connects to the environment's systems. There is no place for flows: who has one sets it. The target is to be
// closed.
func (d *Desired) Connect(ctx context.Context, getenv func(string) string) (*Target, error) {
	return systems{d.Target, d.Kafka, d.Dashboards}.connect(ctx, getenv)
}

// Connect connects to the systems that the plan was made for, as Desired.Connect does.
func (p *Plan) Connect(ctx context.Context, getenv func(string) string) (*Target, error) {
	return systems{p.Target, p.Kafka, p.Dashboards}.connect(ctx, getenv)
}

// errNoPlace is that nothing runs flows and pipelines here.
var errNoPlace = fmt.Errorf("%w: nothing here runs flows", errNoAPI)

// has says that the environment lacks the system that a kind is of; nil: it has it.
func (t *Target) has(k Kind) error {
	switch k { //nolint:exhaustive // the others are of the cluster
	case Pipelines, FlowSpecs:
		if t.Flows == nil {
			return errNoPlace
		}
	case SavedObjects:
		if t.Dashboards == nil {
			return fmt.Errorf("%w: env.yaml has no dashboards, which says where OpenSearch Dashboards is", errNoAPI)
		}
	case KafkaTopics, KafkaACLs, KafkaQuotas, KafkaGroups:
		if t.Kafka == nil {
			return fmt.Errorf("%w: env.yaml has no kafka, which says where its brokers are", errNoAPI)
		}
	}
	return nil
}

// Close closes the connections. There may be no target.
func (t *Target) Close() {
	if t != nil && t.Kafka != nil {
		t.Kafka.Close()
	}
}
