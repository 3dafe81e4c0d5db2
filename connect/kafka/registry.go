package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
)

// A Registry says where a schema registry is that speaks Confluent's protocol, and who asks.
type Registry struct {
	URLs         []string      `json:"urls" doc:"addresses of the registry, like https://registry:8081"`
	Username     string        `json:"username,omitempty" doc:"name for basic authentication; without it the environment variable NARU_REGISTRY_USERNAME"`
	PasswordFile string        `json:"passwordFile,omitempty" doc:"file with the password; without it the environment variable NARU_REGISTRY_PASSWORD"`
	TLS          *TLS          `json:"tls,omitempty" doc:"which certificates count"`
	Proxy        string        `json:"proxy,omitempty" doc:"a proxy on the way; without it what the environment says"`
	Timeout      time.Duration `json:"timeout,omitempty" doc:"how long an answer may take; the default is 10s"`

	Password Secret              `json:"-"`
	Getenv   func(string) string `json:"-"` // nil: os.Getenv
}

// Validate says what is wrong with r.
func (r *Registry) Validate() error {
	var errs []error
	if len(r.URLs) == 0 {
		errs = append(errs, errors.New("urls is missing: like https://registry:8081"))
	}
	for _, raw := range append([]string{r.Proxy}, r.URLs...) {
		if raw == "" {
			continue
		}
		u, err := url.Parse(raw)
		switch {
		case err != nil:
			errs = append(errs, err)
		case u.User != nil && raw != r.Proxy:
			errs = append(errs, fmt.Errorf("url %s: a name and password in a URL end up in logs; set NARU_REGISTRY_USERNAME and NARU_REGISTRY_PASSWORD", u.Redacted()))
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			errs = append(errs, fmt.Errorf("url %q: want something like https://registry:8081", raw))
		}
	}
	return errors.Join(errs...)
}

// Open gives the schemas of the registry. It does not connect.
func (r *Registry) Open() (*Schemas, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	getenv := r.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second}
	if r.Proxy != "" {
		proxy, err := url.Parse(r.Proxy)
		if err != nil {
			return nil, err
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	if r.TLS != nil {
		config, err := r.TLS.config()
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = config
	}
	options := []sr.ClientOpt{
		sr.URLs(r.URLs...), sr.UserAgent("naru"),
		sr.HTTPClient(&http.Client{Transport: transport, Timeout: orElse(r.Timeout, 10*time.Second)}),
	}
	name, secret := cmp.Or(r.Username, getenv("NARU_REGISTRY_USERNAME")), cmp.Or(string(r.Password), getenv("NARU_REGISTRY_PASSWORD"))
	if r.PasswordFile != "" {
		b, err := os.ReadFile(r.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("passwordFile: %w", err)
		}
		secret = strings.TrimRight(string(b), "\r\n")
	}
	if name != "" {
		options = append(options, sr.BasicAuth(name, secret))
	}
	client, err := sr.NewClient(options...)
	if err != nil {
		return nil, err
	}
	return &Schemas{client: client, known: map[uint32]*schema{}}, nil
}

// Schemas decode values that say the id of their schema, and encode such values. They may be used concurrently. What they
// have once is kept: schemas with an id never change.
//
// A value begins with a zero byte and the id, big-endian:
//
//	0 u8 | id u32 | Avro's binary form
//	0 u8 | id u32 | JSON
//	0 u8 | id u32 | message indexes | a Protobuf message
//
// Message indexes lead to a message type of the schema's file: their number, and each an index into the types at the top, or
// those inside of the one before, as zigzag varints; the number 0 alone is the first type.
//
// Source: "Wire format" of Confluent's documentation of serializers; io.confluent.kafka.schemaregistry.protobuf.MessageIndexes.
type Schemas struct {
	client *sr.Client

	mu    sync.RWMutex // guards known
	known map[uint32]*schema
}

var _ Fetcher = (*Schemas)(nil)

// A schema decodes and encodes what stands behind the id.
type schema struct {
	form
	id      uint32
	err     error     // why there is none
	expires time.Time // of err; it is asked again then
}

// form is one of the three.
type form interface {
	// appendJSON appends payload as JSON.
	appendJSON(dst, payload []byte) ([]byte, error)
	// appendPayload appends what JSON text becomes.
	appendPayload(dst, text []byte) ([]byte, error)
}

// Reasons why a value cannot be decoded, whatever one does.
var (
	errNoSchema = errors.New("the value does not begin with the id of a schema (a zero byte, and four more)")
	errUnasked  = errors.New("the schema has not been fetched")
)

// headerBytes is how long magic and id are.
const headerBytes = 5

func schemaID(value []byte) (id uint32, payload []byte, ok bool) {
	if len(value) < headerBytes || value[0] != 0 {
		return 0, nil, false
	}
	return uint32(value[1])<<24 | uint32(value[2])<<16 | uint32(value[3])<<8 | uint32(value[4]), value[headerBytes:], true
}

func (s *Schemas) lookup(id uint32) *schema {
	s.mu.RLock()
	defer s.mu.RUnlock()
	known := s.known[id]
	if known != nil && known.err != nil && time.Now().After(known.expires) {
		return nil
	}
	return known
}

// Known implements Fetcher. Values without an id need no schema: they cannot be decoded anyway.
func (s *Schemas) Known(value []byte) bool {
	id, _, ok := schemaID(value)
	return !ok || s.lookup(id) != nil
}

// missingFor is how long it is believed that a registry does not have a schema.
const missingFor = time.Minute

// mostMissing bounds how many ids without schemas are remembered: values that are none have ids, too.
const mostMissing = 10_000

// Fetch implements Fetcher. That the registry does not have the schema, or that it cannot be understood, is no error: values
// with it fail to be decoded, with that reason.
func (s *Schemas) Fetch(ctx context.Context, value []byte) error {
	id, _, ok := schemaID(value)
	if !ok || s.lookup(id) != nil {
		return nil
	}
	got := &schema{id: id}
	text, err := s.client.SchemaByID(ctx, int(id))
	if err == nil {
		got.form, err = s.parse(ctx, text)
	}
	var answer *sr.ResponseError
	var wrong *unparsable
	switch {
	case err == nil:
	case errors.As(err, &wrong), errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		got.err, got.expires = fmt.Errorf("schema %d: %w", id, err), time.Now().Add(missingFor)
	default:
		return fmt.Errorf("schema registry: schema %d: %w", id, err)
	}
	s.keep(got)
	return nil
}

func (s *Schemas) keep(got *schema) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) > mostMissing {
		for id, known := range s.known {
			if known.err != nil {
				delete(s.known, id)
			}
		}
	}
	s.known[got.id] = got
}

