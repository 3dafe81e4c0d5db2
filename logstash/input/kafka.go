package input

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stream"
	"github.com/narudata/naru/logstash/codec"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// Kafka reads topics as a member of a consumer group. An offset is committed once the outputs have all before it, every
// auto_commit_interval_ms, before a partition is given to another member, and at the end. Each partition is read by itself,
// so one member keeps all workers busy.
//
// With decorate_events, events have [@metadata][kafka] as in the original, and two fields more: id, which no other record
// has and which is the same each time the record is read (for document_id), and tombstone, true where the record has no
// value. With schema_registry_url, values are decoded by their schema: Avro as in the original, JSON and Protobuf, too.
//
// Differences:
//   - Nothing is committed before it is delivered, whatever enable_auto_commit says. The original commits what was polled,
//     and loses what was not delivered yet when it dies.
//   - Where auto_offset_reset is latest (the default), the end is committed when the group sees a partition for the first time.
//     An offset that is not there any more goes on with the oldest record that is, and never skips to the end.
//   - Without partition_assignment_strategy it is cooperative-sticky, which members written in Java know, too, unless they were
//     told otherwise. Beside members that know range only, set it to range.
//   - group_protocol consumer becomes classic where brokers do not know it. session_timeout_ms and heartbeat_interval_ms are the
//     brokers' then.
//   - poll_timeout_ms and max_poll_records have no effect: batches are those of the pipeline.
//   - What is fetched and not yet taken by the pipeline is bounded by 32 MiB for each of consumer_threads; answers of brokers are
//     a quarter of that, unless fetch_max_bytes says something else than its default.
//   - Kerberos (GSSAPI), and keystores in Java's own format with private keys, are errors.
//   - A schema that cannot be had now is waited for; the original is stopped by it. Whether subjects exist is not asked at the
//     start.
//
// Source: LogStash::Inputs::Kafka of logstash-integration-kafka 11.8 and 12.1.
type Kafka struct {
	Options
	KafkaClient
	KafkaRegistry
	Topics                 []string `ls:"topics" default:"logstash" doc:"topics to read"`
	TopicsPattern          string   `ls:"topics_pattern" doc:"a regular expression that the names of topics to read match as a whole; instead of topics"`
	GroupID                string   `ls:"group_id" default:"logstash" doc:"the consumer group"`
	GroupInstanceID        string   `ls:"group_instance_id" doc:"a name for this member that stays the same over restarts; with several threads, -0, -1 … is appended"`
	GroupProtocol          string   `ls:"group_protocol" enum:"classic|consumer" default:"classic" doc:"who divides partitions: the members (classic) or the brokers (consumer, from Kafka 4.0 on)"`
	AutoOffsetReset        string   `ls:"auto_offset_reset" doc:"where to begin in partitions that the group never read: earliest, latest (if not given), by_duration:PT1H (so long ago), or none: that is an error"`
	ConsumerThreads        int64    `ls:"consumer_threads" default:"1" doc:"how many members of the group this input is: how many partitions it gets, compared with other processes"`
	DecorateEvents         string   `ls:"decorate_events" enum:"none|basic|extended|false|true" default:"none" doc:"whether events get [@metadata][kafka]: topic, consumer_group, partition, offset, key, timestamp, id (basic), and headers (extended)"`
	AutoCommitIntervalMS   int64    `ls:"auto_commit_interval_ms" default:"5000" doc:"how often what is delivered is committed, in milliseconds"`
	EnableAutoCommit       bool     `ls:"enable_auto_commit" default:"true" doc:"has no effect: what is delivered is committed, nothing else"`
	IsolationLevel         string   `ls:"isolation_level" enum:"read_uncommitted|read_committed" default:"read_uncommitted" doc:"whether records of transactions are read that are not, or never, committed"`
	PartitionAssignment    string   `ls:"partition_assignment_strategy" doc:"how members divide partitions: range, round_robin, sticky or cooperative_sticky, or the class of one of them"`
	SessionTimeoutMS       int64    `ls:"session_timeout_ms" default:"10000" doc:"after how many milliseconds without a sign of life a member is taken for dead"`
	HeartbeatIntervalMS    int64    `ls:"heartbeat_interval_ms" default:"3000" doc:"how often there is a sign of life, in milliseconds"`
	MaxPollIntervalMS      int64    `ls:"max_poll_interval_ms" default:"300000" doc:"how many milliseconds a partition that is to be given to another member may wait until what was read of it is delivered"`
	FetchMaxBytes          int64    `ls:"fetch_max_bytes" default:"52428800" doc:"most bytes of a broker's answer"`
	FetchMaxWaitMS         int64    `ls:"fetch_max_wait_ms" default:"500" doc:"how many milliseconds a broker waits for fetch_min_bytes"`
	FetchMinBytes          *int64   `ls:"fetch_min_bytes" doc:"how much a broker should gather before it answers"`
	MaxPartitionFetchBytes int64    `ls:"max_partition_fetch_bytes" default:"1048576" doc:"most bytes of one partition in an answer"`
	MaxPollRecords         int64    `ls:"max_poll_records" default:"500" doc:"has no effect: batches are those of the pipeline"`
	PollTimeoutMS          int64    `ls:"poll_timeout_ms" default:"100" doc:"has no effect: naru does not poll"`
	ClientRack             string   `ls:"client_rack" doc:"the rack or zone naru runs in, to read from replicas that are near"`
	CheckCRCs              bool     `ls:"check_crcs" default:"true" doc:"has no effect: checksums are always checked"`
	ExcludeInternalTopics  string   `ls:"exclude_internal_topics" doc:"has no effect: topics_pattern never matches topics of Kafka itself"`
	AutoCreateTopics       bool     `ls:"auto_create_topics" default:"true" doc:"has no effect: topics that do not exist are waited for"`
	KeyDeserializer        string   `ls:"key_deserializer_class" default:"org.apache.kafka.common.serialization.StringDeserializer" doc:"has no effect: keys are texts"`
	ValueDeserializer      string   `ls:"value_deserializer_class" default:"org.apache.kafka.common.serialization.StringDeserializer" doc:"that of strings or of bytes, which are the same here: the codec decides"`
}

