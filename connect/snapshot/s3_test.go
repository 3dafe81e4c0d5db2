package snapshot

import (
	"errors"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/flowtest"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/bucket"
)

// inBucket opens a repository in the server's bucket whose reads are tried again at once, and read ahead in small
// pages.
func inBucket(t *testing.T, s *bucket.Server, prefix string) *Repository {
	t.Helper()
	store, err := blob.S3Config{
		Bucket: bucket.Name, Prefix: prefix, Endpoint: s.URL, Region: bucket.Region, Transport: s.Transport(),
		Attempts: 100, FirstWait: time.Microsecond, Idle: 40 * time.Millisecond,
	}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadRepository(t.Context(), blob.NewAhead(store, blob.AheadConfig{PageBytes: 5000, Pages: 4, MemoryBytes: 100_000}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func denyListing(r bucket.Request) *bucket.Error {
	if r.List {
		return &bucket.Error{Status: 403, Code: "AccessDenied", Message: "no s3:ListBucket"}
	}
	return nil
}

func TestEveryFixtureInATroubledBucketEqualsItsTruth(t *testing.T) {
	bucket.Credentials(t, "")
	seed := flowtest.Seed(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	made := map[string]int{}
	for _, name := range fixtures {
		s := bucket.Start(t, nil)
		s.PutDir(t, "es/"+name, testbed.Fixture(t, name))
		trouble := bucket.NewTrouble(rng.Uint64(), 0.1)
		trouble.Silent = true
		s.Trouble(trouble)
		for snap, repo := range snapshotsOf(name) {
			if rng.IntN(2) == 0 {
				s.Refuse(denyListing)
			} else {
				s.Refuse(nil)
			}
			r := inBucket(t, s, "es/"+name+"/"+repo)
			src, err := Config{Snapshot: snap, PartBytes: 16 << 10, Window: 1 << 12}.Read(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			want := testbed.Truth(t, name, snap)
			for i := range want["synthetic"] {
				want["synthetic"][i].Source = nil // the server makes it up from doc values
			}
			got, err := testbed.Drain(t.Context(), src, rng)
			if err != nil {
				t.Fatalf("%s/%s: %v", name, snap, err)
			}
			if diff := testbed.Diff(want, got); diff != "" {
				t.Errorf("%s/%s:\n%s", name, snap, diff)
			}
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		}
		for kind, n := range trouble.Made() {
			made[kind] += n
		}
	}
	t.Logf("trouble: %v", made)
	if len(made) < 10 {
		t.Errorf("not all kinds of trouble were met: %v", made)
	}
}

func TestARepositoryIsReadByItsURL(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.PutDir(t, "my backups", filepath.Join(testbed.Fixture(t, "es717"), "main"))
	src, err := Config{URL: s.Place("my backups"), Snapshot: "snap-1"}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if id := src.Identity(); !strings.Contains(id, "s3://backups/my backups (") || strings.Contains(id, "127.0.0.1") {
		t.Errorf("it is known as %s", id)
	}
	got, err := testbed.Drain(t.Context(), src, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := testbed.Diff(testbed.Truth(t, "es717", "snap-1"), got); diff != "" {
		t.Error(diff)
	}
	if _, err := OpenRepository(t.Context(), s.Place("elsewhere")); !errors.Is(err, ErrNoRepository) {
		t.Errorf("where there is none: %v", err)
	}
	s.Refuse(func(bucket.Request) *bucket.Error {
		return &bucket.Error{Status: 403, Code: "AccessDenied", Message: "no s3:GetObject"}
	})
	if _, err := OpenRepository(t.Context(), s.Place("my backups")); !errors.Is(err, blob.ErrDenied) {
		t.Errorf("where nothing may be read: %v", err)
	}
}

func TestExpiredCredentialsStopTheCarryAndTheSameCarryGoesOn(t *testing.T) {
	bucket.Credentials(t, "first")
	seed := flowtest.Seed(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := bucket.Start(t, nil)
	s.PutDir(t, "p", filepath.Join(testbed.Fixture(t, "os219"), "main"))
	source := func() *Source {
		src, err := Config{Snapshot: "snap-2", PartBytes: 16 << 10, Window: 1 << 12}.Read(t.Context(), inBucket(t, s, "p"))
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	vault := flowtest.NewVault()
	runs := 0
	var left atomic.Int64
	for {
		runs++
		src := source()
		left.Store(50 + rng.Int64N(200))
		if runs > 5 {
			left.Store(1 << 60)
		}
		s.Refuse(func(r bucket.Request) *bucket.Error {
			if left.Add(-1) < 0 {
				return &bucket.Error{Status: 400, Code: "ExpiredToken", Message: "The provided token has expired."}
			}
			return nil
		})
		report, err := flow.Run(t.Context(), flow.Flow{Source: src, Sink: vault, Ledger: vault}, flow.Options{Workers: 2, BatchRecords: 20, SaveInterval: time.Millisecond})
		s.Refuse(nil)
		if err == nil {
			if !report.Complete() {
				t.Fatalf("run %d: %+v", runs, report)
			}
			break
		}
		if !errors.Is(err, blob.ErrExpired) || !strings.Contains(err.Error(), "the same command again") || report.Total.Failed != 0 || len(report.Failed) != 0 {
			t.Fatalf("run %d: %v, failed parts %+v", runs, err, report.Failed)
		}
		vault = vault.Crash()
	}
	if runs < 3 {
		t.Errorf("it was done after %d runs", runs)
	}
	got := map[string][]testbed.Line{}
	for _, r := range vault.Records() {
		got[r.Index] = append(got[r.Index], testbed.Line{Index: r.Index, Type: r.Type, ID: string(r.Key), Routing: string(r.Routing), Source: r.Body})
	}
	want := testbed.Truth(t, "os219", "snap-2")
	for i := range want["synthetic"] {
		want["synthetic"][i].Source = nil
	}
	if diff := testbed.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestABlobThatIsMissingWhereNothingCanBeListedIsThatPartsOwn(t *testing.T) {
	bucket.Credentials(t, "")
	s := bucket.Start(t, nil)
	s.PutDir(t, "p", filepath.Join(testbed.Fixture(t, "es717"), "main"))
	var victim atomic.Value
	victim.Store("")
	s.Refuse(func(r bucket.Request) *bucket.Error { // S3 tells those who may not list nothing about what is absent
		if r.List || r.Key == victim.Load() {
			return &bucket.Error{Status: 403, Code: "AccessDenied", Message: "Access Denied"}
		}
		return nil
	})
	src, err := Config{Snapshot: "snap-2"}.Read(t.Context(), inBucket(t, s, "p"))
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
	before := len(s.Requests())
	r, err := src.Open(t.Context(), parts[len(parts)/2], nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for _, q := range s.Requests()[before:] {
		if strings.Contains(q.Key, "/__") {
			victim.Store(q.Key)
		}
	}
	if victim.Load() == "" {
		t.Fatal("the part has no blob of its own")
	}
	vault := flowtest.NewVault()
	report, err := flow.Run(t.Context(), flow.Flow{Source: src, Sink: vault, Ledger: vault}, flow.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Total.Failed != 1 || report.Total.Done != len(parts)-1 || !strings.Contains(report.Failed[0].Error, "is denied while other keys are not") {
		t.Errorf("of %d parts %d failed and %d are done: %+v", len(parts), report.Total.Failed, report.Total.Done, report.Failed)
	}
	got := map[string]int{}
	for _, q := range vault.Records() {
		got[q.Index]++
	}
	want := maps.Clone(got)
	for index, lines := range testbed.Truth(t, "es717", "snap-2") {
		if index != report.Failed[0].Group && len(lines) > 0 {
			want[index] = len(lines)
		}
	}
	if !maps.Equal(want, got) {
		t.Errorf("records %v, want %v", got, want)
	}
}
