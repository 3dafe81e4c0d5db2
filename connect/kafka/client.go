// Package kafka reads and writes Kafka's topics. A Group reads as a member of a consumer group, and commits only what is
// delivered; a Range reads what there is, without a group; a Sink writes, idempotently; Carry moves records from topics to
// topics in transactions. Schemas decodes and encodes what a schema registry describes.
package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	mskiam "github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// A Config says which Kafka cluster, and who asks.
type Config struct {
	Brokers        []string      `json:"brokers" doc:"addresses of brokers to begin with, like kafka-1:9092; the others are found by them"`
	ClientID       string        `json:"clientId,omitempty" doc:"what naru calls itself, for the cluster's logs and quotas; the default is naru"`
	Rack           string        `json:"rack,omitempty" doc:"the rack or zone naru runs in, to read from replicas that are near"`
	TLS            *TLS          `json:"tls,omitempty" doc:"speak TLS; with nothing under it, the system's authorities count"`
	SASL           *SASL         `json:"sasl,omitempty" doc:"who asks, as the brokers want it proved"`
	ConnectTimeout time.Duration `json:"connectTimeout,omitempty" doc:"how long a connection may take to come up; the default is 10s"`
	RequestTimeout time.Duration `json:"requestTimeout,omitempty" doc:"how long a broker may take to answer beyond what it was asked to wait; the default is 10s"`

	Getenv func(string) string `json:"-"` // nil: os.Getenv
	Log    *slog.Logger        `json:"-"` // nil: nothing is logged
}

// SASL says who asks. Secrets come from files or the environment, never from a flow file or a flag.
type SASL struct {
	Mechanism    string `json:"mechanism" doc:"PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM"`
	Username     string `json:"username,omitempty" doc:"the name; without it the environment variable NARU_KAFKA_USERNAME"`
	PasswordFile string `json:"passwordFile,omitempty" doc:"file with the password; without it the environment variable NARU_KAFKA_PASSWORD"`
	TokenFile    string `json:"tokenFile,omitempty" doc:"file with the token for OAUTHBEARER, read again for each connection"`
	Profile      string `json:"profile,omitempty" doc:"profile of the AWS configuration for AWS_MSK_IAM; without it the usual ways to credentials"`

	// For configurations of others, which have it in them.
	Password Secret         `json:"-"`
	Token    Secret         `json:"-"` // of OAUTHBEARER, instead of TokenFile
	Endpoint *TokenEndpoint `json:"-"` // of OAUTHBEARER, instead of TokenFile
}

// A Secret is a text that does not print.
type Secret string

// String hides the secret.
func (Secret) String() string { return "***" }

// GoString hides the secret.
func (Secret) GoString() string { return "***" }

// The mechanisms.
const (
	Plain       = "PLAIN"
	SCRAM256    = "SCRAM-SHA-256"
	SCRAM512    = "SCRAM-SHA-512"
	OAuthBearer = "OAUTHBEARER"
	MSKIAM      = "AWS_MSK_IAM"
)

// Validate says what is wrong with c.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("brokers is missing: like kafka-1:9092"))
	}
	for _, b := range c.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			errs = append(errs, fmt.Errorf("broker %q: want a host and a port, like kafka-1:9092", b))
		}
	}
	if c.ConnectTimeout < 0 || c.RequestTimeout < 0 {
		errs = append(errs, errors.New("connectTimeout and requestTimeout must not be negative"))
	}
	return errors.Join(errs...)
}

// Validate says what is wrong with s.
func (s *SASL) Validate() error {
	switch s.Mechanism {
	case Plain, SCRAM256, SCRAM512:
		if s.TokenFile != "" || s.Profile != "" {
			return fmt.Errorf("%s has a username and a password, no token and no profile", s.Mechanism)
		}
	case OAuthBearer:
		if s.TokenFile == "" && s.Token == "" && s.Endpoint == nil {
			return errors.New("OAUTHBEARER needs tokenFile")
		}
	case MSKIAM:
		if s.Username != "" || s.PasswordFile != "" || s.TokenFile != "" {
			return errors.New("AWS_MSK_IAM takes credentials from AWS, no username, password or token")
		}
	case "":
		return errors.New("mechanism is missing: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM")
	default:
		return fmt.Errorf("mechanism %q: want PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or AWS_MSK_IAM", s.Mechanism)
	}
	return nil
}

// Options gives what a client of the cluster is made with: kgo.NewClient(append(options, …)...). It reads the files that c
// names, and does not connect.
func (c *Config) Options() ([]kgo.Opt, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.RetryBackoffFn(backoff),
		kgo.ClientID(cmp.Or(c.ClientID, "naru")),
		kgo.DialTimeout(cmp.Or(c.ConnectTimeout, 10*time.Second)),
		kgo.RequestTimeoutOverhead(max(cmp.Or(c.RequestTimeout, 10*time.Second), 100*time.Millisecond)),
		kgo.DisableClientMetrics(),
	}
	if c.Rack != "" {
		options = append(options, kgo.Rack(c.Rack))
	}
	if c.Log != nil {
		options = append(options, kgo.WithLogger(logging{c.Log}))
	}
	if c.TLS != nil {
		config, err := c.TLS.config()
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.DialTLSConfig(config))
	}
	if c.SASL != nil {
		getenv := c.Getenv
		if getenv == nil {
			getenv = os.Getenv
		}
		mechanism, err := c.SASL.mechanism(getenv)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}