// KafkaRegistry are the options of a schema registry.
//
// Source: LogStash::PluginMixins::Kafka::AvroSchemaRegistry.
type KafkaRegistry struct {
	URL                string           `ls:"schema_registry_url" doc:"the schema registry that knows how values are written; several addresses are separated by commas"`
	Key                string           `ls:"schema_registry_key" doc:"the name for the registry"`
	Secret             *option.Password `ls:"schema_registry_secret" doc:"the password for the registry"`
	Proxy              string           `ls:"schema_registry_proxy" doc:"a proxy on the way to the registry"`
	KeystoreLocation   string           `ls:"schema_registry_ssl_keystore_location" doc:"naru's own certificate for the registry, with its key: PKCS #12 or PEM"`
	KeystorePassword   *option.Password `ls:"schema_registry_ssl_keystore_password" doc:"the password of that"`
	KeystoreType       string           `ls:"schema_registry_ssl_keystore_type" enum:"jks|PKCS12" default:"jks" doc:"has no effect: the file says itself what it is"`
	TruststoreLocation string           `ls:"schema_registry_ssl_truststore_location" doc:"the authorities that vouch for the registry: PKCS #12, JKS or PEM"`
	TruststorePassword *option.Password `ls:"schema_registry_ssl_truststore_password" doc:"the password of that"`
	TruststoreType     string           `ls:"schema_registry_ssl_truststore_type" enum:"jks|PKCS12" default:"jks" doc:"has no effect: the file says itself what it is"`
	Validation         string           `ls:"schema_registry_validation" enum:"auto|skip" default:"auto" doc:"has no effect: schemas are asked for when they are needed"`
}

// Traits implements Plugin.
func (k *Kafka) Traits() Traits {
	if k.KafkaRegistry.URL != "" {
		return Traits{Codec: "json"}
	}
	return Traits{Codec: "plain"}
}

