package output

import (
	"cmp"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// OpenSearch writes events to OpenSearch: each is an operation of _bulk.
//
// Source: LogStash::Outputs::OpenSearch of logstash-output-opensearch 2.0.
//
// Differences:
//   - A version that is no number, an upsert that is no JSON, and an action that there is not are dead letters at once: in the
//     original they make the request fail, for ever.
//   - A request that is too large for the target (413) is halved, and an event that is too large alone is a dead letter.
//   - A request that needs more memory by itself than the target allows for all (429, as it says) is halved, too; an event that does
//     so alone is a dead letter after 8 tries. Any other event that is refused with 429 is tried again for ever, which is logged as
//     an error when it was alone in its request.
//   - A delete of what is not there has succeeded.
//   - doc_as_upsert and the options for scripts also count where the action comes from the event.
//   - The target is not asked for its nodes (sniffing): name them in hosts.
//   - parent without join_field is an error: documents have had no parents since version 6.
//   - The answer is asked for only as far as it is needed.
type OpenSearch struct {
	Options
	Bulk
	Cluster
	AuthType                   option.Hash      `ls:"auth_type" doc:"who asks: type => basic with user and password, or type => aws_iam with region, service_name (es or aoss), and aws_access_key_id, aws_secret_access_key and session_token if they are not found in the environment"`
	TargetBulkBytes            int64            `ls:"target_bulk_bytes" default:"9437184" doc:"the most bytes of a request, before compression"`
	SSL                        *bool            `ls:"ssl" doc:"whether connections are encrypted; without it, what the hosts say"`
	SSLCertificateVerification bool             `ls:"ssl_certificate_verification" default:"true" doc:"whether the target's certificate is checked"`
	CACert                     string           `ls:"cacert,path" doc:"the file (PEM) with the authority that vouches for the target"`
	Truststore                 string           `ls:"truststore,path" doc:"a file (PKCS#12) with the authorities that are trusted"`
	TruststorePassword         *option.Password `ls:"truststore_password" doc:"the truststore's password"`
	Keystore                   string           `ls:"keystore,path" doc:"a file (PKCS#12) with the certificate to show, and its key"`
	KeystorePassword           *option.Password `ls:"keystore_password" doc:"the keystore's password"`
	TLSCertificate             string           `ls:"tls_certificate,path" doc:"the file (PEM) with the certificate to show"`
	TLSKey                     string           `ls:"tls_key,path" doc:"the file (PEM) with the certificate's key"`
	HTTPCompression            bool             `ls:"http_compression" default:"false" doc:"whether requests are compressed with gzip"`
	LegacyTemplate             bool             `ls:"legacy_template" default:"true" doc:"whether the template is one of the old kind (_template); else it is composable (_index_template)"`
	DefaultServerMajorVersion  *int64           `ls:"default_server_major_version" doc:"the major version of a target that does not say what it is, as Amazon OpenSearch Serverless; without it, 2"`
}

// DefaultCodec implements Plugin.
func (*OpenSearch) DefaultCodec() string { return "plain" }

// Setup implements Plugin.
func (o *OpenSearch) Setup(s *Setup) (Output, error) {
	b := &bulkOutput{Bulk: &o.Bulk, Cluster: &o.Cluster, log: s.Log, getenv: s.Getenv}
	if err := b.setup(s); err != nil {
		return nil, err
	}
	b.tls = &tlsoption.Config{
		Dir: s.Dir, Log: s.Log,
		Identity:   tlsoption.Identity{Certificate: o.TLSCertificate, Key: o.TLSKey},
		Keystore:   tlsoption.Store{Path: o.Keystore, Password: o.KeystorePassword},
		Truststore: tlsoption.Store{Path: o.Truststore, Password: o.TruststorePassword},
	}
	for usual, name := range map[string]string{
		"ssl_certificate": "tls_certificate", "ssl_key": "tls_key", "ssl_certificate_authorities": "cacert", "ssl_keystore_path": "keystore",
		"ssl_keystore_password": "keystore_password", "ssl_truststore_path": "truststore", "ssl_truststore_password": "truststore_password",
	} {
		b.tls.Named(usual, name)
	}
	if o.CACert != "" {
		b.tls.CertificateAuthorities = []string{o.CACert}
	}
	if !o.SSLCertificateVerification {
		b.tls.VerificationMode = "none"
		s.Log.Warn("the target's certificate is not checked: anyone can read and change what is sent", "at", s.Where)
	}
	if err := b.setupHosts(o.SSL, "ssl"); err != nil {
		return nil, err
	}
	if err := o.aws(b); err != nil {
		return nil, err
	}
	if o.TargetBulkBytes < 1 {
		return nil, option.Errorf("target_bulk_bytes", "expected 1 or more, found %d", o.TargetBulkBytes)
	}
	b.events.RequestBytes = int(o.TargetBulkBytes)
	if b.major = 2; o.DefaultServerMajorVersion != nil {
		b.major = int(*o.DefaultServerMajorVersion)
	}
	if o.HTTPCompression {
		b.events.Compression = 1
	}
	b.template = &template{
		Bulk: b.Bulk, ecs: b.ecs, name: b.templateName(), composable: func(opensearch.Info) bool { return !o.LegacyTemplate }, lenient: true, log: s.Log,
		dir: s.Dir,
	}
	b.routed(s.Role)
	return b, nil
}

// aws reads auth_type.
func (o *OpenSearch) aws(b *bulkOutput) error {
	text := func(key string) string {
		v, _ := o.AuthType.Get(key)
		return option.Text(v)
	}
	for _, p := range o.AuthType {
		switch p.Key {
		case "type", "user", "password", "region", "service_name", "aws_access_key_id", "aws_secret_access_key", "session_token",
			"profile", "instance_profile_credentials_retries", "instance_profile_credentials_timeout":
		default:
			return option.Errorf("auth_type", "it has no %q", p.Key)
		}
	}
	switch typ := text("type"); {
	case len(o.AuthType) == 0:
	case typ == "basic":
		b.endpoint.Username, b.endpoint.Password = text("user"), text("password")
	case typ != "aws_iam":
		return option.Errorf("auth_type", "expected the type basic or aws_iam, found %q", typ)
	default:
		if b.endpoint.Username != "" || b.endpoint.Password != "" {
			return option.Errorf("auth_type", "there is a user, too: give one of them")
		}
		b.endpoint.AWS = opensearch.AWS{
			Service: cmp.Or(text("service_name"), "es"), Region: text("region"),
			AccessKey: text("aws_access_key_id"), SecretKey: text("aws_secret_access_key"), SessionToken: text("session_token"),
		}
		if s := b.endpoint.AWS.Service; s != "es" && s != "aoss" {
			return option.Errorf("auth_type", "expected the service_name es or aoss, found %q", s)
		}
		if k := b.endpoint.AWS; (k.AccessKey == "") != (k.SecretKey == "") {
			return option.Errorf("auth_type", "aws_access_key_id and aws_secret_access_key come together")
		}
		if b.endpoint.AWS.Region == "" {
			b.endpoint.AWS.Region = "us-east-1"
		}
	}
	return nil
}
