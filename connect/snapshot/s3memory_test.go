package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/format/lucene"
	"github.com/narudata/naru/internal/testbed/bucket"
)

// The giant of these tests: 1 GiB of stored fields in one segment, read as parts of 64 MiB by four workers.
const (
	s3GiantDocs, s3GiantSize = 32_000, 32 << 10
	s3GiantParts             = 16
	s3GiantLimit             = 256 << 20
	s3GiantPlace             = "NARU_TEST_S3_GIANT" // in the environment of the child
)

func newS3Giant() *giant { return newGiant(s3GiantDocs, s3GiantSize) }

// ServeHTTP serves the stored fields as the object p/d/fdt.
func (g *giant) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/p/d/fdt") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", `"giant"`)
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(g, 0, g.Size()))
}

func TestAShardIsCarriedFromS3In256MiBWhateverItsSize(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("the peak of a process's memory is read from /proc/self/status, which is not here")
	}
	if raceDetector {
		t.Skip("the race detector takes several times the memory; the test runs without it too")
	}
	g := newS3Giant()
	if g.Size() < 4*s3GiantLimit-(64<<20) {
		t.Fatalf("a file of %d bytes proves nothing", g.Size())
	}
	s := bucket.Start(t, g)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestChildThatCarriesAShardFromS3$", "-test.v")
	cmd.Env = append(os.Environ(), s3GiantPlace+"="+s.Place("p"))
	for name, value := range bucket.Environment(t.TempDir(), "") {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	started := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var records, peak int64
	line := regexp.MustCompile(`carried=\d+ peak=\d+`).Find(out)
	if _, err := fmt.Sscanf(string(line), "carried=%d peak=%d", &records, &peak); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	t.Logf("%d documents out of %d MiB, read twice, in %v; %d MiB of memory at most; %d requests", records, g.Size()>>20, time.Since(started), peak>>20, len(s.Requests()))
	if records != s3GiantDocs {
		t.Errorf("%d documents, not %d", records, s3GiantDocs)
	}
	if peak > s3GiantLimit {
		t.Errorf("the process took %d MiB, more than %d", peak>>20, s3GiantLimit>>20)
	}
}

// TestChildThatCarriesAShardFromS3 is what the test above runs in a process of its own.
func TestChildThatCarriesAShardFromS3(t *testing.T) {
	place := os.Getenv(s3GiantPlace)
	if place == "" {
		t.Skip("runs in the process that another test starts")
	}
	store, err := blob.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	g := newS3Giant()
	src, part := g.source()
	src.repo.Store = store
	for _, s := range src.shards.shards {
		s.shard.store = store
	}
	sink := new(laggard)
	report, err := flow.Run(t.Context(), flow.Flow{Source: ranges{src, g, part}, Sink: sink}, flow.Options{Workers: 4})
	if err != nil || !report.Complete() {
		t.Fatalf("%v, %+v", err, report.Failed)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	kib, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("carried=%d peak=%d", sink.n.Load(), kib<<10)
}

// ranges is a source of the giant's parts.
type ranges struct {
	*Source
	g    *giant
	part flow.Part
}

func (r ranges) Parts(context.Context) iter.Seq2[flow.Part, error] {
	return func(yield func(flow.Part, error) bool) {
		for i := range s3GiantParts {
			from, to := i*r.g.docs/s3GiantParts, (i+1)*r.g.docs/s3GiantParts
			p := r.part
			p.ID = fmt.Sprintf("%s@%d", p.ID, from)
			var err error
			p.Spec, err = json.Marshal(spec{Index: "giant", Dir: "d", Snapshot: "u", Segment: "_0", From: lucene.ChunkAt{Doc: from, Offset: r.g.offset(from)}, To: to})
			if !yield(p, err) {
				return
			}
		}
	}
}

// Groups hides those of the Source, whose repository is none.
func (r ranges) Groups(context.Context) ([]flow.Group, error) {
	return []flow.Group{{Name: "giant", Records: int64(r.g.docs), Grade: flow.Lossless}}, nil
}

// laggard is a sink that is slower than the source, so that batches wait for it.
type laggard struct{ n atomic.Int64 }

func (l *laggard) Write(_ context.Context, recs []flow.Record) error {
	time.Sleep(20 * time.Millisecond)
	for i := range recs {
		if !bytes.Contains(recs[i].Body, recs[i].Key) {
			return flow.Permanent(fmt.Errorf("record %s has another's body", recs[i].Key))
		}
	}
	l.n.Add(int64(len(recs)))
	return nil
}

func (l *laggard) Close(context.Context) error { return nil }
