package smile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/narudata/naru/format/tree"
)

// sameValue compares trees: floats by their bits but for NaN, big integers by their value.
var sameValue = cmp.Options{
	cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 }),
	cmpopts.EquateNaNs(),
}

// values generates trees without json.Number, whose type does not survive.
func values(depth int) *rapid.Generator[any] {
	long := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) any { return b })
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.String().AsAny(), rapid.StringN(0, 90, -1).AsAny(),
		rapid.StringMatching(`[a-z]{0,70}`).AsAny(), rapid.StringMatching(`[é-ü]{26,36}`).AsAny(), long,
		rapid.Int64().AsAny(), rapid.Int64Range(-20, 20).AsAny(), rapid.Float32().AsAny(), rapid.Float64().AsAny(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 30), func(b []byte) any {
			v := new(big.Int).SetBytes(b)
			if len(b)%2 == 1 {
				v.Neg(v)
			}
			return v
		}),
	}
	if depth > 0 {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z]{62,67}|[é-ü]{26,30}|[ab]`))
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(values(depth-1), 0, 5), func(v []any) any { return v }),
			rapid.Map(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) tree.Member {
				return tree.Member{Name: name.Draw(t, "name"), Value: values(depth-1).Draw(t, "value")}
			}), 0, 5), func(v []tree.Member) any { return tree.Object(v) }))
	}
	return rapid.OneOf(kinds...)
}

func TestWhatIsWrittenIsReadAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(3).Draw(t, "value")
		b, err := Append([]byte("before"), v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeTree(b[len("before"):])
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if diff := cmp.Diff(v, got, sameValue); diff != "" {
			t.Fatalf("%x: (-written +read)\n%s", b, diff)
		}
	})
}

// The bytes are those of Jackson's generator without shared names and values, for the limits of each form.
func TestEveryFormIsTheOneThatJacksonWrites(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{nil, "\x21"}, {false, "\x22"}, {true, "\x23"}, {"", "\x20"},
		{"a", "\x40a"}, {strings.Repeat("a", 64), "\x7f" + strings.Repeat("a", 64)}, {strings.Repeat("a", 65), "\xe0" + strings.Repeat("a", 65) + "\xfc"},
		{"é", "\x80é"}, {strings.Repeat("é", 32), "\xbe" + strings.Repeat("é", 32)}, {strings.Repeat("é", 33), "\xe4" + strings.Repeat("é", 33) + "\xfc"},
		{int64(0), "\xc0"}, {int64(-1), "\xc1"}, {int64(15), "\xde"}, {int64(-16), "\xdf"},
		{int64(16), "\x24\xa0"}, {int64(math.MaxInt32), "\x24\x1f\x7f\x7f\x7f\xbe"}, {int64(math.MinInt32), "\x24\x1f\x7f\x7f\x7f\xbf"},
		{int64(math.MaxInt32) + 1, "\x25\x20\x00\x00\x00\x80"}, {int64(math.MinInt64), "\x25\x03\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\xbf"},
		{big.NewInt(0), "\x26\x81\x00\x00"}, {big.NewInt(-1), "\x26\x81\x7f\x01"}, {big.NewInt(128), "\x26\x82\x00\x20\x00"},
		{float32(1), "\x28\x03\x7c\x00\x00\x00"}, {float32(-1), "\x28\x7b\x7c\x00\x00\x00"},
		{1.0, "\x29\x00\x3f\x78\x00\x00\x00\x00\x00\x00\x00"}, {-1.0, "\x29\x01\x3f\x78\x00\x00\x00\x00\x00\x00\x00"},
		{[]byte{}, "\xe8\x80"}, {[]byte{0xff}, "\xe8\x81\x7f\x01"}, {[]byte{1, 2, 3, 4, 5, 6, 7}, "\xe8\x87\x00\x40\x40\x30\x20\x14\x0c\x07"},
		{tree.Object{{Name: "", Value: nil}, {Name: "a", Value: []any{}}, {Name: "é", Value: tree.Object{}}}, "\xfa\x20\x21\x80a\xf8\xf9\xc0é\xfa\xfb\xfb"},
		{tree.Object{{Name: strings.Repeat("a", 65)}}, "\xfa\x34" + strings.Repeat("a", 65) + "\xfc\x21\xfb"},
		{tree.Object{{Name: strings.Repeat("é", 28)}}, "\xfa\xf6" + strings.Repeat("é", 28) + "\x21\xfb"},
		{tree.Object{{Name: strings.Repeat("é", 29)}}, "\xfa\x34" + strings.Repeat("é", 29) + "\xfc\x21\xfb"},
	} {
		got, err := Append(nil, c.v)
		if err != nil || string(got) != ":)\n\x00"+c.want {
			t.Errorf("%v: %x, %v, want %x", c.v, got, err, c.want)
		}
	}
}

func TestJSONNumbersTakeTheFormThatLosesNothing(t *testing.T) {
	big1, _ := new(big.Int).SetString("9223372036854775808", 10)
	for text, want := range map[string]any{
		"0": int64(0), "-0": int64(0), "17": int64(17), "-9223372036854775808": int64(math.MinInt64), "9223372036854775807": int64(math.MaxInt64),
		"9223372036854775808": big1, "-9223372036854775809": new(big.Int).Sub(new(big.Int).Neg(big1), big.NewInt(1)),
		"0.1": 0.1, "1.50": 1.5, "100.0": 100.0, "1e3": 1000.0, "1E+3": 1000.0, "-0.0": math.Copysign(0, -1), "0e999999999999": 0.0, "5e-324": 5e-324,
		"0.10000000000000000001": json.Number("0.10000000000000000001"), "-3.14159265358979323846": json.Number("-3.14159265358979323846"),
		"1e400": json.Number("1E+400"), "1e-400": json.Number("1E-400"), "1.0e2147483647": json.Number("1.0E+2147483647"),
	} {
		b, err := Append(nil, json.Number(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := DecodeTree(b)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got, sameValue); diff != "" || math.Signbit(asFloat(want)) != math.Signbit(asFloat(got)) {
			t.Errorf("%s: (-want +got)\n%s", text, diff)
		}
	}
}

func asFloat(v any) float64 {
	f, _ := v.(float64)
	return f
}

func TestWhatCannotBeReadAgainIsNotWritten(t *testing.T) {
	deep := any(nil)
	for range maxDepth + 1 {
		deep = []any{deep}
	}
	for what, v := range map[string]any{
		"nesting": deep, "text that is no UTF-8": "a\xff", "a name that is no UTF-8": tree.Object{{Name: "\xff"}},
		"a giant number": new(big.Int).Lsh(big.NewInt(1), 8*maxNumber), "a giant JSON number": json.Number(strings.Repeat("9", 5*maxNumber)),
		"no number": json.Number("1.e3"), "nothing": json.Number(""), "NaN": json.Number("NaN"), "a leading zero": json.Number("01"), "two signs": json.Number("1e+-3"),
		"an exponent without digits": json.Number("1e"), "a tail": json.Number("1.5x"), "an exponent beyond every scale": json.Number("1e99999999999999999999"),
		"an int": 1, "a map": map[string]any{}, "no big integer": (*big.Int)(nil), "within a list": []any{"", struct{}{}},
	} {
		dst := []byte("kept")
		if b, err := Append(dst, v); err == nil || string(b) != "kept" {
			t.Errorf("%s: %x, %v", what, b, err)
		}
	}
	for range maxDepth {
		deep = deep.([]any)[0]
	}
	atLimit := deep
	for range maxDepth - 1 {
		atLimit = []any{atLimit}
	}
	b, err := Append(nil, atLimit)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeTree(b); err != nil {
		t.Error(err)
	}
}

func TestATreeKeepsOrderAndEqualNames(t *testing.T) {
	got, err := DecodeTree([]byte(":)\n\x01\xfa\x80z\xc2\x80a\xfa\xfb\x40\xc4\xfb"))
	want := tree.Object{{Name: "z", Value: int64(1)}, {Name: "a", Value: tree.Object{}}, {Name: "z", Value: int64(2)}}
	if diff := cmp.Diff(any(want), got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

// rewritten checks that content is the same JSON after it was read and written.
func rewritten(t *testing.T, content []byte) {
	t.Helper()
	before, err := AppendJSON(nil, content)
	if err != nil {
		return
	}
	v, err := DecodeTree(content)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := tree.AppendJSON(nil, v)
	if err != nil || !bytes.Equal(before, direct) {
		t.Errorf("the tree is %s, %v; the content %s", direct, err, before)
	}
	b, err := Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeTree(b)
	if err != nil {
		t.Fatal(err)
	}
	if !same(v, again) {
		t.Errorf("%x comes back as %x", content, b)
	}
}

// same compares trees; a big decimal may have become a float64 of the same number.
func same(a, b any) bool {
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case tree.Object:
		b, ok := b.(tree.Object)
		return ok && slices.EqualFunc(a, b, func(x, y tree.Member) bool { return x.Name == y.Name && same(x.Value, y.Value) })
	case json.Number:
		return sameNumber(a, json.Number(numberText(b)))
	}
	return fmt.Sprintf("%T", a) == fmt.Sprintf("%T", b) && numberText(a) == numberText(b)
}

func numberText(v any) string {
	text, err := tree.AppendJSON(nil, v)
	if err != nil {
		return ""
	}
	return string(text)
}

func sameNumber(a, b json.Number) bool {
	x, ok1 := parseDecimal(a.String())
	y, ok2 := parseDecimal(b.String())
	return ok1 && ok2 && x.same(y)
}

func TestWhatJacksonWroteIsTheSameAfterRewriting(t *testing.T) {
	_, contents, _ := corpus(t)
	for _, content := range contents {
		rewritten(t, content)
	}
}

func FuzzRewrite(f *testing.F) {
	_, contents, _ := corpus(f)
	for _, content := range contents {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		_, errPlain := Decode(content)
		_, errTree := DecodeTree(content)
		if (errPlain == nil) != (errTree == nil) {
			t.Fatalf("Decode: %v, DecodeTree: %v", errPlain, errTree)
		}
		if errTree != nil && !errors.Is(errTree, ErrCorrupt) {
			t.Fatalf("unmarked error: %v", errTree)
		}
		rewritten(t, content)
	})
}
