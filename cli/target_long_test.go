//go:build servers

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/internal/testbed"
)

// TestServersTakeEveryFixture: the other servers as targets. NARU_TARGETS lists some of them by comma.
func TestServersTakeEveryFixture(t *testing.T) {
	targets := []string{"os3", "es717", "es8", "os13", "os29"}
	if names := os.Getenv("NARU_TARGETS"); names != "" {
		targets = strings.Split(names, ",")
	}
	for _, server := range targets {
		t.Run(server, func(t *testing.T) { carriesEveryFixture(t, server) })
	}
}

// troubledNode starts a server and gives it as the target of a fixture, with the flow file of a carry that saves often.
func troubledNode(t *testing.T) (*arrival, string) {
	ok, missing := testbed.CanStart(t, "os219")
	testbed.Need(t, ok, missing)
	a := &arrival{fixture: "os29", snapshot: killSnapshot, repo: filepath.Join(testbed.Fixture(t, "os29"), "main"), dir: t.TempDir()}
	a.node = testbed.Start(t, "os219", testbed.Options{HeapMB: 768})
	a.truth = testbed.Truth(t, a.fixture, a.snapshot)
	for _, index := range unreadable {
		delete(a.truth, index)
	}
	if err := json.Unmarshal(testbed.TruthCluster(t, a.fixture, a.snapshot), &a.cluster); err != nil {
		t.Fatal(err)
	}
	return a, clusterFlow(t, a.repo, []string{a.node.URL})
}

// whole fails unless all has arrived, once, the settings are those of the source, and the books of a last run say so.
func (a *arrival) whole(t *testing.T, flow string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := naru(t, nil, "run", flow, "--progress", "none", "-o", "json")
	cmd.Dir, cmd.Stdout, cmd.Stderr = a.dir, &stdout, &stderr
	if code := exitOf(t, cmd); code != exitPartial {
		t.Fatalf("the last run: exit status %d\n%s%s", code, stdout.String(), stderr.String())
	}
	var r carryReport
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	documents := int64(0)
	for _, lines := range a.truth {
		documents += int64(len(lines))
	}
	if r.Total.Documents != documents || r.Total.Delivered != documents || r.Total.DeadLettered != 0 || r.Verification == nil {
		t.Errorf("the books: %+v, and there are %d documents", r.Total, documents)
	}
	a.compare(t)
	a.routed(t)
	for index := range a.truth {
		var settings map[string]struct {
			Settings struct {
				Index map[string]any `json:"index"`
			} `json:"settings"`
		}
		if err := json.Unmarshal(a.node.Call(t, "GET", "/"+index+"/_settings", nil), &settings); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"number_of_replicas", "refresh_interval"} {
			if got, want := settings[index].Settings.Index[key], a.cluster.Indices[index].Settings.Index[key]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %s is %v, was %v", index, key, got, want)
			}
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// start runs the flow, slowly.
func start(t *testing.T, flow, wait string) (*exec.Cmd, *seen) {
	t.Helper()
	out := new(seen)
	cmd := naru(t, []string{"NARU_TEST_WAIT=" + wait, "NARU_TEST_RECORDS=20"}, "run", flow, "--progress", "none")
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Dir(flow), out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// ends fails unless the process ends as one that has carried all there is to carry.
func ends(t *testing.T, cmd *exec.Cmd, out *seen) {
	t.Helper()
	if err := cmd.Wait(); err == nil || codeOf(t, err) != exitPartial {
		t.Fatalf("%v\n%s", err, out.String())
	}
}

// Processes are killed at random points, one alone or some of four side by side. NARU_TEST_KILLS says how often.
func TestServersKillNineWhileCarryingIntoARealNode(t *testing.T) {
	a, flow := troubledNode(t)
	kills, seed := number(t, "NARU_TEST_KILLS", 20), number(t, "NARU_TEST_SEED", rand.Uint64())
	t.Logf("NARU_TEST_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 9))
	began := time.Now()
	cmd, out := start(t, flow, "3ms")
	ends(t, cmd, out)
	takes := time.Since(began)
	a.whole(t, flow)
	a.empty(t)
	for killed, round := uint64(0), 0; killed < kills; round++ {
		if round%2 == 0 { // one after the other
			for {
				cmd, out := start(t, flow, "3ms")
				kill := time.AfterFunc(time.Duration(rng.Float64()*float64(takes)), func() { _ = cmd.Process.Kill() })
				err := cmd.Wait()
				kill.Stop()
				if cmd.ProcessState.ExitCode() != -1 {
					if codeOf(t, err) != exitPartial {
						t.Fatalf("%v\n%s", err, out.String())
					}
					break
				}
				killed++
			}
		} else { // four at a time
			var all []*exec.Cmd
			var outs []*seen
			for range 4 {
				cmd, out := start(t, flow, "3ms")
				all, outs = append(all, cmd), append(outs, out)
			}
			for _, victim := range all[:2] {
				kill := time.AfterFunc(time.Duration(rng.Float64()*float64(takes)/2), func() { _ = victim.Process.Kill() })
				_ = victim.Wait()
				kill.Stop()
				if victim.ProcessState.ExitCode() == -1 {
					killed++
				}
			}
			for i := range all[2:] {
				ends(t, all[2+i], outs[2+i])
			}
		}
		a.whole(t, flow)
		a.empty(t)
		t.Logf("%d killed", killed)
	}
}

func TestServersKillNineOfTheNodeWhileCarryingIntoIt(t *testing.T) {
	a, flow := troubledNode(t)
	for range 3 {
		cmd, out := start(t, flow, "40ms")
		for deadline := time.Now().Add(time.Minute); a.writes(t) == 0; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("nothing was carried for a minute:\n%s", out.String())
			}
		}
		time.Sleep(rand.N(2 * time.Second))
		a.node.Kill(t)
		time.Sleep(rand.N(3 * time.Second))
		a.node.Restart(t)
		ends(t, cmd, out)
		a.whole(t, flow)
		a.empty(t)
	}
}

func TestServersWhoseDiskFillsAreWaitedFor(t *testing.T) {
	a, flow := troubledNode(t)
	watermark := func(value any) {
		settings := map[string]any{"cluster.info.update.interval": "10s", "cluster.routing.allocation.disk.threshold_enabled": true}
		for _, level := range []string{"low", "high", "flood_stage"} {
			settings["cluster.routing.allocation.disk.watermark."+level] = value
		}
		a.node.Call(t, "PUT", "/_cluster/settings", map[string]any{"persistent": settings})
	}
	blocked := func() bool {
		return bytes.Contains(a.node.Call(t, "GET", "/_all/_settings/index.blocks.read_only_allow_delete?expand_wildcards=all", nil), []byte(`"read_only_allow_delete":"true"`))
	}
	await := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited for a minute that %s", what)
			}
		}
	}
	cmd, out := start(t, flow, "2s")
	await("something is carried", func() bool { return a.writes(t) > 0 })
	watermark("1%") // more than that is in use
	await("the disk is found to be full", blocked)
	await("naru waits", func() bool { return strings.Contains(out.String(), "the target does not take records") })
	before := a.writes(t)
	time.Sleep(5 * time.Second)
	if after := a.writes(t); after != before {
		t.Errorf("%d documents were there when the disk was full, later %d", before, after)
	}
	watermark(nil)
	await("the disk is found to be free", func() bool { return !blocked() })
	await("naru goes on", func() bool { return a.writes(t) > before })
	if err := cmd.Process.Kill(); err != nil { // the rest need not be so slow
		t.Fatal(err)
	}
	_ = cmd.Wait()
	a.whole(t, flow)
}