// Connect makes a client with more options and waits until a broker answers, so that a wrong address, certificate or
// password is said at once and not tried again and again.
func (c *Config) Connect(ctx context.Context, more ...kgo.Opt) (*kgo.Client, error) {
	options, err := c.Options()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(options, more...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if err := client.Ping(ctx); err != nil {
		client.CloseAllowingRebalance()
		return nil, fmt.Errorf("kafka at %s: %w", strings.Join(c.Brokers, ","), err)
	}
	return client, nil
}

func (s *SASL) mechanism(getenv func(string) string) (sasl.Mechanism, error) {
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("sasl: %w", err)
	}
	switch s.Mechanism {
	case MSKIAM:
		return s.iam(), nil
	case OAuthBearer:
		if s.Endpoint != nil {
			return oauth.Oauth(s.Endpoint.auth), nil
		}
		if s.Token != "" {
			return oauth.Auth{Token: string(s.Token)}.AsMechanism(), nil
		}
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			token, err := os.ReadFile(s.TokenFile)
			if err != nil {
				return oauth.Auth{}, fmt.Errorf("sasl: tokenFile: %w", err)
			}
			return oauth.Auth{Token: strings.TrimSpace(string(token))}, nil
		}), nil
	}
	name, password := cmp.Or(s.Username, getenv("NARU_KAFKA_USERNAME")), cmp.Or(string(s.Password), getenv("NARU_KAFKA_PASSWORD"))
	if s.PasswordFile != "" {
		b, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("sasl: passwordFile: %w", err)
		}
		password = strings.TrimRight(string(b), "\r\n")
	}
	if name == "" || password == "" {
		return nil, fmt.Errorf("sasl: %s needs a name and a password: set NARU_KAFKA_USERNAME and NARU_KAFKA_PASSWORD", s.Mechanism)
	}
	switch s.Mechanism {
	case SCRAM256:
		return scram.Auth{User: name, Pass: password}.AsSha256Mechanism(), nil
	case SCRAM512:
		return scram.Auth{User: name, Pass: password}.AsSha512Mechanism(), nil
	}
	return plain.Auth{User: name, Pass: password}.AsMechanism(), nil
}

// iam proves who asks by AWS credentials, found where the SDK usually looks. They are renewed by the SDK; each connection
// is signed anew.
func (s *SASL) iam() sasl.Mechanism {
	provider := sync.OnceValues(func() (aws.CredentialsProvider, error) {
		var options []func(*awsconfig.LoadOptions) error
		if s.Profile != "" {
			options = append(options, awsconfig.WithSharedConfigProfile(s.Profile))
		}
		c, err := awsconfig.LoadDefaultConfig(context.Background(), options...)
		if err != nil {
			return nil, fmt.Errorf("sasl: AWS configuration: %w", err)
		}
		return c.Credentials, nil
	})
	return mskiam.ManagedStreamingIAM(func(ctx context.Context) (mskiam.Auth, error) {
		p, err := provider()
		if err != nil {
			return mskiam.Auth{}, err
		}
		credentials, err := p.Retrieve(ctx)
		if err != nil {
			return mskiam.Auth{}, fmt.Errorf("sasl: AWS credentials: %w", err)
		}
		return mskiam.Auth{
			AccessKey: credentials.AccessKeyID, SecretKey: credentials.SecretAccessKey, SessionToken: credentials.SessionToken, UserAgent: "naru",
		}, nil
	})
}

// logging gives the client's messages to slog, its usual ones as details.
type logging struct{ to *slog.Logger }

// Level implements kgo.Logger.
func (l logging) Level() kgo.LogLevel {
	ctx := context.Background()
	switch {
	case l.to.Enabled(ctx, slog.LevelDebug):
		return kgo.LogLevelInfo
	case l.to.Enabled(ctx, slog.LevelWarn):
		return kgo.LogLevelWarn
	case l.to.Enabled(ctx, slog.LevelError):
		return kgo.LogLevelError
	}
	return kgo.LogLevelNone
}

// Log implements kgo.Logger.
func (l logging) Log(level kgo.LogLevel, message string, facts ...any) {
	at := slog.LevelDebug
	switch level {
	case kgo.LogLevelError:
		at = slog.LevelError
	case kgo.LogLevelWarn:
		at = slog.LevelWarn
	case kgo.LogLevelNone, kgo.LogLevelInfo, kgo.LogLevelDebug:
	}
	l.to.Log(context.Background(), at, "kafka: "+message, facts...) //nolint:sloglint // the client's own words
}

// backoff is how long to wait before the next attempt: from 100 ms to 1 s, so that a broker that is back is noticed soon; a
// quarter of it is at random, so that members do not come all at once.
func backoff(failures int) time.Duration {
	d := min(100*time.Millisecond<<min(max(failures-1, 0), 4), time.Second)
	return d - rand.N(d/4) //nolint:gosec // spreads members, keeps no secret
}