// Setup implements Plugin.
func (k *Kafka) Setup(s *Setup) (Input, error) {
	in := &kafkaInput{o: k, role: s.Role, log: s.Log, threads: int(k.ConsumerThreads), group: event.StringValue(k.GroupID)}
	if k.ConsumerThreads < 1 || k.ConsumerThreads > 1000 {
		return nil, option.Errorf("consumer_threads", "expected 1 or more, found %d", k.ConsumerThreads)
	}
	if k.DecorateEvents == "true" || k.DecorateEvents == "false" {
		s.Log.Warn("decorate_events: true and false are deprecated; use basic and none", "input", s.Where)
	}
	in.basic, in.headers = k.DecorateEvents != "none" && k.DecorateEvents != "false", k.DecorateEvents == "extended"
	in.basic = in.basic || s.Role != nil // outputs tell documents by where their records are from
	switch strings.TrimPrefix(k.ValueDeserializer, "org.apache.kafka.common.serialization.") {
	case "StringDeserializer", "ByteArrayDeserializer", "ByteBufferDeserializer", "BytesDeserializer":
	default:
		return nil, option.Errorf("value_deserializer_class", "expected that of strings or of bytes (a codec does the rest), found %s", k.ValueDeserializer)
	}
	var err error
	if in.template.Config, err = k.Kafka(s.Dir, s.Getenv); err != nil {
		return nil, err
	}
	in.template.Rack = k.ClientRack
	g := &in.template
	g.Group, g.Topics, g.Instance, g.Protocol = k.GroupID, k.Topics, k.GroupInstanceID, k.GroupProtocol
	if k.TopicsPattern != "" {
		g.Topics, g.Pattern = nil, k.TopicsPattern
	}
	if err := k.subscription(); err != nil {
		return nil, err
	}
	if g.Start, err = startOf(k.AutoOffsetReset); err != nil {
		return nil, err
	}
	if err := k.assignment(g); err != nil {
		return nil, err
	}
	if err := k.sizes(g); err != nil {
		return nil, err
	}
	if in.registry, err = k.registry(s); err != nil {
		return nil, err
	}
	if s.Role != nil {
		g.Route = &kafka.Routing{Hash: s.Role.Hash}
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return in, nil
}

// subscription checks what is read by whom.
func (k *Kafka) subscription() error {
	if k.GroupID == "" {
		return option.Errorf("group_id", "expected the name of the consumer group, found none")
	}
	if k.TopicsPattern != "" {
		if _, err := regexp.Compile(k.TopicsPattern); err != nil {
			return option.Errorf("topics_pattern", "%w", err)
		}
		return nil
	}
	if len(k.Topics) == 0 {
		return option.Errorf("topics", "expected at least one topic")
	}
	for _, topic := range k.Topics {
		if err := CheckTopic(topic); err != nil {
			return option.Errorf("topics", "%w", err)
		}
	}
	return nil
}

func startOf(reset string) (kafka.Bound, error) {
	if d, ok := strings.CutPrefix(reset, "by_duration:"); ok {
		ago, err := isoDuration(d)
		if err != nil {
			return kafka.Bound{}, option.Errorf("auto_offset_reset", "%w", err)
		}
		return kafka.Ago(ago), nil
	}
	switch reset {
	case "", "latest":
		return kafka.Latest, nil
	case "earliest", "smallest", "beginning":
		return kafka.Earliest, nil
	case "none":
		return kafka.None, nil
	}
	return kafka.Bound{}, option.Errorf("auto_offset_reset", "expected earliest, latest, by_duration:PT1H or none, found %q", reset)
}

// isoDuration reads durations like P1DT2H3M4.5S.
//
// Source: java.time.Duration.parse.
func isoDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("expected a duration like PT1H or P2D, found %q", s)
	rest, ok := strings.CutPrefix(strings.ToUpper(s), "P")
	if !ok {
		return 0, bad
	}
	var sum time.Duration
	units := map[byte]time.Duration{'D': 24 * time.Hour}
	for rest != "" {
		if rest[0] == 'T' {
			units = map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
			rest = rest[1:]
			continue
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if end <= 0 {
			return 0, bad
		}
		n, err := strconv.ParseFloat(rest[:end], 64)
		unit, ok := units[rest[end]]
		if err != nil || !ok || n > 1e6 {
			return 0, bad
		}
		sum += time.Duration(n * float64(unit))
		rest = rest[end+1:]
	}
	if sum <= 0 {
		return 0, bad
	}
	return sum, nil
}

// assignment resolves group_protocol and what goes with it.
func (k *Kafka) assignment(g *kafka.Group) error {
	g.SessionTimeout = time.Duration(k.SessionTimeoutMS) * time.Millisecond
	g.HeartbeatInterval = time.Duration(k.HeartbeatIntervalMS) * time.Millisecond
	name := k.PartitionAssignment
	if k.GroupProtocol == "consumer" {
		if name != "" || k.SessionTimeoutMS != 10_000 || k.HeartbeatIntervalMS != 3000 {
			return option.Errorf("group_protocol", "consumer does not go with partition_assignment_strategy, heartbeat_interval_ms or session_timeout_ms: the brokers decide on them")
		}
		return nil
	}
	known := map[string]string{
		"range": "range", "round_robin": "roundrobin", "sticky": "sticky", "cooperative_sticky": "cooperative-sticky",
		"RangeAssignor": "range", "RoundRobinAssignor": "roundrobin", "StickyAssignor": "sticky", "CooperativeStickyAssignor": "cooperative-sticky",
	}
	if name == "" {
		return nil // two that are offered would change when others come and go, and records come twice then
	}
	for class := range strings.SplitSeq(name, ",") {
		a, ok := known[strings.TrimPrefix(strings.TrimSpace(class), "org.apache.kafka.clients.consumer.")]
		if !ok {
			return option.Errorf("partition_assignment_strategy", "expected range, round_robin, sticky or cooperative_sticky, found %q", class)
		}
		g.Assignors = append(g.Assignors, a)
	}
	return nil
}

// defaultFetchBytes is what fetch_max_bytes is if it is not given.
const defaultFetchBytes = 52_428_800

func (k *Kafka) sizes(g *kafka.Group) error {
	const most = 1<<31 - 1
	for name, n := range map[string]*int64{
		"fetch_max_bytes": &k.FetchMaxBytes, "fetch_min_bytes": k.FetchMinBytes, "max_partition_fetch_bytes": &k.MaxPartitionFetchBytes,
		"fetch_max_wait_ms": &k.FetchMaxWaitMS, "auto_commit_interval_ms": &k.AutoCommitIntervalMS, "max_poll_interval_ms": &k.MaxPollIntervalMS,
		"session_timeout_ms": &k.SessionTimeoutMS, "heartbeat_interval_ms": &k.HeartbeatIntervalMS,
	} {
		if n != nil && (*n < 0 || *n > most) {
			return option.Errorf(name, "expected 0 to %d, found %d", most, *n)
		}
	}
	g.ReadUncommitted = k.IsolationLevel != "read_committed"
	g.CommitInterval = time.Duration(k.AutoCommitIntervalMS) * time.Millisecond
	g.RebalanceTimeout = time.Duration(k.MaxPollIntervalMS) * time.Millisecond
	g.PartitionBytes = int32(k.MaxPartitionFetchBytes) //nolint:gosec // checked
	if k.FetchMaxBytes != defaultFetchBytes {
		g.FetchMaxBytes = int32(k.FetchMaxBytes) //nolint:gosec // checked
	}
	g.FetchMaxWait = time.Duration(k.FetchMaxWaitMS) * time.Millisecond
	if k.FetchMinBytes != nil {
		g.FetchMinBytes = int32(*k.FetchMinBytes) //nolint:gosec // checked
	}
	g.MetadataMaxAge = time.Duration(k.MetadataMaxAgeMS) * time.Millisecond
	return nil
}

// registry resolves the options of the schema registry; nil: there is none.
func (k *Kafka) registry(s *Setup) (*kafka.Registry, error) {
	r := &k.KafkaRegistry
	if r.URL == "" {
		return nil, nil
	}
	if k.TopicsPattern != "" {
		return nil, option.Errorf("schema_registry_url", "it does not go with topics_pattern")
	}
	if r.Key != "" && (r.Secret == nil || *r.Secret == "") {
		return nil, option.Errorf("schema_registry_secret", "schema_registry_key needs it")
	}
	out := &kafka.Registry{Username: r.Key, Proxy: r.Proxy, Getenv: s.Getenv}
	if r.Secret != nil {
		out.Password = kafka.Secret(*r.Secret)
	}
	for address := range strings.SplitSeq(r.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err == nil {
			err = CheckURL(u)
		}
		if err != nil {
			return nil, option.Errorf("schema_registry_url", "%w", err)
		}
		if u.User != nil && out.Username == "" {
			password, _ := u.User.Password()
			out.Username, out.Password = u.User.Username(), kafka.Secret(password)
		}
		u.User = nil
		out.URLs = append(out.URLs, u.String())
	}
	if r.TruststoreLocation != "" || r.KeystoreLocation != "" {
		out.TLS = &kafka.TLS{CAFile: relative(s.Dir, r.TruststoreLocation), CertFile: relative(s.Dir, r.KeystoreLocation)}
		if r.TruststorePassword != nil {
			out.TLS.CAPassword = kafka.Secret(*r.TruststorePassword)
		}
		if r.KeystorePassword != nil {
			out.TLS.CertPassword = kafka.Secret(*r.KeystorePassword)
		}
	}
	if err := out.Validate(); err != nil {
		return nil, option.Errorf("schema_registry_url", "%w", err)
	}
	return out, nil
}

// kafkaInput is a Kafka that is set up.
type kafkaInput struct {
	o              *Kafka
	role           *Role
	log            *slog.Logger
	template       kafka.Group
	threads        int
	registry       *kafka.Registry
	schemas        *kafka.Schemas
	group          event.Value
	basic, headers bool
}

// Group gives the group that the input would be a member of, for whoever reads it in transactions.
func (k *kafkaInput) Group(log *slog.Logger) (kafka.Group, error) {
	g := k.template
	g.Log = log
	if k.registry != nil && k.schemas == nil {
		var err error
		if k.schemas, err = k.registry.Open(); err != nil {
			return g, err
		}
	}
	if k.schemas != nil {
		g.Schemas = k.schemas
	}
	_, err := g.Options()
	return g, err
}

// Inspect implements Inspector.
func (k *kafkaInput) Inspect(in *Inspection) {
	in.InspectTLS(k.template.TLS, "ssl_truststore_location", "ssl_keystore_location")
	if k.registry != nil {
		in.InspectTLS(k.registry.TLS, "schema_registry_ssl_truststore_location", "schema_registry_ssl_keystore_location")
	}
}

// Open implements Input.
func (k *kafkaInput) Open(r *Run) (stream.Source, error) {
	var all kafkaMembers
	lag := &kafka.Lag{}
	if k.registry != nil && k.schemas == nil {
		var err error
		if k.schemas, err = k.registry.Open(); err != nil {
			return nil, err
		}
	}
	for i := range k.threads {
		g := k.template // each has its own
		g.Port, g.Log, g.Lag = r.Port, r.Log, lag
		g.ClientID = fmt.Sprintf("%s-%d", k.o.ClientID, i)
		if k.threads > 1 && g.Instance != "" {
			g.Instance = fmt.Sprintf("%s-%d", g.Instance, i)
		}
		if k.schemas != nil {
			g.Schemas = k.schemas
		}
		if k.role.InShadow() {
			g.Group, g.Route = kafka.ShadowGroup(g.Group, k.role.Hash), nil
			if g.Instance != "" {
				g.Instance = k.role.Prefix() + g.Instance
			}
		}
		if _, err := g.Options(); err != nil {
			return nil, err
		}
		all = append(all, &g)
	}
	if k.role.InShadow() {
		return shadowed{kafkaMembers: all, role: k.role, live: k.Route(), log: k.log}, nil
	}
	if k.role != nil && k.role.Witness != nil {
		return seen{all, k.role}, nil
	}
	return all, nil
}

// Route implements Routed.
func (k *kafkaInput) Route() kafka.Group {
	g := k.template
	g.Route, g.Log = nil, k.log
	return g
}

// kafkaMembers are several members of a group in one input.
type kafkaMembers []*kafka.Group

// Lags tells how far the input is behind in its topics, as far as that is known.
func (m kafkaMembers) Lags() []Lag {
	if len(m) == 0 || m[0].Lag == nil {
		return nil
	}
	unread := m[0].Lag.Unread(time.Now()) // all have the same
	out := make([]Lag, len(unread))
	for i, u := range unread {
		out[i] = Lag{Group: u.Group, Topic: u.Topic, Records: u.Records}
		if u.Late != nil {
			out[i].Seconds = new(u.Late.Round(time.Millisecond).Seconds())
		}
	}
	return out
}

// Run implements stream.Source.
func (m kafkaMembers) Run(ctx context.Context, open func(stream.Stream)) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, g := range m {
		all.Go(func() error { return g.Run(ctx, open) })
	}
	return all.Wait()
}

