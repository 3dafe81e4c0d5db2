package cbor

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpus gives documents, most of them written by Jackson (internal/jackson/testdata/Corpus.java), and what
// Jackson prints for them; "error" where it refuses.
func corpus(t testing.TB) (names []string, contents [][]byte, want []string) {
	text, err := os.ReadFile("testdata/cbor.tsv")
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
	if len(names) < 50 {
		t.Fatalf("the corpus has only %d documents", len(names))
	}
	for i, name := range names {
		if name == "a11bffffffffffffffff01" {
			continue // a key of 2^64-1, which Jackson prints as -1
		}
		got, err := AppendJSON(nil, contents[i])
		text := string(got)
		if err != nil {
			text = "error"
		}
		if diff := cmp.Diff(want[i], text); diff != "" {
			t.Errorf("%s: (-Jackson +naru) %v\n%s", name, err, diff)
		}
	}
}

func TestAKeyBeyondInt64IsPrintedUnsigned(t *testing.T) {
	content, _ := hex.DecodeString("a21bffffffffffffffff013bffffffffffffffff02")
	got, err := AppendJSON(nil, content)
	if want := `{"18446744073709551615":1,"-18446744073709551616":2}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestDamagedContentIsAnErrorWithItsPlace(t *testing.T) {
	for what, content := range map[string]string{
		"nothing":                          "",
		"a head cut":                       "1901",
		"reserved additional information":  "1c",
		"an integer of indefinite length":  "1f",
		"a tag of indefinite length":       "df00",
		"a tag of nothing":                 "c1",
		"an end of nothing":                "ff",
		"trailing bytes":                   "a000",
		"text longer than the rest":        "7bffffffffffffffff61",
		"binary longer than the rest":      "5affffffff00",
		"an array longer than the rest":    "9bffffffffffffffff00",
		"an array without an end":          "9f00",
		"a map without an end":             "bf",
		"a map with half a pair":           "bf6161ff",
		"a map key that is a map":          "a1a000",
		"a map key that is a float":        "a1f93c0000",
		"a map key that is tagged":         "a1c0616100",
		"text that is not UTF-8":           "62c328",
		"a binary key that is not UTF-8":   "a142c32800",
		"chunks of another type":           "7f4161ff",
		"chunks within chunks":             "7f7f6161ffff",
		"a chunk cut":                      "7f6261",
		"a short simple value in two":      "f810",
		"a decimal of text":                "c482616101",
		"a decimal with a giant exponent":  "c4821bffffffffffffffff01",
		"a float cut":                      "fb0000",
		"nesting deeper than can be right": strings.Repeat("81", maxDepth+1) + "00",
		"an integer of many bytes":         "c2594001" + strings.Repeat("ff", 0x4001),
	} {
		raw, err := hex.DecodeString(content)
		if err != nil {
			t.Fatal(err)
		}
		out, err := AppendJSON([]byte("kept"), raw)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "at byte ") || string(out) != "kept" {
			t.Errorf("%s: %q, %v", what, out, err)
		}
	}
}

func TestTruncationsAndFlippedBytesNeverPanic(t *testing.T) {
	names, contents, want := corpus(t)
	for i, name := range names {
		if want[i] == "error" {
			continue
		}
		content := contents[i][:min(len(contents[i]), 2000)]
		for n := range content {
			if _, err := AppendJSON(nil, content[:n]); err == nil {
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

func FuzzCBOR(f *testing.F) {
	_, contents, _ := corpus(f)
	for _, content := range contents {
		if len(content) < 1000 {
			f.Add(content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		text, err := AppendJSON(nil, content)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("unmarked error: %v", err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("not JSON: %q", text)
		}
		if bytes.ContainsAny(text, "\r\n") {
			t.Fatalf("more than one line: %q", text)
		}
	})
}
