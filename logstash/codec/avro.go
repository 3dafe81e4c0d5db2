package codec

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/tlsoption"
)

// Avro takes a message for a value in Avro's binary form, in base64 unless it is told otherwise, and writes events so. Messages are
// values alone, without their schema, which stands elsewhere: for messages of Confluent's serializers, which begin with the number of
// a schema, the input kafka has schema_registry_url.
//
// Source: avro.rb of logstash-codec-avro 3.5, Avro::IO::DatumReader and DatumWriter of the gem avro 1.10.
//
// Differences:
//   - What cannot be decoded is an event with the tag _avroparsefailure and the message, whatever tag_on_failure says: without that the
//     original gives the error to its input, and most inputs lose the message.
//   - An event that does not fit the schema is a dead letter; in the original the output fails.
//   - Fields that an event lacks get the schema's default, or null.
//   - Dates (int) stay the number of days that they are; the original cannot make a field of a date.
//   - Bytes that are not UTF-8 are written as Ruby inspects them (\xE9).
//   - Where a schema is fetched is asked as a pipeline starts, three times; files are read when it is compiled.
type Avro struct {
	common
	tlsoption.Client
	tlsoption.Keystore
	tlsoption.Truststore
	SchemaURI        string           `ls:"schema_uri,required" doc:"where the schema is: a file, or a URL of HTTP; of an answer with a member schema, as a schema registry gives it, that counts"`
	Encoding         string           `ls:"encoding" enum:"binary|base64" default:"base64" doc:"whether messages are bytes as they are, or in base64; what is no base64 is read as it is"`
	TagOnFailure     bool             `ls:"tag_on_failure" default:"false" doc:"it has no meaning here: what cannot be decoded is tagged"`
	Target           *event.Ref       `ls:"target" doc:"the field that gets what was decoded; without it, that is the event"`
	Proxy            string           `ls:"proxy" doc:"a proxy for schema_uri"`
	Username         string           `ls:"username" doc:"the name for schema_uri (basic authentication)"`
	Password         *option.Password `ls:"password" doc:"the password for schema_uri"`
	SSLEnabled       *bool            `ls:"ssl_enabled" doc:"whether schema_uri is asked with TLS; its scheme says so, too"`
	ECSCompatibility string           `ls:"ecs_compatibility" enum:"disabled|v1|v8" doc:"whether [event][original] gets the message; without it, as the pipeline's says"`
}

// Setup implements Plugin.
func (a *Avro) Setup(s *Setup) (Codec, error) {
	c := &avroCodec{Avro: a, original: s.setsOriginal(a.ECSCompatibility), log: s.Log, from: schemaSource{
		name: "schema_uri", at: a.SchemaURI, dir: s.Dir, proxy: a.Proxy, user: a.Username, password: a.Password,
	}}
	remote := c.from.remote()
	switch {
	case a.SchemaURI == "":
		return nil, option.Errorf("schema_uri", "expected a file or a URL, found none")
	case (a.Username == "") != (a.Password == nil):
		return nil, option.Errorf("username", "username and password come together")
	case strings.HasPrefix(a.SchemaURI, "https://") && a.SSLEnabled != nil && !*a.SSLEnabled:
		return nil, option.Errorf("ssl_enabled", "schema_uri begins with https://")
	}
	if strings.HasPrefix(a.SchemaURI, "https://") {
		c.from.tls = a.Client.Of(tlsoption.Config{Dir: s.Dir, Log: s.Log, Keystore: a.Keystore.Store(), Truststore: a.Truststore.Store()})
		if err := c.from.tls.CheckClient(); err != nil {
			return nil, err
		}
	}
	if remote {
		if strings.HasPrefix(a.SchemaURI, "http://") && a.Password != nil {
			s.Log.Warn("the password for the schema is sent so that anyone can read it", "codec", s.Where)
		}
		return c, c.from.check()
	}
	if err := c.Open(context.Background()); err != nil {
		return nil, option.Errorf("schema_uri", "%w", err)
	}
	return c, nil
}

// avroCodec is an Avro that is set up.
type avroCodec struct {
	*Avro
	original bool
	from     schemaSource
	log      *slog.Logger

	mu   sync.Mutex // guards what follows
	form *avroForm  // nil: the schema has not been read
}

var (
	_ Opener  = (*avroCodec)(nil)
	_ Checked = (*avroCodec)(nil)
)

// Open implements Opener: it reads the schema.
func (c *avroCodec) Open(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.form != nil {
		return nil
	}
	text, err := c.from.read(ctx)
	if err != nil {
		return err
	}
	if c.form, err = newAvroForm(text); err != nil {
		return fmt.Errorf("the schema of %s: %w", c.SchemaURI, err)
	}
	return nil
}

// schema gives the schema, which is read first where nobody has opened the codec.
func (c *avroCodec) schema() (*avroForm, error) {
	if err := c.Open(context.Background()); err != nil {
		return nil, err
	}
	return c.form, nil
}

// Delimiter implements Decoder.
func (c *avroCodec) Delimiter() string { return "" }

// Decode implements Decoder.
func (c *avroCodec) Decode(x *Context, message []byte) {
	text := (*charset)(nil).text(message)
	form, err := c.schema()
	var v event.Value
	if err == nil {
		v, err = form.decode(c.payload(message))
	}
	if err == nil && c.Target == nil && (v.Kind() != event.Map || badMetadata(v.Map())) {
		err = errAvroRecord
	}
	if err != nil {
		x.Log.Warn("this does not fit the Avro schema and becomes the event's message", "error", err)
		failed(x, text, "_avroparsefailure")
		return
	}
	e := x.New()
	if c.Target != nil {
		into(x, e, c.Target, v)
	} else {
		for _, f := range v.Map().Entries() {
			e.Fields().Set(f.Key, f.Value)
		}
		e.Complete(x.Now)
	}
	if c.original {
		if err := e.Set(refOriginal, event.StringValue(text)); err != nil {
			x.Log.Warn("[event][original] cannot be set beside what was decoded", "error", err)
		}
	}
	x.Emit(e)
}

// payload gives the bytes of a message.
func (c *avroCodec) payload(message []byte) []byte {
	if c.Encoding == "base64" {
		if out, err := base64.StdEncoding.Strict().AppendDecode(nil, message); err == nil && len(message)%4 == 0 {
			return out
		}
	}
	return message
}

// Encode implements Encoder. Outputs use EncodeChecked.
func (c *avroCodec) Encode(dst []byte, e *event.Event) []byte {
	out, err := c.EncodeChecked(dst, e)
	if err != nil {
		c.log.Error("an event does not fit the Avro schema and is not written", "error", err)
		return dst
	}
	return out
}

// EncodeChecked implements Checked.
func (c *avroCodec) EncodeChecked(dst []byte, e *event.Event) ([]byte, error) {
	form, err := c.schema()
	if err != nil {
		return dst, err
	}
	if c.Encoding != "base64" {
		return form.encode(dst, e)
	}
	out, err := form.encode(nil, e)
	if err != nil {
		return dst, err
	}
	return base64.StdEncoding.AppendEncode(dst, out), nil
}
