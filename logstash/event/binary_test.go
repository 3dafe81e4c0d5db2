package event

import (
	"errors"
	"math/big"
	"testing"
	"time"
)

func everyKind(t testing.TB) *Event {
	t.Helper()
	e := NewAt(time.Date(2024, 2, 29, 1, 2, 3, 456789, time.UTC))
	inner := MapValue()
	inner.Map().Set("a", ListValue([]Value{NullValue, IntValue(-7), StringsValue("x", "ü")}))
	inner.Map().Set("", StringValue(""))
	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	for name, v := range map[string]Value{
		"int": IntValue(1 << 60), "float": FloatValue(-0.25), "big": BigValue(huge), "decimal": DecimalValue("1.10"), "yes": BoolValue(true),
		"no": BoolValue(false), "null": NullValue, "old": TimeValue(time.Unix(-5, 999_999_999).UTC()), "map": inner, "none": MapValue(), "empty": ListValue(nil),
	} {
		e.Fields().Set(name, v)
	}
	e.Metadata().Set("target", StringValue("index"))
	return e
}

func TestTheBinaryFormKeepsEveryKindOfValue(t *testing.T) {
	e := everyKind(t)
	got := New()
	got.Fields().Set("rest", StringValue("of before"))
	if err := got.ParseBinary(e.AppendBinary(nil)); err != nil {
		t.Fatal(err)
	}
	if a, b := string(e.AppendJSON(nil)), string(got.AppendJSON(nil)); a != b {
		t.Errorf("got  %s\nwant %s", b, a)
	}
	for _, x := range e.Fields().Entries() {
		if v := got.Fields().Get(x.Key); v.Kind() != x.Value.Kind() {
			t.Errorf("%s is %v, want %v", x.Key, v.Kind(), x.Value.Kind())
		}
	}
	if got.Metadata().Get("target").Str() != "index" {
		t.Error("the metadata are lost")
	}
}

func TestABinaryEventThatIsCutOffIsAnError(t *testing.T) {
	whole := everyKind(t).AppendBinary(nil)
	for n := range whole {
		if err := New().ParseBinary(whole[:n]); !errors.Is(err, ErrBinary) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	if err := New().ParseBinary(append(whole, 0)); !errors.Is(err, ErrBinary) {
		t.Errorf("with a byte more: %v", err)
	}
}

func FuzzParseBinary(f *testing.F) {
	f.Add(everyKind(f).AppendBinary(nil))
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e := New()
		if e.ParseBinary(b) != nil {
			return
		}
		again := New()
		if err := again.ParseBinary(e.AppendBinary(nil)); err != nil {
			t.Fatal(err)
		}
		if x, y := string(e.AppendJSON(nil)), string(again.AppendJSON(nil)); x != y {
			t.Errorf("%q, then %q", x, y)
		}
	})
}
