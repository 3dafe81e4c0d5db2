package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/migrate/graft"
	"github.com/narudata/naru/migrate/restore"
)

// A graftBench is a real OpenSearch and copies of fixtures below its path.repo.
type graftBench struct {
	*arrival
	repos string
}

func newGraftBench(t *testing.T, server string, fixtures ...string) *graftBench {
	t.Helper()
	ok, missing := testbed.CanStart(t, server)
	testbed.Need(t, ok, missing)
	node := testbed.Start(t, server, testbed.Options{HeapMB: 768, Settings: map[string]string{"repositories.url.allowed_urls": "http://127.0.0.1:*/*"}})
	for _, name := range fixtures {
		if err := os.CopyFS(filepath.Join(node.Repo, name), os.DirFS(filepath.Join(testbed.Fixture(t, name), "main"))); err != nil {
			t.Fatal(err)
		}
	}
	return &graftBench{&arrival{node: node, dir: t.TempDir()}, node.Repo}
}

// run runs naru, wants an exit status, and gives the report.
func (b *graftBench) run(t *testing.T, want int, args ...string) *graftReport {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := naru(t, nil, append(args, "--progress", "none", "-o", "json")...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, &stdout, &stderr
	if code := exitOf(t, cmd); code != want {
		t.Fatalf("naru %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout.String(), stderr.String())
	}
	r := new(graftReport)
	if err := json.Unmarshal(stdout.Bytes(), r); err != nil {
		t.Fatalf("%v\n%s", err, stdout.String())
	}
	return r
}

// compare wants the documents of a fixture's snapshot in the cluster.
func (b *graftBench) compare(t *testing.T, fixture, snapshot string, but ...string) {
	t.Helper()
	want := testbed.Truth(t, fixture, snapshot)
	for _, name := range append(but, "nosource", "shut") {
		delete(want, name)
	}
	got := make(map[string][]testbed.Line)
	for index, lines := range want {
		for i := range lines {
			lines[i].Type = ""
		}
		got[index] = b.node.Dump(t, index)
		for i := range got[index] {
			got[index][i].Type = ""
		}
	}
	if diff := testbed.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// inState gives how many of the report's indices are in a state.
func inState(r *graftReport, s restore.State) int { return r.Restore.Count(s) }

func TestARealOpenSearchRestoresWhatIsGrafted(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	b := newGraftBench(t, "os219", "es717", "es8")
	from, to := filepath.Join(b.repos, "es717"), filepath.Join(b.repos, "written")
	if first := b.run(t, exitOK, "graft", from, to, "--snapshot", "snap-2", "--restore", b.node.URL); !first.Verification.Verified ||
		inState(first, restore.Restored) != 14 || first.Written.Linked.Blobs == 0 || first.Written.Streamed.Blobs != 0 {
		t.Errorf("the first run: %+v, %+v", first.Written, first.Verification)
	}
	b.compare(t, "es717", "snap-2")
	before := b.node.Call(t, "GET", "/_cat/indices?h=index,uuid&s=index", nil)
	if again := b.run(t, exitOK, "graft", from, to, "--snapshot", "snap-2", "--restore", b.node.URL); inState(again, restore.WasThere) != 14 || !again.Written.Nothing {
		t.Errorf("the second run: %+v, %+v", again.Written, again.Restore)
	}
	if after := b.node.Call(t, "GET", "/_cat/indices?h=index,uuid&s=index", nil); !bytes.Equal(before, after) {
		t.Errorf("the second run changed\n%s to\n%s", before, after)
	}

	// A changed document is found.
	b.node.Call(t, "POST", "/churn/_doc/new?refresh=true", map[string]any{"x": 1})
	if changed := b.run(t, exitMismatch, "graft", from, to, "--snapshot", "snap-2", "--restore", b.node.URL); changed.Verification.Verified {
		t.Error("a document that was added is not noticed")
	}

	b.empty(t)
	t.Run("in place", func(t *testing.T) {
		r := b.run(t, exitOK, "graft", from, "--in-place", "--snapshot", "snap-1", "--restore", b.node.URL)
		if inState(r, restore.Restored) != 13 || !r.Verification.Verified {
			t.Errorf("%+v", r.Restore)
		}
		b.compare(t, "es717", "snap-1")
		if out, err := naru(t, nil, "graft", from, "--undo").CombinedOutput(); err != nil {
			t.Errorf("undo: %v\n%s", err, out)
		}
	})
	b.empty(t)
	t.Run("served", func(t *testing.T) {
		r := b.run(t, exitOK, "graft", "serve", from, "--snapshot", "snap-2", "--listen", "127.0.0.1:0", "--restore", b.node.URL, "--repository", "served")
		if inState(r, restore.Restored) != 14 || !r.Verification.Verified {
			t.Errorf("%+v", r.Restore)
		}
		b.compare(t, "es717", "snap-2")
	})
	b.empty(t)
	t.Run("moved", func(t *testing.T) {
		// Two lanes: the first of these repositories is grafted, the second carried.
		b.run(t, exitOK, "move", from, b.node.URL, "--via", filepath.Join(b.repos, "via"), "--snapshot", "snap-2", "-i", "logs-*", "-i", "kitchen")
		b.node.Call(t, "PUT", "/best", map[string]any{})
		eight := []string{"move", filepath.Join(b.repos, "es8"), b.node.URL, "--via", filepath.Join(b.repos, "via8"), "--snapshot", "snap-2", "-i", "churn", "-i", "merged", "-i", "best"}
		for n, nothing := range []bool{false, true} {
			r := b.run(t, exitPartial, eight...)
			if r.Carry == nil || !r.Carry.Verification.Verified || r.Carry.Total.Delivered != 682 || r.Carry.Nothing != nothing || len(r.Taken) != 1 || r.Taken[0] != "best" {
				t.Errorf("run %d: %+v, taken %v", n, r.Carry, r.Taken)
			}
			b.compare(t, "es8", "snap-2", "best", "born-later", "excluded", "formats", "kitchen", "logs-2019", "sorted", "synthetic")
			for _, x := range r.Plan.Newest() {
				if x.Lane != graft.Reindex {
					t.Errorf("%s is %s", x.Name, x.Lane)
				}
			}
		}
	})
	b.empty(t)
	t.Run("killed", func(t *testing.T) { b.killed(t, from) })
}

// killed kills naru while it writes and restores, and runs it again.
func (b *graftBench) killed(t *testing.T, from string) {
	for n := range 3 {
		to := filepath.Join(b.repos, fmt.Sprint("killed", n))
		args := []string{"graft", from, to, "--snapshot", "snap-2", "--restore", b.node.URL}
		cmd := naru(t, nil, append(args, "--progress", "none")...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(20+n*150)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		r := b.run(t, exitOK, args...)
		if got := inState(r, restore.Restored) + inState(r, restore.WasThere); got != 14 || !r.Verification.Verified {
			t.Errorf("kill %d: %d indices, %+v", n, got, r.Verification)
		}
		b.compare(t, "es717", "snap-2")
		b.empty(t)
	}
}

func TestServingAwayFromLoopbackAsksForASecret(t *testing.T) {
	from := filepath.Join(testbed.Fixture(t, "es717"), "main")
	cmd := naru(t, []string{"NARU_TOKEN=short"}, "graft", "serve", from, "--target", "2.19", "--listen", "0.0.0.0:0")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "at least 16") {
		t.Errorf("%v\n%s", err, out)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test
	taken := naru(t, nil, "graft", "serve", from, "--target", "2.19", "--listen", l.Addr().String())
	if out, err := taken.CombinedOutput(); err == nil || !strings.Contains(string(out), "address already in use") {
		t.Errorf("%v\n%s", err, out)
	}
}
