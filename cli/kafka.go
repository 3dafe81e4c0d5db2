package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
)

func newKafkaCommand(c *common) *cobra.Command {
	return parent(newCommand(page{
		use:   "kafka",
		short: "see how Kafka's topics and groups are, replay records, look into dead-letter topics",
		long: `Asks a Kafka cluster how it is; nothing but replay, dlq redrive, groups copy and route
writes, and no group that is in use is joined or moved. --brokers says which cluster, or
NARU_KAFKA_BROKERS; --config FILE, or NARU_KAFKA_CONFIG, is a YAML file with the rest:
brokers, clientId, tls, sasl. The name and the password are in NARU_KAFKA_USERNAME and
NARU_KAFKA_PASSWORD, or in the files that the configuration names, never in a flag.`,
		examples: []example{
			{"naru kafka doctor --brokers kafka-1:9092", "what is wrong, why, and what to do"},
			{"naru kafka lag --brokers kafka-1:9092", "how far groups are behind, in records and in time"},
			{"naru kafka replay orders https://node-1:9200/orders-again --from 2h --brokers kafka-1:9092", "two hours into another index"},
		},
		exits: []exit{{exitOK, "done"}, {exitFailed, "it did not work; standard error says why"}},
	}), newKafkaTopicsCommand(c), newKafkaGroupsCommand(c), newKafkaLagCommand(c), newKafkaReplayCommand(c), newKafkaDoctorCommand(c), newKafkaDLQCommand(c), newKafkaRouteCommand(c))
}

// kafkaFlags say which cluster is asked.
type kafkaFlags struct {
	brokers []string
	config  string
}

func (f *kafkaFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.brokers, "brokers", nil, "addresses of some `BROKERS` kafka-1:9092,kafka-2:9092; without it NARU_KAFKA_BROKERS")
	flags.StringVar(&f.config, "config", "", "YAML `FILE` with brokers, clientId, tls and sasl; without it NARU_KAFKA_CONFIG")
}

// kafkaFile is a configuration of which --brokers may be the missing part.
type kafkaFile struct{ kafka.Config }

// Validate accepts it for now.
func (*kafkaFile) Validate() error { return nil }

// connection is the configuration that the flags, the file and the environment make up.
func (f *kafkaFlags) connection(c *common) (*kafka.Config, error) {
	var file kafkaFile
	if path := cmp.Or(f.config, c.Getenv("NARU_KAFKA_CONFIG")); path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the configuration: %w", err)
		}
		if err := connect.Decode(path, data, &file); err != nil {
			return nil, err
		}
	}
	config := &file.Config
	config.Getenv, config.Log = c.Getenv, c.log()
	switch env := c.Getenv("NARU_KAFKA_BROKERS"); {
	case len(f.brokers) > 0:
		config.Brokers = f.brokers
	case env != "" && (len(config.Brokers) == 0 || f.config == ""):
		config.Brokers = strings.Split(env, ",")
	}
	for i, b := range config.Brokers {
		config.Brokers[i] = strings.TrimSpace(b)
	}
	if len(config.Brokers) == 0 {
		return nil, errors.New("say which cluster: --brokers kafka-1:9092, NARU_KAFKA_BROKERS, or a file by --config")
	}
	return config, config.Validate()
}

// admin connects to the cluster.
func (f *kafkaFlags) admin(ctx context.Context, c *common) (*kafka.Admin, error) {
	config, err := f.connection(c)
	if err != nil {
		return nil, err
	}
	return config.Admin(ctx)
}

// whichFlags choose topics or groups by name.
type whichFlags struct{ internal bool }

func (f *whichFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.internal, "internal", false, "also those of Kafka itself, like __consumer_offsets")
}

func (f *whichFlags) which(names []string) (kafka.Which, error) {
	w := kafka.Which{Patterns: flow.Patterns(names), Internal: f.internal}
	return w, w.Patterns.Validate()
}

// untilSignal ends the context at the first signal.
func (c *common) untilSignal(parent context.Context) (ctx context.Context, interrupted func() bool, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals, stop := c.Interrupts()
	over := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-signals:
			cancel(errStopped)
		case <-over:
		}
	}()
	return ctx, func() bool { return errors.Is(context.Cause(ctx), errStopped) }, func() {
		stop()
		close(over)
		<-done
		cancel(nil)
	}
}

// joined is a list of names in a cell: the first few of them.
func joined(names []string, few int) string {
	if len(names) > few {
		return strings.Join(names[:few], ",") + fmt.Sprintf(" +%d", len(names)-few)
	}
	return strings.Join(names, ",")
}

// ago is how long ago t was, or how long it takes until then.
func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "-"
	case d < 0:
		return "in " + long(-d)
	case d < time.Second:
		return "now"
	default:
		return long(d)
	}
}

// long is a duration that may be days: 45s, 12m, 7h30m, 6d2h, 3y.
func long(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Hour:
		return elapsed(d)
	case d < 2*day:
		return elapsed(d)
	case d < 30*day:
		if h := int(d % day / time.Hour); h > 0 {
			return fmt.Sprintf("%dd%dh", d/day, h)
		}
		return fmt.Sprintf("%dd", d/day)
	case d < 730*day:
		return fmt.Sprintf("%dd", d/day)
	}
	return fmt.Sprintf("%dy", d/(365*day))
}

// span is a number of seconds; nil is none.
func span(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	const most = float64(200*365*24*time.Hour) / float64(time.Second)
	return long(time.Duration(min(*seconds, most) * float64(time.Second)))
}

// perSecond is a rate in few letters.
func perSecond(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.1f", v)
	}
	return short(int64(v + 0.5))
}

// sortedKeys gives the keys of m in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// narrow leaves out columns by their titles, one after the other, until t fits into width.
func (t *table) narrow(width int, titles ...string) {
	for _, title := range titles {
		if t.fits(width) {
			return
		}
		i := slices.IndexFunc(t.columns, func(c column) bool { return c.title == title })
		if i < 0 {
			continue
		}
		t.columns = slices.Delete(t.columns, i, i+1)
		for n := range t.rows {
			t.rows[n] = slices.Delete(t.rows[n], i, i+1)
		}
	}
}