// AppendJSON appends the JSON of a value whose schema has been fetched.
func (s *Schemas) AppendJSON(dst, value []byte) ([]byte, error) {
	id, payload, ok := schemaID(value)
	if !ok {
		return dst, errNoSchema
	}
	known := s.lookup(id)
	if known == nil {
		return dst, errUnasked
	}
	if known.err != nil {
		return dst, known.err
	}
	out, err := known.appendJSON(dst, payload)
	if err != nil {
		return dst, fmt.Errorf("schema %d: %w", id, err)
	}
	return out, nil
}

// unparsable is why a schema cannot be used.
type unparsable struct{ err error }

func (u *unparsable) Error() string { return u.err.Error() }
func (u *unparsable) Unwrap() error { return u.err }

// mostReferences bounds how many schemas one may need.
const mostReferences = 1000

// parse makes a form of a schema, and of those that it refers to.
func (s *Schemas) parse(ctx context.Context, text sr.Schema) (form, error) {
	var files []reference
	if err := s.references(ctx, text, map[string]bool{}, &files); err != nil {
		return nil, err
	}
	var made form
	var err error
	switch text.Type {
	case sr.TypeAvro:
		made, err = parseAvro(text.Schema, files)
	case sr.TypeProtobuf:
		made, err = parseProtobuf(ctx, text.Schema, files)
	case sr.TypeJSON:
		made = jsonForm{}
	default:
		err = fmt.Errorf("a schema of type %v", text.Type)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, &unparsable{err}
	}
	return made, nil
}

// A reference is a schema that another one needs, by the name that it has there.
type reference struct{ name, text string }

// references collects what a schema needs, the innermost first.
func (s *Schemas) references(ctx context.Context, of sr.Schema, seen map[string]bool, files *[]reference) error {
	for _, r := range of.References {
		if seen[r.Name] {
			continue
		}
		seen[r.Name] = true
		if len(seen) > mostReferences {
			return &unparsable{fmt.Errorf("it needs more than %d others", mostReferences)}
		}
		got, err := s.client.SchemaByVersion(ctx, r.Subject, r.Version)
		if err != nil {
			return fmt.Errorf("it needs %s, version %d of %s: %w", r.Name, r.Version, r.Subject, err)
		}
		if err := s.references(ctx, got.Schema, seen, files); err != nil {
			return err
		}
		*files = append(*files, reference{r.Name, got.Schema.Schema})
	}
	return nil
}

// An Encoder makes values of JSON texts by one schema.
type Encoder struct{ of *schema }

// Encoder gives what encodes by the latest schema of a subject, which for the values of a topic is usually called TOPIC-value.
func (s *Schemas) Encoder(ctx context.Context, subject string) (*Encoder, error) {
	latest, err := s.client.SchemaByVersion(ctx, subject, -1)
	if err != nil {
		return nil, fmt.Errorf("schema registry: subject %s: %w", subject, err)
	}
	made, err := s.parse(ctx, latest.Schema)
	if err != nil {
		return nil, fmt.Errorf("subject %s: %w", subject, err)
	}
	of := &schema{form: made, id: uint32(latest.ID)} //nolint:gosec // as the registry has it
	s.keep(of)
	return &Encoder{of}, nil
}

// Append appends the value that a JSON text becomes. An error is the text's.
func (e *Encoder) Append(dst, text []byte) ([]byte, error) {
	id := e.of.id
	out, err := e.of.appendPayload(append(dst, 0, byte(id>>24), byte(id>>16), byte(id>>8), byte(id)), text)
	if err != nil {
		return dst, fmt.Errorf("schema %d: %w", id, err)
	}
	return out, nil
}
