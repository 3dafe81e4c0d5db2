package input

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/logstash/option"
)

// KafkaClient are the options by which a Kafka cluster is reached. The input and the output called kafka embed it.
//
// Source: LogStash::PluginMixins::Kafka::Common of logstash-integration-kafka 11.8 and 12.1.
type KafkaClient struct {
	BootstrapServers string `ls:"bootstrap_servers" default:"localhost:9092" doc:"addresses of brokers to begin with, separated by commas"`
	ClientID         string `ls:"client_id" default:"logstash" doc:"what naru calls itself, for the cluster's logs and quotas"`
	RequestTimeoutMS int64  `ls:"request_timeout_ms" default:"40000" doc:"how many milliseconds a broker may take to answer"`
	MetadataMaxAgeMS int64  `ls:"metadata_max_age_ms" default:"300000" doc:"after how many milliseconds new topics and partitions are noticed"`

	SecurityProtocol       string           `ls:"security_protocol" enum:"PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL" default:"PLAINTEXT" doc:"whether TLS is spoken, and whether naru says who it is"`
	SASLMechanism          string           `ls:"sasl_mechanism" default:"GSSAPI" doc:"how naru says who it is: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM; GSSAPI (Kerberos) is not there"`
	SASLJAASConfig         *option.Password `ls:"sasl_jaas_config" doc:"name and password, as Java programs have them: org.apache.kafka.common.security.scram.ScramLoginModule required username='u' password='p';"`
	JAASPath               string           `ls:"jaas_path,path" doc:"a file that has the same in a section KafkaClient"`
	TokenEndpoint          string           `ls:"sasl_oauthbearer_token_endpoint_url" doc:"where tokens for OAUTHBEARER come from; clientId and clientSecret are those of sasl_jaas_config"`
	ScopeClaim             string           `ls:"sasl_oauthbearer_scope_claim_name" default:"scope" doc:"has no effect: brokers look into tokens, naru does not"`
	ClientCallback         string           `ls:"sasl_client_callback_handler_class" doc:"has no effect: what sasl_mechanism needs is in naru"`
	LoginCallback          string           `ls:"sasl_login_callback_handler_class" doc:"has no effect: what sasl_mechanism needs is in naru"`
	IAMJars                []string         `ls:"sasl_iam_jar_paths" doc:"has no effect: signing for Amazon MSK is in naru"`
	LoginConnectTimeoutMS  *int64           `ls:"sasl_login_connect_timeout_ms" doc:"how many milliseconds the connection to the token endpoint may take to come up"`
	LoginReadTimeoutMS     *int64           `ls:"sasl_login_read_timeout_ms" doc:"how many milliseconds the token endpoint may take to answer"`
	LoginRetryBackoffMS    int64            `ls:"sasl_login_retry_backoff_ms" default:"100" doc:"has no effect: connections are tried again with growing waits"`
	LoginRetryBackoffMaxMS int64            `ls:"sasl_login_retry_backoff_max_ms" default:"10000" doc:"has no effect: connections are tried again with growing waits"`
	KerberosService        string           `ls:"sasl_kerberos_service_name" doc:"of GSSAPI, which is not there"`
	KerberosConfig         string           `ls:"kerberos_config,path" doc:"of GSSAPI, which is not there"`
	TruststoreLocation     string           `ls:"ssl_truststore_location,path" doc:"the authorities that vouch for the brokers: PKCS #12, JKS or PEM; without it, those of the system"`
	TruststorePassword     *option.Password `ls:"ssl_truststore_password" doc:"the password of the truststore"`
	TruststoreType         string           `ls:"ssl_truststore_type" doc:"has no effect: the file says itself what it is"`
	KeystoreLocation       string           `ls:"ssl_keystore_location,path" doc:"naru's own certificate with its key: PKCS #12 or PEM"`
	KeystorePassword       *option.Password `ls:"ssl_keystore_password" doc:"the password of the keystore"`
	KeystoreType           string           `ls:"ssl_keystore_type" doc:"has no effect: the file says itself what it is"`
	KeyPassword            *option.Password `ls:"ssl_key_password" doc:"the password of the key, if it is not that of the keystore"`
	EndpointIdentification string           `ls:"ssl_endpoint_identification_algorithm" default:"https" doc:"https checks that a broker's certificate is for its address; an empty text does not"`
	ClientDNSLookup        string           `ls:"client_dns_lookup" enum:"default|use_all_dns_ips|resolve_canonical_bootstrap_servers_only" default:"use_all_dns_ips" doc:"has no effect: all addresses of a name are tried"`
	ConnectionsMaxIdleMS   int64            `ls:"connections_max_idle_ms" default:"540000" doc:"has no effect: connections that are not used are closed after a while"`
	ReceiveBufferBytes     int64            `ls:"receive_buffer_bytes" default:"32768" doc:"has no effect: the system sizes buffers of connections"`
	SendBufferBytes        int64            `ls:"send_buffer_bytes" default:"131072" doc:"has no effect: the system sizes buffers of connections"`
	ReconnectBackoffMS     int64            `ls:"reconnect_backoff_ms" default:"50" doc:"has no effect: connections are tried again with growing waits"`
	ReconnectBackoffMaxMS  int64            `ls:"reconnect_backoff_max_ms" default:"1000" doc:"has no effect: connections are tried again with growing waits"`
	RetryBackoffMS         int64            `ls:"retry_backoff_ms" default:"100" doc:"has no effect: requests are tried again with growing waits"`
}

