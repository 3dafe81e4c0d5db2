package codec

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/logstash/event"
)

// avroSchema has what events may have. "a" and "b" are the example of Avro's specification.
const avroSchema = `{"type":"record","name":"r","namespace":"n","fields":[
	{"name":"a","type":"long"}, {"name":"b","type":"string"},
	{"name":"when","type":["null",{"type":"long","logicalType":"timestamp-millis"}],"default":null},
	{"name":"day","type":["null",{"type":"int","logicalType":"date"}],"default":null},
	{"name":"raw","type":"bytes","default":""},
	{"name":"list","type":{"type":"array","items":{"type":"record","name":"i","fields":[{"name":"z","type":"int"},{"name":"y","type":"float"}]}},"default":[]},
	{"name":"same","type":["null","i"],"default":null},
	{"name":"map","type":{"type":"map","values":"boolean"},"default":{}},
	{"name":"kind","type":{"type":"enum","name":"e","symbols":["ONE","TWO"]},"default":"ONE"}]}`

func avroFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "schema.avsc")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAvroBecomesEvents(t *testing.T) {
	file := avroFile(t, avroSchema)
	// 27, "foo", then: 1000 ms after 1970; day 2; two bytes, one of them no UTF-8; a list of {1, 0.5}; {2, 0}; {"k": true}; TWO.
	all := "\x36\x06foo" + "\x02\xd0\x0f" + "\x02\x04" + "\x04a\xff" + "\x02\x02\x00\x00\x00\x3f\x00" + "\x02\x04\x00\x00\x00\x00" + "\x02\x02k\x01\x00" + "\x02"
	want := `{"a":27,"b":"foo","when":"1970-01-01T00:00:01.000Z","day":2,"raw":"a\\xFF","list":[{"z":1,"y":0.5}],"same":{"z":2,"y":0.0},"map":{"k":true},"kind":"TWO"}`
	for _, c := range []struct{ options, in, want string }{
		{`encoding => binary`, all, want},
		{``, base64.StdEncoding.EncodeToString([]byte(all)), want},
		{``, all, want}, // no base64: as it is
		{`encoding => binary`, all + "more", want},
		{`encoding => binary target => "[x][y]"`, all, `{"x":{"y":` + want + `}}`},
		{`encoding => binary`, "\x36\x06fo", `{"message":"6\u0006fo","tags":["_avroparsefailure"]}`},
		{`encoding => binary`, "", `{"message":"","tags":["_avroparsefailure"]}`},
	} {
		codec := made(t, fmt.Sprintf("avro { schema_uri => %q ecs_compatibility => disabled %s }", file, c.options), false)
		if diff := cmp.Diff([]string{c.want}, decoded(t, codec, c.in)); diff != "" {
			t.Errorf("%s of %q: %s", c.options, c.in, diff)
		}
	}
	codec := made(t, fmt.Sprintf("avro { schema_uri => %q encoding => binary ecs_compatibility => v8 }", avroFile(t, `{"type":"map","values":"long"}`)), false)
	if diff := cmp.Diff([]string{`{"a":27,"b":1,"event":{"original":"\u0004\u0002b\u0002\u0002a6\u0000"}}`}, decoded(t, codec, "\x04\x02b\x02\x02a\x36\x00")); diff != "" {
		t.Error(diff)
	}
	codec = made(t, fmt.Sprintf("avro { schema_uri => %q encoding => binary ecs_compatibility => disabled }", avroFile(t, `"long"`)), false)
	if diff := cmp.Diff([]string{`{"message":"6","tags":["_avroparsefailure"]}`}, decoded(t, codec, "\x36")); diff != "" {
		t.Error(diff)
	}
}

func TestEventsBecomeAvroOrAreWrong(t *testing.T) {
	file := avroFile(t, avroSchema)
	for _, c := range []struct{ in, want, wrong string }{
		{`{"a":27,"b":"foo","other":{"x":1}}`, "\x36\x06foo" + "\x00\x00\x00\x00\x00\x00\x00", ""},
		{`{"a":27,"b":"foo","when":"1970-01-01T00:00:01Z","list":[{"z":1,"y":0.5,"other":1}],"same":{"y":0,"z":2},"map":{"k":true},"kind":"TWO"}`,
			"\x36\x06foo" + "\x02\xd0\x0f" + "\x00\x00" + "\x02\x02\x00\x00\x00\x3f\x00" + "\x02\x04\x00\x00\x00\x00" + "\x02\x02k\x01\x00" + "\x02", ""},
		{`{"b":"foo"}`, "", "a"},
		{`{"a":"no number","b":"foo"}`, "", "a"},
		{`{"a":27,"b":"foo","kind":"THREE"}`, "", "THREE"},
	} {
		for encoding, as := range map[string]func(string) string{"binary": func(s string) string { return s }, "base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }} {
			codec := made(t, fmt.Sprintf("avro { schema_uri => %q encoding => %s }", file, encoding), false).(Encoder)
			e := event.New()
			if err := e.ParseJSON([]byte(c.in), event.JSONOptions{}); err != nil {
				t.Fatal(err)
			}
			if when := e.GetField("when"); when.Is() {
				if err := e.SetField("when", event.TimeValue(time.Unix(1, 0))); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Encode(codec, []byte("before"), e)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || string(got) != "before" {
					t.Errorf("%s: %q, %v", c.in, got, err)
				}
				continue
			}
			if want := "before" + as(c.want); err != nil || string(got) != want {
				t.Errorf("%s as %s: %v\n got %q\nwant %q", c.in, encoding, err, got, want)
			}
		}
	}
}

func TestAnAvroSchemaIsFetchedWhenItIsNeeded(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch n := asked.Add(1); {
		case user != "u" || password != "p":
			w.WriteHeader(http.StatusUnauthorized)
		case n == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			fmt.Fprint(w, `{"subject":"s","version":1,"schema":"{\"type\":\"map\",\"values\":\"long\"}"}`)
		}
	}))
	defer server.Close()
	codec := made(t, fmt.Sprintf(`avro { schema_uri => "%s/subjects/s/versions/1" username => "u" password => "p" encoding => binary ecs_compatibility => disabled }`, server.URL), false)
	if asked.Load() != 0 {
		t.Error("the schema was asked for before the pipeline runs")
	}
	if err := codec.(Opener).Open(t.Context()); err != nil || asked.Load() != 2 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
	if diff := cmp.Diff([]string{`{"a":27}`}, decoded(t, codec, "\x02\x02a\x36\x00")); diff != "" {
		t.Error(diff)
	}
	asked.Store(1)
	codec = made(t, fmt.Sprintf(`avro { schema_uri => %q encoding => binary ecs_compatibility => disabled }`, server.URL), false)
	if err := codec.(Opener).Open(t.Context()); err == nil || !strings.Contains(err.Error(), "401") || asked.Load() != 2 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

func FuzzAvro(f *testing.F) {
	form, err := newAvroForm(avroSchema)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("\x36\x06foo\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x36\x06foo\x00\x00\x00\x02\x02\x00\x00\x00\x3f\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := form.decode(in)
		if err == nil && v.Kind() != event.Map {
			t.Errorf("%q is no record", in)
		}
	})
}
