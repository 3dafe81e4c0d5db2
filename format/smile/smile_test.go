package smile

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpus gives the documents that Jackson wrote (internal/jackson/testdata/Corpus.java) and what it prints
// for them.
func corpus(t testing.TB) (names []string, contents [][]byte, want []string) {
	text, err := os.ReadFile("testdata/smile.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		content, err := base64.StdEncoding.DecodeString(f[1])
		if err != nil {
			t.Fatal(err)
		}
		if f[2] == "=" {
			f[2] = want[len(want)-1]
		}
		names, contents, want = append(names, f[0]), append(contents, content), append(want, f[2])
	}
	return names, contents, want
}

func TestContentIsPrintedAsJacksonPrintsIt(t *testing.T) {
	names, contents, want := corpus(t)
	if len(names) < 30 {
		t.Fatalf("the corpus has only %d documents", len(names))
	}
	for i, name := range names {
		got, err := AppendJSON([]byte("before "), contents[i])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff("before "+want[i], string(got)); diff != "" {
			t.Errorf("%s: (-Jackson +naru)\n%s", name, diff)
		}
	}
}

func TestDecodeGivesTheSameValuesAsTheJSON(t *testing.T) {
	names, contents, want := corpus(t)
	for i, name := range names {
		v, err := Decode(contents[i])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.HasPrefix(name, "floats/") {
			continue // NaN and the infinities are no JSON numbers
		}
		got, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(numbers(t, []byte(want[i])), numbers(t, got)); diff != "" {
			t.Errorf("%s: (-Jackson +naru)\n%s", name, diff)
		}
	}
}

// numbers decodes JSON with its numbers as exact fractions.
func numbers(t *testing.T, text []byte) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case json.Number:
			r, ok := new(big.Rat).SetString(v.String())
			if !ok {
				t.Fatalf("no number: %s", v)
			}
			return r.RatString()
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
		}
		return v
	}
	return walk(v)
}

func TestDecodeKeepsTypesAndTheLastOfEqualKeys(t *testing.T) {
	content := []byte(":)\n\x05\xfa" +
		"\x81ab\xfd\x83\x00\xff\xfc" + // "ab": three raw bytes
		"\x80n\xc3" + // "n": -2
		"\x41\x28\x03\x7c\x00\x00\x00" + // "n" again: float32 1
		"\xfb")
	got, err := Decode(content)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"ab": []byte{0, 0xff, 0xfc}, "n": float32(1)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	content[9] = 'x' // within the raw bytes
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the value changed with the content:\n%s", diff)
	}
}

func TestDamagedContentIsAnErrorWithItsPlace(t *testing.T) {
	deep := ":)\n\x01" + strings.Repeat("\xf8", maxDepth+1)
	for what, content := range map[string]string{
		"nothing":                       "",
		"no header":                     "{\"a\":1}",
		"half a header":                 ":)\n",
		"only a header":                 ":)\n\x01",
		"another version":               ":)\n\x11\x21",
		"trailing bytes":                ":)\n\x01\x21\x21",
		"a reserved token":              ":)\n\x01\x27",
		"the token zero":                ":)\n\x03\x00",
		"a reserved key":                ":)\n\x01\xfa\x10\x21\xfb",
		"the end of an array as a key":  ":)\n\x01\xfa\xf9",
		"the end of an object in array": ":)\n\x01\xf8\xfb",
		"no such shared name":           ":)\n\x01\xfa\x40\x21\xfb",
		"no such long shared name":      ":)\n\x01\xfa\x80a\x21\x30\x40\x21\xfb",
		"shared names off":              ":)\n\x00\xfa\x80a\x21\x40\x21\xfb",
		"no such shared value":          ":)\n\x03\xf8\x40a\x02\xf9",
		"shared values off":             ":)\n\x01\xf8\x40a\x01\xf9",
		"half a reference":              ":)\n\x03\xf8\x40a\xec",
		"a long text without an end":    ":)\n\x01\xe4abc",
		"a short text cut":              ":)\n\x01\x45abc",
		"text that is no UTF-8":         ":)\n\x01\x80\xc3\x28",
		"ASCII that is none":            ":)\n\x01\x41a\xe9",
		"an integer cut":                ":)\n\x01\x24\x01",
		"an int32 of more bits":         ":)\n\x01\x24\x20\x00\x00\x00\x80",
		"an int64 of more bits":         ":)\n\x01\x25\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\xbf",
		"an integer with bit 6 last":    ":)\n\x01\x24\xc1",
		"a float cut":                   ":)\n\x01\x28\x00\x00",
		"a float with bit 7":            ":)\n\x01\x28\x80\x00\x00\x00\x00",
		"a double cut":                  ":)\n\x01\x29\x00\x00",
		"binary longer than the rest":   ":)\n\x05\xfd\x0f\x7f\x7f\x7f\xbf\x00",
		"7-bit binary cut":              ":)\n\x01\xe8\x82\x00\x00",
		"7-bit binary with bit 7":       ":)\n\x01\xe8\x81\x80\x00",
		"a giant big integer":           ":)\n\x01\x26\x01\x7f\x7f\xbf",
		"nesting without an end":        deep,
		"an array cut":                  ":)\n\x01\xf8\x21",
		"an object cut":                 ":)\n\x01\xfa\x80a\x21",
		"a key without a value":         ":)\n\x01\xfa\x80a",
	} {
		if v, err := Decode([]byte(content)); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "at byte ") {
			t.Errorf("%s: Decode gives %v, %v", what, v, err)
		}
		dst := []byte("kept")
		if out, err := AppendJSON(dst, []byte(content)); !errors.Is(err, ErrCorrupt) || string(out) != "kept" {
			t.Errorf("%s: AppendJSON gives %q, %v", what, out, err)
		}
	}
}

