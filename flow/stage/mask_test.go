package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/flow"
)

const testKey = "a key that is for tests only"

func masker(t testing.TB, key string, fields ...string) *Masker {
	secret, err := NewSecret([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMasker(fields, secret)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// masked gives the body of a record after the stage.
func masked(t testing.TB, m *Masker, body string) string {
	b := &flow.Batch{Records: []flow.Record{{Body: []byte(body)}}}
	if err := m.Process(t.Context(), b); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return string(b.Records[0].Body)
}

// value gives the mask of one JSON value.
func value(t testing.TB, m *Masker, v string) string {
	s := masked(t, m, `{"x":`+v+`}`)
	return strings.TrimSuffix(strings.TrimPrefix(s, `{"x":`), "}")
}

func TestEqualValuesGetEqualMasksInEveryFieldAndRecord(t *testing.T) {
	m := masker(t, testKey, "user", "owner")
	a := masked(t, m, `{"user":"kim","owner":"kim","user.id":7,"n":"kim"}`)
	b := masked(t, masker(t, testKey, "owner"), `{"owner":["k\u0069m",{"id":7.0}]}`)
	var x struct {
		User, Owner, N string
		ID             int64 `json:"user.id"`
	}
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatal(err)
	}
	if x.User != x.Owner || x.N != "kim" || x.User == "kim" || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(x.User) {
		t.Errorf("masked: %s", a)
	}
	if want := fmt.Sprintf(`{"owner":["%s",{"id":%d}]}`, x.User, x.ID); b != want {
		t.Errorf("another masker gives %s, want %s", b, want)
	}
	if x.ID < 1 || x.ID > 1<<31-1 {
		t.Errorf("the number became %d", x.ID)
	}
}

func TestMasksStayTheSameInEveryVersion(t *testing.T) {
	m := masker(t, testKey, "x")
	got := []string{value(t, m, `"kim"`), value(t, m, `12345`), value(t, m, `"10.1.2.3"`), value(t, m, `"2001:db8::1"`), m.String()}
	want := []string{ // as HMAC-SHA256 of another library gives them
		`"cb603dedca40742f9c416654aa79f592"`, "1379478443", `"244.234.48.208"`, `"fdbb:96f9:aeda:2fa6:4eb8:139d:7c85:a297"`, "mask x with key d2c8acd7",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnotherKeyGivesOtherMasks(t *testing.T) {
	a, b := masker(t, testKey, "x"), masker(t, testKey+"!", "x")
	for _, v := range []string{`"kim"`, `7`, `"10.0.0.1"`, `"::1"`} {
		if value(t, a, v) == value(t, b, v) {
			t.Errorf("%s: the same mask under two keys", v)
		}
	}
	if a.String() == b.String() || strings.Contains(a.String(), testKey) {
		t.Errorf("%s, %s", a, b)
	}
}

func TestAnAddressBecomesOneOfItsFamilyThatNobodyHas(t *testing.T) {
	m := masker(t, testKey, "x")
	four, six := netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("fd00::/8")
	for text, family := range map[string]netip.Prefix{
		"10.0.0.1": four, "255.255.255.255": four, "::ffff:10.0.0.1": four, "::1": six, "2001:DB8::1": six, "fe80:0:0:0:1:2:3:4": six,
	} {
		got := value(t, m, `"`+text+`"`)
		addr, err := netip.ParseAddr(strings.Trim(got, `"`))
		if err != nil || !family.Contains(addr) {
			t.Errorf("%s became %s", text, got)
		}
	}
	same := func(a, b string) {
		if value(t, m, a) != value(t, m, b) {
			t.Errorf("%s and %s have different masks", a, b)
		}
	}
	same(`"10.0.0.1"`, `"::ffff:10.0.0.1"`)
	same(`"2001:db8::1"`, `"2001:0DB8:0:0::1"`)
	for _, text := range []string{"1.2.3", "1.2.3.4.5", "fe80::1%eth0", "12:30", "abc", "10.0.0.0/8", "01.2.3.4", "", "deadbeef", "1.2.3.4:80"} {
		if got := value(t, m, `"`+text+`"`); len(got) != 34 {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestEqualNumbersGetEqualMasks(t *testing.T) {
	m := masker(t, testKey, "x")
	for _, group := range [][]string{{"1", "1.0", "10e-1", "0.1E1"}, {"0", "-0", "0.0", "-0.0"}, {"1.5", "15e-1", "1.50"}, {"-7", "-7.0"}, {"1e3", "1000"}} {
		for _, n := range group {
			if value(t, m, n) != value(t, m, group[0]) {
				t.Errorf("%s and %s have different masks", n, group[0])
			}
		}
	}
	seen := map[string]string{}
	for _, n := range []string{"1", "-1", "0", "1.5", "9007199254740993", "9007199254740992", "123456789012345678901234567890", "123456789012345678901234567891", "1e400", "1e401"} {
		mask := value(t, m, n)
		if other, ok := seen[mask]; ok {
			t.Errorf("%s and %s have the same mask", n, other)
		}
		seen[mask] = n
	}
}

func TestTrueFalseAndNullStay(t *testing.T) {
	m := masker(t, testKey, "x")
	if got := masked(t, m, `{"x":[true,false,null,{}]}`); got != `{"x":[true,false,null,{}]}` {
		t.Errorf("%s", got)
	}
}

func TestOnlyTheFieldsChange(t *testing.T) {
	m := masker(t, testKey, "user.*", "ip")
	body := `{ "user" : { "name":"kim", "age" : 33 } ,"ip":["10.0.0.1"],"message":"kim from 10.0.0.1\n",  "n":1.50 }`
	var key = []byte("id-1")
	b := &flow.Batch{Records: []flow.Record{{Index: "i", Key: key, Routing: []byte("kim"), Body: []byte(body)}}}
	if err := m.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	r := b.Records[0]
	got := regexp.MustCompile(`[0-9a-f]{32}`).ReplaceAllString(string(r.Body), "HEX")
	got = regexp.MustCompile(`2[45]\d\.\d+\.\d+\.\d+`).ReplaceAllString(got, "IP")
	got = regexp.MustCompile(`: \d+ `).ReplaceAllString(got, ": NUM ")
	if want := `{ "user" : { "name":"HEX", "age" : NUM } ,"ip":["IP"],"message":"kim from 10.0.0.1\n",  "n":1.50 }`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if string(r.Key) != "id-1" || string(r.Routing) != "kim" || r.Index != "i" {
		t.Errorf("the record became %+v", r)
	}
}

func TestARecordThatCannotBeMaskedIsRefused(t *testing.T) {
	m := masker(t, testKey, "user")
	b := &flow.Batch{}
	for _, body := range []string{`{"user":"kim"}`, `{"user":"kim"`, `{"n":1}`, `{"n":1} {"user":"kim"}`, `{"user":tru}`} {
		b.Records = append(b.Records, flow.Record{Body: []byte(body)})
	}
	b.Records = append(b.Records, flow.Record{Key: []byte("bodiless")})
	err := m.Process(t.Context(), b)
	fs, ok := errors.AsType[flow.Failures](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var failed []int
	for _, f := range fs {
		failed = append(failed, f.Index)
		if !flow.IsPermanent(f.Err) {
			t.Errorf("record %d: %v is not permanent", f.Index, f.Err)
		}
		if strings.Contains(f.Err.Error(), "kim") {
			t.Errorf("record %d: the error tells the value: %v", f.Index, f.Err)
		}
	}
	if diff := cmp.Diff([]int{1, 3, 4}, failed); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(b.Records) != 6 || bytes.Contains(b.Records[0].Body, []byte("kim")) || b.Records[5].Body != nil {
		t.Errorf("the others became %+v", b.Records)
	}
}

func TestMaskingIsSafeForConcurrentUse(t *testing.T) {
	m := masker(t, testKey, "x")
	want := value(t, m, `"kim"`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				b := &flow.Batch{Records: []flow.Record{{Body: []byte(`{"x":"kim"}`)}, {Body: []byte(`{"x":7}`)}}}
				if err := m.Process(t.Context(), b); err != nil || string(b.Records[0].Body) != `{"x":`+want+`}` {
					t.Errorf("%s, %v", b.Records[0].Body, err)
				}
			}
		})
	}
	all.Wait()
}

func TestTheKeyComesFromTheEnvironmentOrAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(testKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(k string) string { return map[string]string{MaskKeyEnv: testKey}[k] }
	none := func(string) string { return "" }
	want := value(t, masker(t, testKey, "x"), `"kim"`)
	for _, c := range []struct {
		mask   Mask
		getenv func(string) string
		says   string
	}{
		{Mask{Fields: []string{"x"}}, env, ""},
		{Mask{Fields: []string{"x"}, KeyFile: file}, none, ""},
		{Mask{Fields: []string{"x"}}, none, MaskKeyEnv},
		{Mask{Fields: []string{"x"}, KeyFile: short}, env, "at least 16"},
		{Mask{Fields: []string{"x"}, KeyFile: file + "x"}, env, "no such file"},
		{Mask{Fields: []string{"x"}}, func(string) string { return "short" }, MaskKeyEnv},
		{Mask{}, env, "fields"},
		{Mask{Fields: []string{""}}, env, "empty"},
	} {
		m, err := c.mask.Open(c.getenv)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), testKey) {
				t.Errorf("%+v: %v, want an error with %q", c.mask, err, c.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c.mask, err)
		} else if got := value(t, m, `"kim"`); got != want {
			t.Errorf("%+v: %s, want %s", c.mask, got, want)
		}
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	key, err := NewSecret([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", key, "in", struct{ Key Secret }{key})
	text, err := json.Marshal(map[string]any{"key": key, "p": &key})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, key)
		fmt.Fprintf(&out, verb, &key)
		fmt.Fprintf(&out, verb, []any{struct{ K Secret }{key}})
	}
	if s := out.String(); strings.Contains(s, testKey) || strings.Contains(s, fmt.Sprintf("%x", testKey)) || strings.Contains(s, fmt.Sprintf("%d", []byte(testKey))) || !strings.Contains(s, "***") {
		t.Errorf("printed: %s", s)
	}
}

func BenchmarkMask(b *testing.B) {
	m := masker(b, testKey, "user.email", "ip")
	body := []byte(`{"message":"` + strings.Repeat("GET /index.html ", 20) + `","bytes":1234,"user":{"email":"a@b.c","id":12345},"ip":"10.0.0.1"}`)
	batch := &flow.Batch{}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset()
		batch.Records = append(batch.Records, flow.Record{Body: body})
		if err := m.Process(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}