// Kafka gives what a client is made with. dir is what paths are relative to.
func (k *KafkaClient) Kafka(dir string, getenv func(string) string) (kafka.Config, error) {
	c := kafka.Config{ClientID: k.ClientID, Getenv: getenv, RequestTimeout: time.Duration(k.RequestTimeoutMS) * time.Millisecond}
	for address := range strings.SplitSeq(k.BootstrapServers, ",") {
		address = strings.TrimSpace(address)
		if at := strings.Index(address, "://"); at >= 0 {
			address = address[at+3:] // PLAINTEXT://host:port
		}
		if address == "" {
			continue
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" || port == "" {
			return c, option.Errorf("bootstrap_servers", "expected a host and a port, found %q", address)
		}
		if err := errors.Join(CheckHost(host), CheckPort(port)); err != nil {
			return c, option.Errorf("bootstrap_servers", "%s: %w", address, err)
		}
		c.Brokers = append(c.Brokers, address)
	}
	if len(c.Brokers) == 0 {
		return c, option.Errorf("bootstrap_servers", "expected addresses, found none")
	}
	if k.RequestTimeoutMS < 0 || k.MetadataMaxAgeMS < 0 {
		return c, option.Errorf("request_timeout_ms", "this and metadata_max_age_ms must not be negative")
	}
	if k.SecurityProtocol == "SSL" || k.SecurityProtocol == "SASL_SSL" {
		tls, err := k.tls(dir)
		if err != nil {
			return c, err
		}
		c.TLS = tls
	}
	if strings.HasPrefix(k.SecurityProtocol, "SASL_") {
		sasl, err := k.sasl(dir)
		if err != nil {
			return c, err
		}
		c.SASL = sasl
	}
	return c, nil
}

func (k *KafkaClient) tls(dir string) (*kafka.TLS, error) {
	t := &kafka.TLS{CAFile: relative(dir, k.TruststoreLocation), CertFile: relative(dir, k.KeystoreLocation)}
	if k.TruststorePassword != nil {
		t.CAPassword = kafka.Secret(*k.TruststorePassword)
	}
	if k.KeystorePassword != nil {
		t.CertPassword = kafka.Secret(*k.KeystorePassword)
	}
	if k.KeyPassword != nil && k.KeystorePassword != nil && *k.KeyPassword != *k.KeystorePassword {
		return nil, option.Errorf("ssl_key_password", "a key with another password than its keystore cannot be read: give it the same (keytool -keypasswd)")
	}
	if k.KeyPassword != nil && k.KeystorePassword == nil {
		t.CertPassword = kafka.Secret(*k.KeyPassword)
	}
	switch k.EndpointIdentification {
	case "https":
	case "":
		t.InsecureServerName = true
	default:
		return nil, option.Errorf("ssl_endpoint_identification_algorithm", `expected "https" or "", found %q`, k.EndpointIdentification)
	}
	if k.KeystoreType == "jks" || k.KeystoreType == "JKS" {
		begin, err := beginning(t.CertFile)
		if err != nil {
			return nil, option.Errorf("ssl_keystore_location", "%w", err)
		}
		if begin == "\xfe\xed\xfe\xed" {
			return nil, option.Errorf("ssl_keystore_location", "a private key in Java's own format cannot be read: convert it (keytool -importkeystore -deststoretype pkcs12)")
		}
	}
	return t, nil
}

// beginning gives the first four bytes of a file; "" if there is none.
func beginning(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	var b [4]byte
	n, _ := f.Read(b[:])
	return string(b[:n]), f.Close()
}

// InspectTLS reads the certificates of a client. ca and cert are the names of the options that say where they are.
func (i *Inspection) InspectTLS(t *kafka.TLS, ca, cert string) {
	if t == nil {
		return
	}
	noCA, noCert := t.Check()
	if noCA != nil {
		i.Report(option.Errorf(ca, "%w", noCA))
	}
	if noCert != nil {
		i.Report(option.Errorf(cert, "%w", noCert))
	}
}

// CheckTopic says what is wrong with the name of a topic.
//
// Source: org.apache.kafka.common.internals.Topic.
func CheckTopic(name string) error {
	const most = 249
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is no name of a topic", name)
	case len(name) > most:
		return fmt.Errorf("%q is no name of a topic: it has more than %d characters", name, most)
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return fmt.Errorf("%q is no name of a topic: it has a %q, and may have letters from a to z, digits, '.', '_' and '-'", name, c)
		}
	}
	return nil
}