// Decoder implements Decoder: with a schema registry, the codec gets the JSON that a value is.
func (k *kafkaInput) Decoder(of codec.Decoder) codec.Decoder {
	if k.registry == nil {
		return of
	}
	if k.schemas == nil {
		schemas, err := k.registry.Open()
		if err != nil {
			return of // Open says it
		}
		k.schemas = schemas
	}
	d := &described{of, k.schemas}
	if _, ok := of.(codec.Flusher); ok {
		return describedFlusher{d}
	}
	return d
}

// described decodes values by their schemas.
type described struct {
	codec.Decoder
	schemas *kafka.Schemas
}

// Decode implements codec.Decoder.
func (d *described) Decode(x *codec.Context, message []byte) {
	if len(message) == 0 {
		d.Decoder.Decode(x, message) // a tombstone
		return
	}
	text, err := d.schemas.AppendJSON(nil, message)
	if err != nil {
		e := x.New()
		e.Fields().Set("message", event.StringValue(strings.ToValidUTF8(string(message), "\ufffd")))
		e.AddTag("_schemafailure")
		e.Metadata().Set("kafka_schema_error", event.StringValue(err.Error()))
		x.Emit(e)
		return
	}
	d.Decoder.Decode(x, text)
}

// Fork implements codec.Forker where the codec does.
func (d *described) Fork() codec.Codec { return d.fork() }

