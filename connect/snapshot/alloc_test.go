package snapshot

import (
	"io"
	"testing"

	"github.com/narudata/naru/flow"
)

// What reading allocates depends on the number of segments and readers, not on that of documents.
func TestReadingADocumentAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates by itself; the test runs without it too")
	}
	for _, name := range fixtures {
		m := load(t, name, "main")
		repo, err := ReadRepository(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		src, err := Config{Snapshot: "snap-2", Indices: []string{"logs-2019"}}.Read(t.Context(), repo)
		if err != nil {
			t.Fatal(err)
		}
		var parts []flow.Part
		for p, err := range src.Parts(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, p)
		}
		b := &flow.Batch{MaxRecords: 10_000, MaxBytes: 1 << 20}
		documents := 0
		pass := func(read bool) func() {
			return func() {
				documents = 0
				for _, p := range parts {
					r, err := src.Open(t.Context(), p, nil)
					if err != nil {
						t.Fatal(err)
					}
					for read {
						b.Reset()
						b.MaxRecords, b.MaxBytes = 10_000, 1<<20
						err := r.Read(t.Context(), b)
						documents += len(b.Records)
						if err == io.EOF { //nolint:errorlint // itself, as the contract says
							break
						}
						if err != nil {
							t.Fatal(err)
						}
					}
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		opening := testing.AllocsPerRun(5, pass(false))
		reading := testing.AllocsPerRun(5, pass(true)) - opening
		t.Logf("%s: %d documents in %d parts: %.0f allocations to open them, %.0f to read them", name, documents, len(parts), opening, reading)
		if documents < 1000 {
			t.Errorf("%s: %d documents prove nothing", name, documents)
		}
		if most := 20 * float64(len(parts)); reading > most { // a few for each reader
			t.Errorf("%s: reading %d documents allocates %.0f times, more than %.0f", name, documents, reading, most)
		}
	}
}