func TestReferencesCannotGrowWithoutBound(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(":)\n\x01\xf8\xfa\x34")
	b.WriteString(strings.Repeat("n", 1<<20))
	b.WriteString("\xfc\x21\xfb")
	for range 1 << 16 {
		b.WriteString("\xfa\x40\x21\xfb")
	}
	b.WriteString("\xf9")
	if out, err := AppendJSON(nil, b.Bytes()); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("%d bytes of JSON out of %d, %v", len(out), b.Len(), err)
	}
	if _, err := Decode(b.Bytes()); err != nil {
		t.Errorf("as values they share the name: %v", err)
	}
}

func TestTruncationsAndFlippedBytesNeverPanic(t *testing.T) {
	names, contents, _ := corpus(t)
	for i, name := range names {
		content := contents[i]
		if len(content) > 2000 {
			content = content[:2000]
		}
		for n := range content {
			if _, err := Decode(content[:n]); err == nil && n != len(bytes.TrimSuffix(content, []byte{endOfContent})) {
				t.Errorf("%s cut to %d bytes is no error", name, n)
			}
			flipped := bytes.Clone(content)
			flipped[n] ^= 1 << (n % 8)
			if _, err := AppendJSON(nil, flipped); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s with byte %d flipped: unmarked error %v", name, n, err)
			}
		}
	}
}

func FuzzSmile(f *testing.F) {
	_, contents, _ := corpus(f)
	for _, content := range contents {
		if len(content) < 1000 {
			f.Add(content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		v, errDecode := Decode(content)
		text, errPrint := AppendJSON(nil, content)
		if errDecode != nil && errPrint == nil || errDecode == nil && errPrint != nil {
			t.Fatalf("Decode: %v, AppendJSON: %v", errDecode, errPrint)
		}
		if errDecode != nil {
			if !errors.Is(errDecode, ErrCorrupt) || !errors.Is(errPrint, ErrCorrupt) {
				t.Fatalf("unmarked error: %v, %v", errDecode, errPrint)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("not JSON: %q of %T", text, v)
		}
		if bytes.ContainsAny(text, "\r\n") {
			t.Fatalf("more than one line: %q", text)
		}
	})
}

func mappings(b *testing.B) []byte {
	_, contents, want := corpus(b)
	var largest []byte
	for i := range contents {
		if len(want[i]) > len(largest) && strings.Contains(want[i], `"f1099"`) {
			largest = contents[i]
		}
	}
	return largest
}

func BenchmarkDecode(b *testing.B) {
	content := mappings(b)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(content); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	content := mappings(b)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		var err error
		if dst, err = AppendJSON(dst[:0], content); err != nil {
			b.Fatal(err)
		}
	}
}
