package codec

import (
	"bytes"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/narudata/naru/logstash/event"
)

func TestMapsInMessagePackBecomeEvents(t *testing.T) {
	for _, c := range []struct{ name, options, in, want string }{
		{"all kinds of values", ``, "\x8a\xa1a\x01\xa1b\xff\xa1c\xc0\xa1d\xc3\xa1e\x92\x01\xa1x\xa1f\x81\x07\xc2\xa1g\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa1h\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1i\xd1\xff\x00\xa1j\xc4\x01z",
			`{"a":1,"b":-1,"c":null,"d":true,"e":[1,"x"],"f":{"7":false},"g":1.5,"h":18446744073709551615,"i":-256,"j":"z"}`},
		{"long forms", ``, "\xde\x00\x03\xd9\x01a\xcd\x01\x00\xda\x00\x01b\xdc\x00\x01\xd3\xff\xff\xff\xff\xff\xff\xff\xff\xdb\x00\x00\x00\x01c\xca\x3f\x00\x00\x00", `{"a":256,"b":[-1],"c":0.5}`},
		{"a target", `target => "t"`, "\x81\xa1a\x01", `{"t":{"a":1}}`},
		{"a format", `format => "a is %{a}"`, "\x81\xa1a\x01", `{"a":1,"message":"a is 1"}`},
		{"a format beside a message", `format => "a is %{a}"`, "\x81\xa7message\xa1m", `{"message":"m"}`},
		{"bytes that are no text", ``, "\x81\xa1a\xc4\x01\xe9", `{"a":"\\xE9"}`},
		{"no MessagePack", ``, "plain text", `{"message":"plain text","tags":["_msgpackparsefailure"]}`},
		{"a list", ``, "\x91\x01", `{"message":"\\x91\\u0001","tags":["_msgpackparsefailure"]}`},
		{"more than one value", ``, "\x80\x80", `{"message":"\\x80\\x80","tags":["_msgpackparsefailure"]}`},
		{"a value that ends too early", ``, "\x81\xa1a", `{"message":"\\x81\\xA1a","tags":["_msgpackparsefailure"]}`},
		{"an extension", ``, "\x81\xa1a\xd4\x01\x01", `{"message":"\\x81\\xA1a\\xD4\\u0001\\u0001","tags":["_msgpackparsefailure"]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff([]string{c.want}, decoded(t, made(t, "msgpack { "+c.options+" }", false), c.in)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestALengthBeyondTheMessageAllocatesNothing(t *testing.T) {
	for _, in := range []string{"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff", "\x9f"} {
		if _, err := parseMsgpack([]byte(in)); err == nil {
			t.Errorf("%x is taken", in)
		}
	}
	if _, err := parseMsgpack(bytes.Repeat([]byte{0x91}, 1<<20)); err == nil || !strings.Contains(err.Error(), "inside of each other") {
		t.Errorf("a list of a million depths: %v", err)
	}
}

func TestEventsAreWrittenAsMessagePack(t *testing.T) {
	e := event.NewAt(time.Unix(0, 0))
	for _, f := range []event.Entry{{Key: "t", Value: event.TimeValue(time.Unix(1, 5e8))}, {Key: "n", Value: event.IntValue(-33)}, {Key: "d", Value: event.DecimalValue("1.50")},
		{Key: "b", Value: event.BigValue(new(big.Int).Lsh(big.NewInt(1), 70))}} {
		if err := e.SetField(f.Key, f.Value); err != nil {
			t.Fatal(err)
		}
	}
	encoder, ok := made(t, "msgpack { }", false).(Encoder)
	if !ok {
		t.Fatal("it does not encode")
	}
	out := encoder.Encode([]byte("before"), e)
	v, err := parseMsgpack(bytes.TrimPrefix(out, []byte("before")))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, m := range v.Map().Entries() {
		got[m.Key] = string(event.AppendJSON(nil, m.Value))
	}
	want := map[string]string{"@timestamp": `"1970-01-01T00:00:00.000Z"`, "@version": `"1"`, "t": `"1970-01-01T00:00:01.500Z"`, "n": "-33", "d": "1.5", "b": "1.1805916207174113E21"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWhatIsWrittenInMessagePackIsReadAgain(t *testing.T) {
	values := rapid.Custom(func(t *rapid.T) event.Value {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return event.IntValue(rapid.Int64().Draw(t, "int") >> rapid.IntRange(0, 63).Draw(t, "shift"))
		case 1:
			return event.FloatValue(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "float"))
		case 2:
			return event.StringValue(strings.Repeat(rapid.String().Draw(t, "text"), rapid.SampledFrom([]int{1, 40, 9000}).Draw(t, "times")))
		case 3:
			return event.BoolValue(rapid.Bool().Draw(t, "bool"))
		case 4:
			list := make([]event.Value, rapid.SampledFrom([]int{0, 15, 16, 70_000}).Draw(t, "length"))
			for i := range list {
				list[i] = event.IntValue(int64(i))
			}
			return event.ListValue(list)
		default:
			return event.NullValue
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		m := event.MapValue()
		for range rapid.IntRange(0, 20).Draw(t, "members") {
			m.Map().Set(rapid.String().Draw(t, "key"), values.Draw(t, "value"))
		}
		again, err := parseMsgpack(appendMsgpack(nil, m, 0))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(event.AppendJSON(nil, again)), string(event.AppendJSON(nil, m)); got != want {
			t.Fatalf("got %.200s, not %.200s", got, want)
		}
	})
}

func FuzzMessagePackIsReadOrRefused(f *testing.F) {
	for _, seed := range []string{"\x81\xa1a\x01", "\x92\xc0\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", "\xdf\x00\x00\x00\x00", "\xd9\x01a", "\xc1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := parseMsgpack(in)
		if err != nil {
			return
		}
		again, err := parseMsgpack(appendMsgpack(nil, v, 0))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(event.AppendJSON(nil, again)), string(event.AppendJSON(nil, v)); got != want {
			t.Fatalf("got %s, not %s", got, want)
		}
	})
}
