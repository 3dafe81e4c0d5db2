package output

import (
	"slices"
	"strings"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/logstash/input"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// Elasticsearch writes events to Elasticsearch, and to OpenSearch: each is an operation of _bulk.
//
// Source: LogStash::Outputs::ElasticSearch of logstash-output-elasticsearch 12.1.
//
// Differences:
//   - The target may be OpenSearch: it is not asked for a product or a licence. Templates are composable there, and a template
//     for data streams is installed if there is none.
//   - With template_api => auto, a file with mappings or settings at its top is installed as a template of the old kind, and one
//     with the object template as a composable one, whatever the version.
//   - ilm_enabled => auto writes to a rollover alias only if ilm_rollover_alias is given. On OpenSearch the alias and its first
//     index are made, and a warning says that the policy is to be made there.
//   - A version that is no number, an upsert that is no JSON, and an action that there is not are dead letters at once: in the
//     original some of them make the request fail, for ever.
//   - A request that is too large for the target (413) is halved, and an event that is too large alone is a dead letter.
//   - A request that needs more memory by itself than the target allows for all (429, as it says) is halved, too; an event that does
//     so alone is a dead letter after 8 tries. Any other event that is refused with 429 is tried again for ever, which is logged as
//     an error when it was alone in its request.
//   - A delete of what is not there has succeeded.
//   - doc_as_upsert and the options for scripts also count where the action comes from the event.
//   - Requests to this machine are not compressed unless compression_level or http_compression is given.
//   - The target is not asked for its nodes (sniffing): name them in hosts.
//   - parent without join_field is an error: documents have had no parents since version 6.
//   - There are always dead letters, so dlq_custom_codes needs no other setting.
type Elasticsearch struct {
	Options
	Bulk
	Cluster
	tlsoption.Client
	tlsoption.Keystore
	tlsoption.Truststore
	SSLEnabled           *bool            `ls:"ssl_enabled" doc:"whether connections are encrypted; without it, what the hosts say"`
	CATrustedFingerprint []string         `ls:"ca_trusted_fingerprint" doc:"SHA-256 fingerprints (hex) of authorities that are trusted"`
	APIKey               *option.Password `ls:"api_key" doc:"an API key, as id:key or in base64; connections must be encrypted"`
	CloudID              string           `ls:"cloud_id" doc:"a cluster of Elastic Cloud, instead of hosts"`
	CloudAuth            *option.Password `ls:"cloud_auth" doc:"name:password for it"`
	HTTPCompression      *bool            `ls:"http_compression,deprecated" doc:"whether requests are compressed" instead:"use compression_level"`
	CompressionLevel     *int64           `ls:"compression_level" enum:"0|1|2|3|4|5|6|7|8|9" doc:"how hard requests are compressed with gzip; 0: not; without it, 1"`
	SilenceErrorsInLog   []string         `ls:"silence_errors_in_log" doc:"types of errors that are not logged"`
	DropErrorTypes       []string         `ls:"drop_error_types" doc:"types of errors whose events are dropped, and are no dead letters"`
	DLQCustomCodes       []int64          `ls:"dlq_custom_codes" doc:"statuses of events that make them dead letters, beside 400 and 404"`
	DLQOnFailedIndexname bool             `ls:"dlq_on_failed_indexname_interpolation" default:"true" doc:"whether an event whose index has a reference to a field that is missing is a dead letter at once"`
	TemplateAPI          string           `ls:"template_api" enum:"auto|legacy|composable" default:"auto" doc:"which kind of template is installed; auto: what the file has the form of, or what the target's version has"`

	ILMEnabled       string `ls:"ilm_enabled" enum:"true|false|auto" default:"auto" doc:"whether events are written to an alias whose index is rolled over"`
	ILMRolloverAlias string `ls:"ilm_rollover_alias" doc:"the alias; without it, logstash, or ecs-logstash with ECS"`
	ILMPattern       string `ls:"ilm_pattern" default:"{now/d}-000001" doc:"what the name of the alias's first index ends in"`
	ILMPolicy        string `ls:"ilm_policy" default:"logstash-policy" doc:"the policy by which indices are rolled over"`

	DataStream            string  `ls:"data_stream" enum:"true|false|auto" doc:"whether events go to a data stream; auto: if ECS is on and no option is given that data streams do not have"`
	DataStreamType        *string `ls:"data_stream_type" enum:"logs|metrics|synthetics|traces" doc:"the first part of the stream's name; without it, logs"`
	DataStreamDataset     *string `ls:"data_stream_dataset" doc:"the second part; without it, generic"`
	DataStreamNamespace   *string `ls:"data_stream_namespace" doc:"the third part; without it, default"`
	DataStreamSyncFields  *bool   `ls:"data_stream_sync_fields" doc:"whether the event gets fields with the parts of the name; without it, true"`
	DataStreamAutoRouting *bool   `ls:"data_stream_auto_routing" doc:"whether such fields of the event choose the stream; without it, true"`
}

// DefaultCodec implements Plugin.
func (*Elasticsearch) DefaultCodec() string { return "plain" }

// Obsolete lists options that there were once.
func (*Elasticsearch) Obsolete() map[string]string {
	return map[string]string{ //nolint:gosec // names of options
		"ssl": "use ssl_enabled", "ssl_certificate_verification": "use ssl_verification_mode", "cacert": "use ssl_certificate_authorities",
		"truststore": "use ssl_truststore_path", "truststore_password": "use ssl_truststore_password",
		"keystore": "use ssl_keystore_path", "keystore_password": "use ssl_keystore_password",
		"flush_size": "use pipeline.batch.size", "idle_flush_time": "use pipeline.batch.delay", "protocol": "there is HTTP only",
	}
}

// Setup implements Plugin.
func (o *Elasticsearch) Setup(s *Setup) (Output, error) {
	b := &bulkOutput{Bulk: &o.Bulk, Cluster: &o.Cluster, log: s.Log, getenv: s.Getenv, metadata: true, strict: o.DLQOnFailedIndexname}
	b.placed, b.major = b.Index == nil, 2
	if err := b.setup(s); err != nil {
		return nil, err
	}
	if err := o.access(b); err != nil {
		return nil, err
	}
	b.tls = o.Client.Of(tlsoption.Config{Dir: s.Dir, Log: s.Log, Keystore: o.Keystore.Store(), Truststore: o.Truststore.Store()})
	if o.VerificationMode == "none" {
		s.Log.Warn("the target's certificate is not checked: anyone can read and change what is sent", "at", s.Where)
	}
	if err := b.setupHosts(o.SSLEnabled, "ssl_enabled"); err != nil {
		return nil, err
	}
	if err := o.key(b); err != nil {
		return nil, err
	}
	var err error
	if b.fingerprints, err = opensearch.ParseFingerprints(o.CATrustedFingerprint); err != nil {
		return nil, option.Errorf("ca_trusted_fingerprint", "%w", err)
	}
	if err := o.rules(b); err != nil {
		return nil, err
	}
	if err := o.target(b, s); err != nil {
		return nil, err
	}
	b.template = &template{
		Bulk: b.Bulk, ecs: b.ecs, name: b.templateName(), dir: s.Dir, log: s.Log, shaped: o.TemplateAPI == "auto",
		composable: func(i opensearch.Info) bool {
			return o.TemplateAPI == "composable" || o.TemplateAPI == "auto" && (i.OpenSearch() || i.Major >= 8)
		},
	}
	b.routed(s.Role)
	return b, nil
}

// access reads cloud_id and who asks.
func (o *Elasticsearch) access(b *bulkOutput) (err error) {
	c := input.CloudAccess{ID: o.CloudID, Auth: o.CloudAuth, APIKey: o.APIKey}
	b.User, b.Password, b.Hosts, err = c.Of(b.User, b.Password, b.Hosts)
	return err
}

// key reads api_key.
func (o *Elasticsearch) key(b *bulkOutput) error {
	if o.APIKey == nil {
		return nil
	}
	if slices.ContainsFunc(b.endpoint.URLs, func(u string) bool { return !strings.HasPrefix(u, "https://") }) {
		return option.Errorf("api_key", "it would be sent so that anyone can read it: use ssl_enabled => true, or https:// in hosts")
	}
	var err error
	if b.endpoint.APIKey, err = opensearch.ParseAPIKey(string(*o.APIKey)); err != nil {
		return option.Errorf("api_key", "%w", err)
	}
	return nil
}

// rules reads what is done about events that are refused, and how requests are compressed.
func (o *Elasticsearch) rules(b *bulkOutput) error {
	b.events.RequestBytes = 20 << 20
	b.events.Counted = true
	b.events.Dropped = o.DropErrorTypes
	b.events.Silent = append(b.events.Silent, o.SilenceErrorsInLog...)
	for _, code := range o.DLQCustomCodes {
		switch code {
		case 400, 404:
			return option.Errorf("dlq_custom_codes", "%d makes a dead letter anyway", code)
		case 200, 201, 409:
			return option.Errorf("dlq_custom_codes", "%d is no failure", code)
		}
		b.events.Dead = append(b.events.Dead, int(code))
	}
	switch {
	case o.CompressionLevel != nil && o.HTTPCompression != nil:
		return option.Errorf("http_compression", "there is compression_level, too: give one of them")
	case o.CompressionLevel != nil:
		b.events.Compression = int(*o.CompressionLevel)
	case o.HTTPCompression == nil && b.endpoint.Local(), o.HTTPCompression != nil && !*o.HTTPCompression:
	default:
		b.events.Compression = 1
	}
	return nil
}
