package yaml

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The corpus was printed by Jackson (internal/jackson/testdata/Corpus.java).
func TestContentIsPrintedAsJacksonPrintsIt(t *testing.T) {
	text, err := os.ReadFile("testdata/yaml.tsv")
	if err != nil {
		t.Fatal(err)
	}
	different := map[string]bool{
		`"a\/b"`: true, "tab": true, // SnakeYAML refuses it, Go's YAML reads it
		`"\ud83d\ude00"`: true, // Go's YAML refuses surrogates
	}
	last, n := "", 0
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		content, err := base64.StdEncoding.DecodeString(f[1])
		if err != nil {
			t.Fatal(err)
		}
		if f[2] == "=" {
			f[2] = last
		}
		last = f[2]
		n++
		if different[f[0]] {
			continue
		}
		out, err := AppendJSON(nil, content)
		got := string(out)
		if err != nil {
			got = "error"
		}
		if diff := cmp.Diff(f[2], got); diff != "" {
			t.Errorf("%s: (-Jackson +naru)\n%s", f[0], diff)
		}
	}
	if n < 100 {
		t.Errorf("only %d documents were compared", n)
	}
}

func TestAliasesDoNotMultiplyADocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("---\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := range 9 {
		n, m := string(rune('0'+i)), string(rune('1'+i))
		b.WriteString("a" + m + ": &a" + m + " [" + strings.TrimSuffix(strings.Repeat("*a"+n+",", 10), ",") + "]\n")
	}
	out, err := AppendJSON(nil, []byte(b.String()))
	if err != nil || len(out) > 2*b.Len() {
		t.Errorf("%d bytes out of %d, %v", len(out), b.Len(), err)
	}
}

func TestDamagedContentIsAnError(t *testing.T) {
	for what, content := range map[string]string{
		"nothing":              "",
		"a key that is a list": "---\n? [a]\n: b\n",
		"an unknown anchor":    "---\na: *nothing\n",
		"a list in a map":      "---\n- a\nb: c\n",
		"infinity":             "---\na: .inf\n",
		"binary that is none":  "---\na: !!binary \"*\"\n",
		"a float that is none": "---\na: !!float x\n",
		"deep nesting":         "---\n" + strings.Repeat("[", maxDepth+1) + "x" + strings.Repeat("]", maxDepth+1),
		"a giant hex integer":  "---\na: 0x" + strings.Repeat("f", maxDigits+1),
		"no UTF-8":             "---\na: \xff\xfe\n",
	} {
		out, err := AppendJSON([]byte("kept"), []byte(content))
		if !errors.Is(err, ErrCorrupt) || string(out) != "kept" {
			t.Errorf("%s: %q, %v", what, out, err)
		}
	}
}

func FuzzYAML(f *testing.F) {
	for _, s := range []string{
		"---\na: [1, {b: c}]\n", "---\n- 0x1F\n- 1_0.5\n- !!binary aGk=\n- !!int 010\n- .5e3\n", "---\na: &x {b: |\n  text\n}\nc: *x\n",
		"--- >\n folded\n text\n", "---\n\"a\\x01\": 'b'\n<<: {}\n",
	} {
		f.Add([]byte(s))
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