func relative(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

func (k *KafkaClient) sasl(dir string) (*kafka.SASL, error) {
	s := &kafka.SASL{Mechanism: k.SASLMechanism}
	if s.Mechanism == "GSSAPI" {
		return nil, option.Errorf("sasl_mechanism", "Kerberos (GSSAPI, the default) is not there: use SCRAM-SHA-512, a client certificate, OAUTHBEARER or AWS_MSK_IAM")
	}
	var login map[string]string
	switch {
	case k.SASLJAASConfig != nil:
		module, err := parseJAAS(string(*k.SASLJAASConfig))
		if err != nil {
			return nil, option.Errorf("sasl_jaas_config", "%w", err)
		}
		login = module
	case k.JAASPath != "":
		text, err := os.ReadFile(relative(dir, k.JAASPath))
		if err != nil {
			return nil, option.Errorf("jaas_path", "%w", err)
		}
		module, err := parseJAASFile(string(text))
		if err != nil {
			return nil, option.Errorf("jaas_path", "%s: %w", k.JAASPath, err)
		}
		login = module
	}
	switch s.Mechanism {
	case kafka.Plain, kafka.SCRAM256, kafka.SCRAM512:
		s.Username, s.Password = login["username"], kafka.Secret(login["password"])
		if login != nil && (s.Username == "" || s.Password == "") {
			return nil, option.Errorf("sasl_jaas_config", "%s needs username and password", s.Mechanism)
		}
	case kafka.MSKIAM:
		if login["awsRoleArn"] != "" {
			return nil, option.Errorf("sasl_jaas_config", "awsRoleArn: give the role to a profile of the AWS configuration (role_arn), and name that by awsProfileName")
		}
		s.Profile = login["awsProfileName"]
	case kafka.OAuthBearer:
		if k.TokenEndpoint == "" || login["clientId"] == "" || login["clientSecret"] == "" {
			return nil, option.Errorf("sasl_mechanism", "OAUTHBEARER needs sasl_oauthbearer_token_endpoint_url, and clientId and clientSecret in sasl_jaas_config")
		}
		s.Endpoint = &kafka.TokenEndpoint{
			URL: k.TokenEndpoint, ClientID: login["clientId"], Secret: kafka.Secret(login["clientSecret"]), Scope: login["scope"],
			ConnectTimeout: milliseconds(k.LoginConnectTimeoutMS), ReadTimeout: milliseconds(k.LoginReadTimeoutMS),
		}
	}
	if err := s.Validate(); err != nil {
		return nil, option.Errorf("sasl_mechanism", "%w", err)
	}
	return s, nil
}

func milliseconds(n *int64) time.Duration {
	if n == nil {
		return 0
	}
	return time.Duration(*n) * time.Millisecond
}

// parseJAAS reads what Java programs have for a login: a module's class, a flag, and options with values, as in
//
//	org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";
//
// It gives the options.
//
// Source: org.apache.kafka.common.security.JaasConfig.
func parseJAAS(text string) (map[string]string, error) {
	words, err := jaasWords(text)
	if err != nil {
		return nil, err
	}
	if len(words) < 3 || words[0].quoted || words[len(words)-1].text != ";" {
		return nil, errJAAS
	}
	switch strings.ToLower(words[1].text) {
	case "required", "requisite", "sufficient", "optional":
	default:
		return nil, fmt.Errorf("%w: the second word is required, found %q", errJAAS, words[1].text)
	}
	out := map[string]string{}
	for rest := words[2 : len(words)-1]; len(rest) > 0; rest = rest[3:] {
		if len(rest) < 3 || rest[0].quoted || rest[1].text != "=" || rest[1].quoted {
			return nil, errJAAS
		}
		out[rest[0].text] = rest[2].text
	}
	return out, nil
}

// parseJAASFile reads the section KafkaClient of a file:
//
//	KafkaClient { MODULE required option="value"; };
func parseJAASFile(text string) (map[string]string, error) {
	begin := strings.Index(text, "KafkaClient")
	if begin < 0 {
		return nil, errors.New("there is no section KafkaClient")
	}
	_, inside, ok := strings.Cut(text[begin:], "{")
	if !ok {
		return nil, errJAAS
	}
	quoted := false
	for i := range len(inside) {
		switch {
		case inside[i] == '"':
			quoted = !quoted
		case inside[i] == ';' && !quoted:
			return parseJAAS(inside[:i+1])
		}
	}
	return nil, errJAAS
}

var errJAAS = errors.New(`expected MODULE required option="value" … ; with the semicolon`)

type jaasWord struct {
	text   string
	quoted bool
}

func jaasWords(text string) (words []jaasWord, err error) {
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '=', ';':
			words = append(words, jaasWord{text: string(c)})
			i++
		case '"', '\'':
			var b strings.Builder
			for i++; ; i++ {
				if i >= len(text) {
					return nil, fmt.Errorf("%w: a quotation mark is not closed", errJAAS)
				}
				if text[i] == c {
					break
				}
				if text[i] == '\\' && i+1 < len(text) {
					i++
				}
				b.WriteByte(text[i])
			}
			i++
			words = append(words, jaasWord{b.String(), true})
		default:
			end := i
			for end < len(text) && !strings.ContainsRune(" \t\r\n=;\"'", rune(text[end])) {
				end++
			}
			words = append(words, jaasWord{text: text[i:end]})
			i = end
		}
	}
	return words, nil
}