func (d *described) fork() *described {
	if f, ok := d.Decoder.(codec.Forker); ok {
		if of, ok := f.Fork().(codec.Decoder); ok {
			return &described{of, d.schemas}
		}
	}
	return d
}

// Alone implements codec.Ordered as the codec does.
func (d *described) Alone() bool {
	o, ok := d.Decoder.(codec.Ordered)
	return ok && o.Alone()
}

// describedFlusher is for codecs that hold events back.
type describedFlusher struct{ *described }

// Fork implements codec.Forker.
func (d describedFlusher) Fork() codec.Codec { return describedFlusher{d.fork()} }

// Flush implements codec.Flusher.
func (d describedFlusher) Flush(x *codec.Context) {
	if f, ok := d.Decoder.(codec.Flusher); ok {
		f.Flush(x)
	}
}

// Identity implements Identifier: what is of one partition belongs together.
func (*kafkaInput) Identity(r *flow.Record) []byte { return kafka.Identity(r.Meta) }

// Describe implements Describer.
func (k *kafkaInput) Describe(e *event.Event, r *flow.Record) {
	if !k.basic {
		return
	}
	m, err := kafka.ParseMeta(r.Meta)
	if err != nil {
		return
	}
	under := e.Metadata().At("kafka")
	if under == nil || under.Kind() != event.Map {
		e.Metadata().Set("kafka", event.MapValue())
		under = e.Metadata().At("kafka")
	}
	f := under.Map()
	f.Set("topic", event.StringValue(m.Topic))
	f.Set("consumer_group", k.group)
	f.Set("partition", event.IntValue(int64(m.Partition)))
	f.Set("offset", event.IntValue(m.Offset))
	key := event.NullValue
	if m.Key != nil {
		key = event.StringValue(strings.ToValidUTF8(string(m.Key), "\ufffd"))
	}
	f.Set("key", key)
	if !m.Timestamp.IsZero() {
		f.Set("timestamp", event.IntValue(m.Timestamp.UnixMilli()))
	}
	f.Set("id", event.StringValue(m.ID()))
	if m.Tombstone {
		f.Set("tombstone", event.BoolValue(true))
	}
	if !k.headers {
		return
	}
	for h := range m.Headers() {
		if h.Value == nil || !utf8.Valid(h.Value) {
			continue
		}
		ref, err := event.ParseRef("[@metadata][kafka][headers][" + h.Name + "]")
		if err != nil {
			continue // no field can have this name
		}
		setField(e, ref, event.StringValue(string(h.Value)))
	}
}

var (
	_ Describer  = (*kafkaInput)(nil)
	_ Identifier = (*kafkaInput)(nil)
	_ Decoder    = (*kafkaInput)(nil)
)
