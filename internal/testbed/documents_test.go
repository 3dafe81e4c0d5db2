package testbed

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/narudata/naru/document"
)

func newWriter(seed uint64) *writer { return &writer{rng: rand.New(rand.NewPCG(seed, 0))} }

func TestEveryDocumentIsJSONAndOfOneLineWhereItMustBe(t *testing.T) {
	w := newWriter(1)
	lines := 0
	for n := range 2000 {
		w.line = n%2 == 0
		doc := w.document(n, n%3 == 0, n%5*1000)
		if !json.Valid(doc) {
			t.Fatalf("%q", doc)
		}
		if bytes.ContainsRune(doc, '\n') {
			lines++
			if w.line {
				t.Fatalf("a line break in %q", doc)
			}
		}
	}
	if lines < 100 {
		t.Errorf("only %d of 1000 documents have a line break between tokens", lines)
	}
}

func TestIdsAreOfEveryKindAndNeverTooLong(t *testing.T) {
	w := newWriter(2)
	kinds := map[byte]int{}
	for n := range 2000 {
		id := w.id(n)
		if id == "" || len(id) > 512 {
			t.Fatalf("%d bytes: %q", len(id), id)
		}
		kinds[id[0]]++
	}
	if len(kinds) < 40 {
		t.Errorf("ids begin with %d different bytes only", len(kinds))
	}
}

func TestForeignDocumentsAreWhatTheirContentTypeSays(t *testing.T) {
	w := newWriter(3)
	types := map[string]int{}
	for range 1000 {
		contentType, doc := w.foreign()
		types[contentType]++
		line, err := document.OneLine(nil, doc)
		if err != nil {
			t.Fatalf("%s %q: %v", contentType, doc, err)
		}
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil || fields["k"] == "" || fields["n"] == nil {
			t.Fatalf("%s %q is %s (%v)", contentType, doc, line, err)
		}
	}
	if len(types) != 3 {
		t.Errorf("content types %v", types)
	}
}
