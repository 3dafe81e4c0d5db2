package kafka

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protowire"
)

// fakeRegistry speaks as much of a schema registry's protocol as is asked for.
type fakeRegistry struct {
	*httptest.Server
	schemas  map[int]map[string]any // id → what GET /schemas/ids/ID gives
	subjects map[string]map[int]int // subject → version → id
	asked    atomic.Int64
	down     atomic.Bool
}

func newRegistry(t testing.TB) *fakeRegistry {
	t.Helper()
	f := &fakeRegistry{schemas: map[int]map[string]any{}, subjects: map[string]map[int]int{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeRegistry) add(subject string, version, id int, kind, text string, references ...map[string]any) {
	s := map[string]any{"schema": text}
	if kind != "AVRO" {
		s["schemaType"] = kind
	}
	if len(references) > 0 {
		s["references"] = references
	}
	f.schemas[id] = s
	if f.subjects[subject] == nil {
		f.subjects[subject] = map[int]int{}
	}
	f.subjects[subject][version] = id
}

func (f *fakeRegistry) serve(w http.ResponseWriter, r *http.Request) {
	f.asked.Add(1)
	fail := func(status, code int) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error_code":%d,"message":"no"}`, code)
	}
	if name, password, _ := r.BasicAuth(); name != "me" || password != "secret" {
		fail(401, 401)
		return
	}
	if f.down.Load() {
		fail(503, 50301)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	var id, version int
	if _, err := fmt.Sscanf(r.URL.Path, "/schemas/ids/%d", &id); err == nil {
		s, ok := f.schemas[id]
		if !ok {
			fail(404, 40403)
			return
		}
		_ = json.NewEncoder(w).Encode(s)
		return
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/subjects/"), "/versions/")
	versions := f.subjects[parts[0]]
	if len(parts) != 2 || versions == nil {
		fail(404, 40401)
		return
	}
	if parts[1] == "latest" {
		for v := range versions {
			version = max(version, v)
		}
	} else if _, err := fmt.Sscan(parts[1], &version); err != nil || versions[version] == 0 {
		fail(404, 40402)
		return
	}
	out := map[string]any{"subject": parts[0], "version": version, "id": versions[version]}
	for k, v := range f.schemas[versions[version]] {
		out[k] = v
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (f *fakeRegistry) open(t testing.TB) *Schemas {
	t.Helper()
	s, err := (&Registry{URLs: []string{f.URL}, Username: "me", Password: "secret"}).Open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func value(id byte, payload ...byte) []byte { return append([]byte{0, 0, 0, 0, id}, payload...) }

func decodeOne(t testing.TB, s *Schemas, v []byte) (string, error) {
	t.Helper()
	if err := s.Fetch(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if !s.Known(v) {
		t.Fatal("fetched, and not known")
	}
	out, err := s.AppendJSON([]byte("before "), v)
	text, ok := strings.CutPrefix(string(out), "before ")
	if !ok {
		t.Fatalf("got %q", out)
	}
	return text, err
}

const user = `{"type":"record","name":"User","namespace":"a.b","fields":[{"name":"name","type":"string"},{"name":"age","type":["null","int"],"default":null},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},{"name":"raw","type":"bytes"},{"name":"tags","type":{"type":"map","values":"double"}},{"name":"big","type":"long"}]}`

func TestAvroBecomesJSON(t *testing.T) {
	r := newRegistry(t)
	r.add("u-value", 1, 7, "AVRO", user)
	r.add("address", 3, 8, "AVRO", `{"type":"record","name":"Address","namespace":"a","fields":[{"name":"city","type":"string"}]}`)
	r.add("p-value", 1, 9, "AVRO", `{"type":"record","name":"P","fields":[{"name":"home","type":"a.Address"},{"name":"work","type":["null","a.Address"]}]}`,
		map[string]any{"name": "a.Address", "subject": "address", "version": 3})
	s := r.open(t)
	payload, err := avro.MustParse(user).Encode(map[string]any{
		"name": "Zoë", "age": 42, "at": time.UnixMilli(1_700_000_000_123), "raw": []byte{0, 255}, "tags": map[string]float64{"x": 1.5}, "big": int64(1)<<60 + 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		value []byte
		want  string
	}{
		{value(7, payload...), `{"name":"Zoë","age":42,"at":1700000000123,"raw":"\u0000\u00ff","tags":{"x":1.5},"big":1152921504606846977}`},
		{value(9, 4, 'H', 'Z', 2, 4, 'X', 'Y'), `{"home":{"city":"HZ"},"work":{"city":"XY"}}`},
		{value(9, 4, 'H', 'Z', 0), `{"home":{"city":"HZ"},"work":null}`},
	} {
		if got, err := decodeOne(t, s, c.value); err != nil || got != c.want {
			t.Errorf("got %s, %v\nwant %s", got, err, c.want)
		}
	}
	for i := range payload {
		if got, err := decodeOne(t, s, value(7, payload[:i]...)); err == nil {
			t.Errorf("%d of %d bytes became %s", i, len(payload), got)
		}
	}
	if _, err := decodeOne(t, s, append(value(7, payload...), 0)); err == nil {
		t.Error("a byte too many is no error")
	}
	asked := r.asked.Load()
	if _, err := decodeOne(t, s, value(9, 4, 'H', 'Z', 0)); err != nil || r.asked.Load() != asked {
		t.Errorf("the registry was asked again: %v", err)
	}
}

const order = `syntax = "proto3"; package shop; import "google/protobuf/timestamp.proto"; import "common.proto";
message Order { string order_id = 1; int64 cents = 2; repeated Line lines = 3; google.protobuf.Timestamp made_at = 4; common.Money total = 5; message Line { string sku = 1; } }
message Other { bool yes = 1; message Inner { int32 n = 1; } }`

func TestProtobufBecomesJSON(t *testing.T) {
	r := newRegistry(t)
	r.add("common", 1, 1, "PROTOBUF", `syntax = "proto3"; package common; message Money { int32 units = 1; }`)
	r.add("o-value", 1, 2, "PROTOBUF", order, map[string]any{"name": "common.proto", "subject": "common", "version": 1})
	s := r.open(t)
	var m []byte
	m = protowire.AppendString(protowire.AppendTag(m, 1, protowire.BytesType), "o-1")
	m = protowire.AppendVarint(protowire.AppendTag(m, 2, protowire.VarintType), 1<<60)
	m = protowire.AppendBytes(protowire.AppendTag(m, 3, protowire.BytesType), protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "s"))
	m = protowire.AppendBytes(protowire.AppendTag(m, 4, protowire.BytesType), protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1_700_000_000))
	m = protowire.AppendBytes(protowire.AppendTag(m, 5, protowire.BytesType), protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 3))
	for _, c := range []struct {
		value []byte
		want  string
	}{
		{value(2, append([]byte{0}, m...)...), `{"order_id":"o-1","cents":"1152921504606846976","lines":[{"sku":"s"}],"made_at":"2023-11-14T22:13:20Z","total":{"units":3}}`},
		{value(2, append([]byte{2, 0}, m...)...), `{"order_id":"o-1","cents":"1152921504606846976","lines":[{"sku":"s"}],"made_at":"2023-11-14T22:13:20Z","total":{"units":3}}`},
		{value(2, 2, 2, 8, 1), `{"yes":true}`},
		{value(2, 4, 2, 0, 8, 5), `{"n":5}`},
	} {
		if got, err := decodeOne(t, s, c.value); err != nil || got != c.want {
			t.Errorf("got %s, %v\nwant %s", got, err, c.want)
		}
	}
	for _, bad := range [][]byte{value(2), value(2, 2, 8), value(2, 1), value(2, 255), value(2, 200, 1, 0), value(2, 0, 255), value(2, 4, 0, 6)} {
		if got, err := decodeOne(t, s, bad); err == nil {
			t.Errorf("%x became %s", bad, got)
		}
	}
}

func TestJSONStaysJSON(t *testing.T) {
	r := newRegistry(t)
	r.add("j-value", 1, 3, "JSON", `{"type":"object"}`)
	s := r.open(t)
	if got, err := decodeOne(t, s, value(3, []byte(`{"a":1}`)...)); err != nil || got != `{"a":1}` {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := decodeOne(t, s, value(3, []byte(`{"a":`)...)); err == nil {
		t.Error("half a JSON is no error")
	}
}

func TestValuesThatNoSchemaExplainsAreErrorsOfTheirOwn(t *testing.T) {
	r := newRegistry(t)
	r.add("x", 1, 4, "AVRO", `{"type":"nonsense"}`)
	s := r.open(t)
	for _, c := range []struct {
		value []byte
		want  string
	}{
		{[]byte("plain text"), "does not begin with the id"},
		{nil, "does not begin with the id"},
		{value(99, 1), "schema 99"},
		{value(4, 1), "schema 4"},
	} {
		if _, err := decodeOne(t, s, c.value); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v", c.value, err)
		}
	}
}

func TestJSONIsEncodedByTheLatestSchemaOfASubject(t *testing.T) {
	r := newRegistry(t)
	r.add("u-value", 1, 5, "AVRO", `{"type":"record","name":"U","fields":[{"name":"a","type":"string"}]}`)
	r.add("u-value", 2, 6, "AVRO", user)
	r.add("common", 1, 1, "PROTOBUF", `syntax = "proto3"; package common; message Money { int32 units = 1; }`)
	r.add("o-value", 1, 2, "PROTOBUF", order, map[string]any{"name": "common.proto", "subject": "common", "version": 1})
	s := r.open(t)
	for _, c := range []struct{ subject, text, want string }{
		{"u-value", `{"name":"x","age":3,"at":1700000000123,"raw":"\u00ff","tags":{"k":2},"big":1152921504606846977,"more":[1]}`,
			`{"name":"x","age":3,"at":1700000000123,"raw":"\u00ff","tags":{"k":2},"big":1152921504606846977}`},
		{"o-value", `{"order_id":"o","cents":1152921504606846977,"@timestamp":"x"}`, `{"order_id":"o","cents":"1152921504606846977"}`},
	} {
		e, err := s.Encoder(t.Context(), c.subject)
		if err != nil {
			t.Fatal(err)
		}
		v, err := e.Append(nil, []byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.subject, err)
			continue
		}
		if got, err := decodeOne(t, s, v); err != nil || got != c.want {
			t.Errorf("got %s, %v\nwant %s", got, err, c.want)
		}
		if v, err := e.Append([]byte("x"), []byte(`{"name":7`)); err == nil || string(v) != "x" {
			t.Errorf("%s: half a JSON: %q, %v", c.subject, v, err)
		}
	}
	if _, err := s.Encoder(t.Context(), "none"); err == nil {
		t.Error("a subject that does not exist is no error")
	}
}

func TestRecordsWaitForTheirSchema(t *testing.T) {
	r := newRegistry(t)
	r.add("u-value", 1, 7, "JSON", `{}`)
	r.add("u-value", 2, 8, "JSON", `{}`)
	r.down.Store(true)
	k := newCluster(t, kfake.SeedTopics(1, "t"))
	client := newClient(t, k.ListenAddrs())
	for i := range 20 {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: value(byte(7+i%2), fmt.Append(nil, i)...)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	schemas := r.open(t)
	g := quick(k.ListenAddrs(), "t")
	g.Schemas = schemas
	books := &ledger{keep: true}
	m := start(&engine{to: books, maxRecords: 100}, g)
	time.Sleep(300 * time.Millisecond)
	if n := books.len(); n > 0 {
		t.Errorf("%d records came before their schema", n)
	}
	r.down.Store(false)
	books.waitFor(t, 20, 20*time.Second)
	m.end(t)
	for i, rec := range books.all {
		if got, err := schemas.AppendJSON(nil, rec.Body); err != nil || string(got) != fmt.Sprint(i) {
			t.Errorf("record %d: %s, %v", i, got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	reg := newRegistry(f)
	reg.add("u-value", 1, 7, "AVRO", user)
	reg.add("common", 1, 1, "PROTOBUF", `syntax = "proto3"; package common; message Money { int32 units = 1; }`)
	reg.add("o-value", 1, 2, "PROTOBUF", order, map[string]any{"name": "common.proto", "subject": "common", "version": 1})
	s := reg.open(f)
	for _, id := range []byte{7, 2} {
		if err := s.Fetch(context.Background(), value(id)); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(byte(7), []byte{2, 'x', 2, 4, 6, 2, 1, 2, 2, 'k', 0, 0, 0, 0, 0, 0, 0, 0, 0, 8})
	f.Add(byte(2), []byte{0, 10, 1, 'x', 16, 5})
	f.Add(byte(2), []byte{4, 2, 0, 8, 5})
	f.Fuzz(func(t *testing.T, id byte, payload []byte) {
		out, err := s.AppendJSON(nil, value(id, payload...))
		if err == nil && !json.Valid(out) {
			t.Errorf("%x became %s", payload, out)
		}
	})
}

func TestATokenIsFetchedOnceAndRenewedInTime(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		name, secret, _ := r.BasicAuth()
		if r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "s" || name != "id" || secret != "x%2F" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"access_token":"t%d","expires_in":%v,"token_type":"bearer"}`, asked, []float64{0, 3600, 0.01}[min(asked, 2)])
	}))
	defer server.Close()
	e := &TokenEndpoint{URL: server.URL, ClientID: "id", Secret: "x/", Scope: "s"}
	for _, want := range []string{"t1", "t1"} {
		if a, err := e.auth(t.Context()); err != nil || a.Token != want {
			t.Errorf("got %s, %v", a.Token, err)
		}
	}
	e.renewal = time.Time{}
	for _, want := range []string{"t2", "t3"} {
		if a, err := e.auth(t.Context()); err != nil || a.Token != want {
			t.Errorf("got %s, %v", a.Token, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	wrong := &TokenEndpoint{URL: server.URL, ClientID: "id", Secret: "y"}
	if _, err := wrong.auth(t.Context()); err == nil || strings.Contains(err.Error(), "y\"") {
		t.Errorf("got %v", err)
	}
}
