package input

import (
	"crypto/tls"
	"slices"
	"strings"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// Elasticsearch reads what a search finds in Elasticsearch, and in OpenSearch.
//
// Source: LogStash::Inputs::Elasticsearch of logstash-input-elasticsearch 5.2.
//
// Differences:
//   - The target may be OpenSearch, where a scroll is used whatever search_api says: hits that are equal by the query's sort have no
//     order there, and some would be missed.
//   - What a page was lost of is not passed over: a search that fails more often than retries says is an error, and the pipeline ends
//     with it unless there is a schedule.
//   - The value of tracking_field is kept once the events are delivered; it is the largest of the last hits, not the last.
//   - tracking_field also works with scroll.
//   - query_type => esql is not there.
type Elasticsearch struct {
	Options
	Hits
	tlsoption.Client
	tlsoption.Keystore
	tlsoption.Truststore
	SSLEnabled           *bool            `ls:"ssl_enabled" doc:"whether connections are encrypted; without it, what the hosts say"`
	CATrustedFingerprint []string         `ls:"ca_trusted_fingerprint" doc:"SHA-256 fingerprints (hex) of authorities that are trusted"`
	CustomHeaders        option.Hash      `ls:"custom_headers" doc:"headers of every request"`
	CloudID              string           `ls:"cloud_id" doc:"a cluster of Elastic Cloud, instead of hosts"`
	CloudAuth            *option.Password `ls:"cloud_auth" doc:"name:password for it"`
	APIKey               *option.Password `ls:"api_key" doc:"an API key, as id:key or in base64; connections must be encrypted"`
	QueryType            string           `ls:"query_type" enum:"dsl|esql" default:"dsl" doc:"the language of query; naru has dsl only"`
	ResponseType         string           `ls:"response_type" enum:"hits|aggregations" default:"hits" doc:"what becomes events: each hit, or all aggregations together"`
	Retries              int64            `ls:"retries" default:"0" doc:"how often a search that failed is begun anew; its events come again"`
	SearchAPI            string           `ls:"search_api" enum:"auto|search_after|scroll" default:"auto" doc:"how pages are asked for: search_after in a point in time, or scroll"`
	TrackingField        *event.Ref       `ls:"tracking_field" doc:"the field of events whose value :last_value in the query is replaced by in the next search"`
	TrackingFieldSeed    string           `ls:"tracking_field_seed" default:"1970-01-01T00:00:00.000000000Z" doc:"the value for the first search"`
	LastRunMetadataPath  string           `ls:"last_run_metadata_path" doc:"the file that the value is kept in; without it, one in the folder path.data"`
	ScheduleOverlap      *bool            `ls:"schedule_overlap" doc:"whether a search begins while the one before is not done; without it, true"`
}

// Traits implements Plugin.
func (*Elasticsearch) Traits() Traits { return Traits{Codec: "json"} }

// Obsolete lists options that there were once.
func (*Elasticsearch) Obsolete() map[string]string {
	return map[string]string{
		"ssl": "use ssl_enabled", "ca_file": "use ssl_certificate_authorities", "ssl_certificate_verification": "use ssl_verification_mode",
	}
}

// Setup implements Plugin.
func (o *Elasticsearch) Setup(s *Setup) (Input, error) {
	if o.QueryType == "esql" {
		return nil, option.Errorf("query_type", "naru does not have ES|QL: write the query as a search (dsl)")
	}
	h := &hitsInput{
		Hits: &o.Hits, name: "elasticsearch", file: o.LastRunMetadataPath, seed: o.TrackingFieldSeed,
		tls: o.Client.Of(tlsoption.Config{Dir: s.Dir, Log: s.Log, Keystore: o.Keystore.Store(), Truststore: o.Truststore.Store()}),
	}
	if err := o.access(h); err != nil {
		return nil, err
	}
	if err := h.setup(s, o.SSLEnabled); err != nil {
		return nil, err
	}
	if o.VerificationMode == "none" {
		s.Log.Warn("the target's certificate is not checked: anyone can read and change what is sent", "at", s.Where)
	}
	if err := o.key(h); err != nil {
		return nil, err
	}
	for _, p := range o.CustomHeaders {
		h.endpoint.Headers.Add(p.Key, option.Text(p.Value))
	}
	if o.Retries < 0 {
		return nil, option.Errorf("retries", "expected 0 or more, found %d", o.Retries)
	}
	if o.TrackingField != nil && o.ResponseType == "aggregations" {
		return nil, option.Errorf("tracking_field", "aggregations have no last hit")
	}
	if o.TrackingField == nil && strings.Contains(o.Query, ":last_value") {
		return nil, option.Errorf("query", "it has :last_value, and there is no tracking_field")
	}
	h.tracking = o.TrackingField
	h.query.Aggregations = o.ResponseType == "aggregations"
	h.query.Retries = int(o.Retries)
	h.query.SearchAfter = o.SearchAPI != "scroll"
	h.query.Overlap = o.ScheduleOverlap == nil || *o.ScheduleOverlap
	return h, nil
}

// access reads cloud_id and who asks.
func (o *Elasticsearch) access(h *hitsInput) (err error) {
	c := CloudAccess{o.CloudID, o.CloudAuth, o.APIKey}
	h.User, h.Password, h.Hosts, err = c.Of(h.User, h.Password, h.Hosts)
	return err
}

// CloudAccess are the options of plugins called elasticsearch that say who asks which cluster of Elastic Cloud.
type CloudAccess struct {
	ID           string           // cloud_id
	Auth, APIKey *option.Password // cloud_auth, api_key
}

// Of gives the user, the password and the hosts that a plugin goes by, of those that it is given. An error is of the option that
// is wrong.
func (c CloudAccess) Of(user string, password *option.Password, hosts []string) (string, *option.Password, []string, error) {
	ways := 0
	for _, given := range []bool{c.Auth != nil, c.APIKey != nil, user != "" || password != nil} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return "", nil, nil, option.Errorf("user", "give one of user and password, cloud_auth, and api_key")
	}
	if c.Auth != nil {
		name, secret, ok := strings.Cut(string(*c.Auth), ":")
		if !ok || name == "" || secret == "" {
			return "", nil, nil, option.Errorf("cloud_auth", "expected name:password")
		}
		user, password = name, new(option.Password(secret))
	}
	if c.ID == "" {
		return user, password, hosts, nil
	}
	if len(hosts) > 0 {
		return "", nil, nil, option.Errorf("cloud_id", "there are hosts, too: give one of them")
	}
	host, err := opensearch.CloudURL(c.ID)
	if err != nil {
		return "", nil, nil, option.Errorf("cloud_id", "%w", err)
	}
	return user, password, []string{host}, nil
}

// key reads api_key and ca_trusted_fingerprint.
func (o *Elasticsearch) key(h *hitsInput) error {
	fingerprints, err := opensearch.ParseFingerprints(o.CATrustedFingerprint)
	if err != nil {
		return option.Errorf("ca_trusted_fingerprint", "%w", err)
	}
	h.encrypt = func(conf *tls.Config) *tls.Config { return opensearch.Trust(conf, fingerprints) }
	if o.APIKey == nil {
		return nil
	}
	if slices.ContainsFunc(h.endpoint.URLs, func(u string) bool { return !strings.HasPrefix(u, "https://") }) {
		return option.Errorf("api_key", "it would be sent so that anyone can read it: use ssl_enabled => true, or https:// in hosts")
	}
	if h.endpoint.APIKey, err = opensearch.ParseAPIKey(string(*o.APIKey)); err != nil {
		return option.Errorf("api_key", "%w", err)
	}
	return nil
}
