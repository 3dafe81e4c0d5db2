package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow/flowtest"
	format "github.com/narudata/naru/format/snapshot"
	"github.com/narudata/naru/internal/testbed"
)

// memory is a repository in memory. It notes what is read.
type memory struct {
	blobs map[string][]byte
	read  map[string]bool // nil: not noted
	list  bool
}

func (m memory) Open(_ context.Context, name string, off, n int64) (io.ReadCloser, error) {
	b, ok := m.blobs[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if m.read != nil {
		m.read[name] = true
	}
	b = b[min(off, int64(len(b))):]
	if n >= 0 {
		b = b[:min(n, int64(len(b)))]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (m memory) List(context.Context, string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		if !m.list {
			yield(blob.Entry{}, blob.ErrNoListing)
			return
		}
		for name, b := range m.blobs {
			if !strings.Contains(name, "/") && !yield(blob.Entry{Name: name, Size: int64(len(b))}, nil) {
				return
			}
		}
	}
}

func (m memory) String() string { return "memory" }

// load reads a repository of a fixture.
func load(t *testing.T, name, repo string) memory {
	t.Helper()
	root := filepath.Join(testbed.Fixture(t, name), repo)
	m := memory{blobs: map[string][]byte{}, list: true}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		m.blobs[filepath.ToSlash(rel)], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m memory) drain(t *testing.T, c Config) (map[string][]testbed.Line, error) {
	repo, err := ReadRepository(t.Context(), m)
	if err != nil {
		return nil, err
	}
	src, err := c.Read(t.Context(), repo)
	if err != nil {
		return nil, err
	}
	return testbed.Drain(t.Context(), src, rand.New(rand.NewPCG(1, 1)))
}

func TestARepositoryThatCannotBeListedIsReadByIndexLatest(t *testing.T) {
	for _, name := range fixtures {
		m := load(t, name, "main")
		m.list = false
		got, err := m.drain(t, Config{Snapshot: "snap-3"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := testbed.Diff(testbed.Truth(t, name, "snap-3"), got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// small is an index of a few kilobytes that each fixture has.
const small = "born-later"

// Every single byte of every blob that a small index is read from, flipped: an error, or the right answer. Never a
// wrong document, a missing one, or a panic.
func TestAFlippedByteGivesAnErrorOrTheRightAnswer(t *testing.T) {
	seed := flowtest.Seed(t)
	eachDamage(t, func(t *testing.T, whole []byte, try func(damaged []byte, what string)) {
		rng := rand.New(rand.NewPCG(seed, uint64(len(whole))))
		for i := range whole {
			b := bytes.Clone(whole)
			b[i] ^= 1 << rng.IntN(8)
			try(b, fmt.Sprintf("byte %d is %#02x, not %#02x", i, b[i], whole[i]))
		}
	})
}

func TestACutBlobGivesAnErrorOrTheRightAnswer(t *testing.T) {
	eachDamage(t, func(t *testing.T, whole []byte, try func(damaged []byte, what string)) {
		for n := range whole {
			try(whole[:n], fmt.Sprintf("cut to %d of %d bytes", n, len(whole)))
		}
		try(append(bytes.Clone(whole), 0), "a byte too many")
	})
}

func eachDamage(t *testing.T, each func(t *testing.T, whole []byte, try func(damaged []byte, what string))) {
	config := Config{Snapshot: "snap-2", Indices: []string{small}, Window: 1 << 12}
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := load(t, name, "main")
			want := map[string][]testbed.Line{small: testbed.Truth(t, name, "snap-2")[small]}
			m.read = map[string]bool{}
			got, err := m.drain(t, config)
			if err != nil || testbed.Diff(want, got) != "" {
				t.Fatalf("undamaged: %v\n%s", err, testbed.Diff(want, got))
			}
			read := m.read
			m.read = nil
			errors, answers := 0, 0
			for blobName := range read {
				whole := m.blobs[blobName]
				each(t, whole, func(damaged []byte, what string) {
					m.blobs[blobName] = damaged
					got, err := m.drain(t, config)
					switch {
					case err != nil:
						errors++
					case testbed.Diff(want, got) != "":
						t.Errorf("%s: %s:\n%s", blobName, what, testbed.Diff(want, got))
					default:
						answers++
					}
				})
				m.blobs[blobName] = whole
			}
			t.Logf("%d blobs, %d errors, %d right answers", len(read), errors, answers)
			if errors == 0 {
				t.Error("no damage was noticed")
			}
		})
	}
}

func TestDamageStopsAPartNamesTheBlobAndSparesTheRest(t *testing.T) {
	m := load(t, "es717", "main")
	// The largest blob of a shard of logs-2019 is a compound file of one of its segments.
	repo, err := ReadRepository(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	victim := ""
	for _, index := range repo.Indices {
		for name, b := range m.blobs {
			if index.Name == "logs-2019" && strings.HasPrefix(name, path.Join("indices", index.ID)+"/0/__") && len(b) > len(m.blobs[victim]) {
				victim = name
			}
		}
	}
	for i := range m.blobs[victim] {
		m.blobs[victim][i] ^= 0x55
	}
	src, err := Config{Snapshot: "snap-2"}.Read(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	failed, parts := 0, 0
	for part, err := range src.Parts(t.Context()) {
		if err == nil {
			parts++
			_, err = testbed.Drain(t.Context(), only{src, part}, rand.New(rand.NewPCG(1, 1)))
		}
		if err != nil {
			failed++
			if !strings.Contains(err.Error(), victim) || !strings.HasPrefix(part.ID, "logs-2019/0") {
				t.Errorf("part %s: %v; should name %s", part.ID, err, victim)
			}
		}
	}
	if failed != 1 || parts < 20 {
		t.Errorf("%d of %d parts failed, want 1", failed, parts)
	}
}

func failure(index string, shard int, reason string) format.ShardFailure {
	return format.ShardFailure{Index: index, Shard: shard, Reason: reason}
}
