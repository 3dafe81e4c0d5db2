package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/narudata/naru/connect/kafka"
	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/migrate/compare"
)

// versions are processes of a pipeline that take part in the route of group g, which reads topic t into the index logs and topic out.
type versions struct {
	*kafkaBench
	search *osfake.Server
	files  string // of the output file
	sent   atomic.Int64
	quiet  func() // nothing more is written
}

func newVersions(t *testing.T) *versions {
	t.Helper()
	v := &versions{kafkaBench: newKafkaBench(t, "t", "out"), search: osfake.Start(t, osfake.Options{})}
	v.files = t.TempDir()
	stop := make(chan struct{})
	var writing sync.WaitGroup
	v.quiet = sync.OnceFunc(func() { close(stop); writing.Wait() })
	t.Cleanup(v.quiet)
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			for range 5 {
				n := v.sent.Add(1) - 1
				v.write(&kgo.Record{Topic: "t", Partition: int32(n % 3), Value: fmt.Appendf(nil, `{"n":%d,"twice":[%d,%d]}`, n, n, n)}) //nolint:gosec // small
			}
		}
	})
	return v
}

// version is a process.
type version struct {
	*versions
	hash   string
	api    string
	stderr seen
	exited chan error
	kill   func(syscall.Signal)
}

func (v *versions) start(hash, filter string, more ...string) *version {
	v.t.Helper()
	dir := v.t.TempDir()
	conf := filepath.Join(dir, "pipe.conf")
	text := fmt.Sprintf(`input { kafka { bootstrap_servers => "%s" topics => ["t"] group_id => "g" auto_offset_reset => "earliest" codec => json
			heartbeat_interval_ms => 100 session_timeout_ms => 6000 auto_commit_interval_ms => 50 } }
		filter { %s }
		output {
			opensearch { hosts => ["%s"] index => "logs" manage_template => false }
			kafka { bootstrap_servers => "%[1]s" topic_id => "out" codec => json }
			file { path => "%[4]s/%[5]s.jsonl" codec => json_lines }
		}`, v.brokers[0], filter, v.search.URL(), v.files, hash)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
	p := &version{versions: v, hash: hash, api: "127.0.0.1:" + strconv.Itoa(freePort(v.t)), exited: make(chan error, 1)}
	_, port, _ := strings.Cut(p.api, ":")
	cmd := naru(v.t, []string{"NARU_ROUTE_HASH=" + hash}, append([]string{"logstash", "-f", conf, "--route", "--path.data", dir, "--api.http.port", port, "-w", "1"}, more...)...)
	cmd.Stderr = &p.stderr
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	p.kill = func(s syscall.Signal) { _ = cmd.Process.Signal(s) }
	go func() { p.exited <- cmd.Wait() }()
	v.t.Cleanup(func() { p.kill(syscall.SIGKILL) })
	return p
}

// role waits until the process says that it has a role.
func (p *version) role(want string) {
	p.t.Helper()
	last := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + p.api + "/ready") //nolint:noctx // a test
		if err != nil {
			continue
		}
		var answer struct {
			Ready bool
			Route struct{ Role, Group, Hash string }
		}
		err = json.NewDecoder(resp.Body).Decode(&answer)
		_ = resp.Body.Close()
		if last = fmt.Sprint(answer, err); err == nil && answer.Ready && answer.Route.Role == want && answer.Route.Hash == p.hash {
			return
		}
	}
	p.t.Fatalf("%s has not the role %s: %s\n%s", p.hash, want, last, tail(p.stderr.String(), 3000))
}

// end lets the process end.
func (p *version) end() {
	p.t.Helper()
	p.kill(syscall.SIGTERM)
	select {
	case err := <-p.exited:
		if err != nil {
			p.t.Errorf("%s ended with %v: %s", p.hash, err, tail(p.stderr.String(), 2000))
		}
	case <-time.After(30 * time.Second):
		p.t.Fatalf("%s does not end: %s", p.hash, tail(p.stderr.String(), 2000))
	}
}

// count gives how many documents an index has.
func (v *versions) count(index string) int {
	v.t.Helper()
	n := 0
	if v.ask("/"+index+"/_refresh", nil) != http.StatusNotFound {
		var answer struct{ Count int }
		v.ask("/"+index+"/_count", &answer)
		n = answer.Count
	}
	return n
}

func (v *versions) ask(path string, answer any) int {
	v.t.Helper()
	resp, err := http.Get(v.search.URL() + path) //nolint:noctx // a test
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer != nil {
		if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
			v.t.Fatal(err)
		}
	}
	return resp.StatusCode
}

// await waits until something holds.
func (v *versions) await(what string, holds func() bool) {
	v.t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			v.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// written gives how many records a topic has.
func (v *versions) written(topic string) int {
	v.t.Helper()
	ends, err := kadm.NewClient(v.client).ListEndOffsets(v.t.Context(), topic)
	if err != nil {
		v.t.Fatal(err)
	}
	sum := 0
	ends.Each(func(o kadm.ListedOffset) { sum += int(o.Offset) })
	return sum
}

func TestACanaryReadsInShadowThenLiveAndIsPromotedWithoutARestart(t *testing.T) {
	v := newVersions(t)
	v.naru(exitOK, "route", "set", "g", "--topic", "t", "--stable", "v1")
	v1 := v.start("v1", `split { field => "twice" }`)
	v1.role("stable")
	v.await("the stable version writes", func() bool { return v.count("logs") > 100 })

	v2 := v.start("v2", `split { field => "twice" } mutate { add_field => { "team" => "x" } }`)
	v2.role("waits")
	if n := v.count("shadow-v2-logs"); n > 0 {
		t.Errorf("it waits, and has written %d documents", n)
	}
	v.naru(exitOK, "route", "set", "g", "--canary", "v2", "--mirror", "--wait", "20s")
	v2.role("shadow")
	v.await("the canary writes in shadow", func() bool { return v.count("shadow-v2-logs") > 200 })
	if _, err := os.Stat(filepath.Join(v.files, "v2.jsonl")); err == nil {
		t.Error("the shadow has written a file")
	}
	v2.stderr.await(t, "an output is not written in shadow")
	out := v.written("out")

	// Documents of both are paired, and differ in one field.
	diff := naru(t, nil, "diff", v.search.URL()+"/logs", v.search.URL()+"/shadow-v2-logs", "--ignore", "@timestamp", "-o", "json")
	text, err := diff.Output()
	if code := codeOf(t, err); code != exitDifference {
		t.Fatalf("naru diff: exit status %d", code)
	}
	var report struct {
		Different int64
		Equal     int64
		Changes   []struct{ Field, Kind string }
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if report.Different < 150 || report.Equal > 0 || len(report.Changes) != 1 || report.Changes[0].Field != "team" || report.Changes[0].Kind != "added" {
		t.Errorf("the difference is not what it is: %+v", report)
	}

	// So is what the other outputs made, of which the shadow has written nothing.
	both := []string{"route", "diff", "g", "--pipeline", "http://" + v1.api, "--pipeline", "http://" + v2.api, "--ignore", "@timestamp", "-o", "json"}
	var made compare.Report
	text2, _ := v.naru(exitDifference, both...)
	if err := json.Unmarshal([]byte(text2), &made); err != nil {
		t.Fatal(err)
	}
	fields := map[string]int64{}
	for _, c := range made.Changes {
		fields[c.What()] = c.Documents
	}
	// Two outputs, two events each; the file's path is that of the version.
	if made.OnlyA != 0 || made.OnlyB != 0 || made.Different < 100 || made.Different%4 != 0 || fields["team: added"] != made.Different || 2*fields["@output.key: another value"] != made.Different {
		t.Errorf("the difference of other outputs is not what it is: %+v %v", made, fields)
	}
	if text, _ := v.naru(exitOK, append(both, "--ignore", "team,@output.key")...); !strings.Contains(text, `"different":0`) && !strings.Contains(text, `"different": 0`) {
		t.Errorf("there is no other difference: %s", text)
	}

	table, _ := v.naru(exitOK, "route", "set", "g", "--weight", "34", "--wait", "20s")
	for _, want := range []string{"Stable   v1  2 of 3 partitions", "Canary   v2  1 of 3 partitions, weight 34 %"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is missing:\n%s", want, table)
		}
	}
	v2.role("canary")
	v.await("the canary writes live", func() bool { _, err := os.Stat(filepath.Join(v.files, "v2.jsonl")); return err == nil })
	v.naru(exitOK, "route", "set", "g", "--weight", "100", "--wait", "20s")
	v.naru(exitOK, "route", "set", "g", "--promote", "--wait", "20s")
	v2.role("stable")
	v1.role("waits")
	v1.end()
	v.await("what v2 made in shadow is removed", func() bool { return len(v.shadows()) == 0 && len(v.groups()) == 0 })

	// The next one is bad, and dies on the way.
	v3 := v.start("v3", `drop {}`)
	v3.role("waits")
	v.naru(exitOK, "route", "set", "g", "--canary", "v3", "--mirror")
	v3.role("shadow")
	v.await("it is seen that it drops everything", func() bool {
		var out bytes.Buffer
		env := v.environment(&out)
		return Main(t.Context(), env, []string{"kafka", "route", "diff", "g", "--pipeline", "http://" + v3.api, "--pipeline", "http://" + v2.api, "-o", "json"}) == exitDifference &&
			json.Unmarshal(out.Bytes(), &made) == nil && made.OnlyA > 50 && made.Pairs() == 0 && made.OnlyB == 0
	})
	v.naru(exitOK, "route", "set", "g", "--abort", "--wait", "20s")
	v3.role("canary") // without a share
	v3.kill(syscall.SIGKILL)

	v.quiet()
	sent := int(v.sent.Load())
	v.await("everything is there", func() bool { return v.count("logs") >= 2*sent && v.written("out") >= 2*sent })
	time.Sleep(500 * time.Millisecond)
	if n := v.count("logs"); n != 2*sent {
		t.Errorf("%d records became %d documents, want two of each", sent, n)
	}
	if n := v.written("out"); n != 2*sent {
		t.Errorf("%d records became %d records, want two of each (%d when the shadow was on)", sent, n, out)
	}
	v2.end()
}

// groups are the names of the shadows' groups that there are.
func (v *versions) groups() (names []string) {
	v.t.Helper()
	listed, err := kadm.NewClient(v.client).ListGroups(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	for name := range listed {
		if strings.Contains(name, ".shadow-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// shadows are the indices that are called like those of shadows.
func (v *versions) shadows() (names []string) {
	for _, name := range v.search.Indices() {
		if strings.HasPrefix(name, "shadow-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestWhatACanaryMadeInShadowIsRemovedWhenItIsOver(t *testing.T) {
	v := newVersions(t)
	v.naru(exitOK, "route", "set", "g", "--topic", "t", "--stable", "v1")
	v1 := v.start("v1", "", "--route.keep-shadow")
	v1.role("stable")
	v.await("the stable version writes", func() bool { return v.count("logs") > 30 })
	// Somebody else's, called alike.
	put, err := http.NewRequestWithContext(t.Context(), http.MethodPut, v.search.URL()+"/shadow-v2-mine", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(put)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	try := func(hash string, end ...string) {
		t.Helper()
		p := v.start(hash, "")
		p.role("waits")
		v.naru(exitOK, "route", "set", "g", "--canary", hash, "--mirror", "--wait", "20s")
		p.role("shadow")
		v.await("the canary writes in shadow", func() bool { return v.count("shadow-"+hash+"-logs") > 30 })
		if len(end) > 0 {
			v.naru(exitOK, append([]string{"route", "set", "g"}, end...)...)
		}
		p.kill(syscall.SIGKILL)
		<-p.exited
	}

	// It is kept where that is asked for, and while it is tried.
	try("v2", "--abort")
	v1.kill(syscall.SIGKILL)
	<-v1.exited
	if got, want := v.shadows(), []string{"shadow-v2-logs", "shadow-v2-mine"}; !slices.Equal(got, want) {
		t.Errorf("kept are %q, want %q", got, want)
	}
	// What a process that died has left undone the next one does, as soon as the shadow's members are gone.
	next := v.start("v1", "")
	next.role("stable")
	gone := func(want ...string) func() bool {
		return func() bool { return slices.Equal(v.shadows(), want) && len(v.groups()) == 0 }
	}
	v.await("what v2 has left is removed", gone("shadow-v2-mine"))

	// One that has gone, and was neither promoted nor given up, may come back.
	try("v3")
	time.Sleep(1500 * time.Millisecond) // the stable version has looked
	if got := v.shadows(); !slices.Contains(got, "shadow-v3-logs") {
		t.Errorf("the canary's indices are removed while it is tried: %q", got)
	}
	v.naru(exitOK, "route", "set", "g", "--canary", "v4")
	v.await("what v3 has left is removed", gone("shadow-v2-mine"))
	v.quiet()
	next.end()
}

// Members are killed, the leader of the group among them; others have what they had, from the last commits on.
func TestVersionsThatAreKilledLoseNothing(t *testing.T) {
	v := newVersions(t)
	v.naru(exitOK, "route", "set", "g", "--topic", "t", "--stable", "v1", "--canary", "v2", "--weight", "34")
	leader := v.start("v1", `split { field => "twice" }`)
	leader.role("stable")
	v.await("the first one writes", func() bool { return v.count("logs") > 0 })
	other, canary := v.start("v1", `split { field => "twice" }`), v.start("v2", `split { field => "twice" }`)
	settled := func(stable, canary, members int) func() bool {
		return func() bool {
			var out bytes.Buffer
			Main(t.Context(), v.environment(&out), []string{"kafka", "route", "show", "g", "-o", "json"})
			var s kafka.RouteStatus
			return json.Unmarshal(out.Bytes(), &s) == nil && s.Stable == stable && s.Canary == canary && len(s.Members) == members && s.State == "Stable"
		}
	}
	v.await("the canary has a partition", settled(2, 1, 3))
	leader.kill(syscall.SIGKILL)
	<-leader.exited
	v.await("the other one has two", settled(2, 1, 2))
	canary.kill(syscall.SIGKILL)
	<-canary.exited
	v.await("the stable version has all", settled(3, 0, 1))
	v.quiet()
	sent := int(v.sent.Load())
	v.await("everything is there", func() bool { return v.count("logs") >= 2*sent })
	time.Sleep(300 * time.Millisecond)
	if n := v.count("logs"); n != 2*sent { // what came twice has the same ids
		t.Errorf("%d records became %d documents, want two of each", sent, n)
	}
	t.Logf("%d records, %d written to the topic, of which %d twice", sent, v.written("out"), v.written("out")-2*sent)
	other.end()
}

func TestMistakesWithRoutesAreSaid(t *testing.T) {
	b := newKafkaBench(t, "t")
	dir := t.TempDir()
	run := func(hash, conf string, more ...string) string {
		t.Helper()
		file := filepath.Join(dir, "p.conf")
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := naru(t, []string{"NARU_ROUTE_HASH=" + hash}, append([]string{"logstash", "-f", file, "--route"}, more...)...)
		text, err := cmd.CombinedOutput()
		if code := codeOf(t, err); code != exitFailed {
			t.Errorf("exit status %d", code)
		}
		return string(text)
	}
	input := func(group, more string) string {
		return fmt.Sprintf(`kafka { bootstrap_servers => "%s" topics => ["t"] group_id => "%s" %s }`, b.brokers[0], group, more)
	}
	for want, got := range map[string]string{
		"set NARU_ROUTE_HASH":                       run("", `input { `+input("g", "")+` }`),
		"want up to 63 lower-case letters":          run("V 1", `input { `+input("g", "")+` }`),
		"no input is kafka":                         run("v1", `input { pipeline { address => "a" } }`),
		"the input tcp does not go with a route":    run("v1", `input { `+input("g", "")+` tcp { port => 9 } }`),
		"a route is of one consumer group":          run("v1", `input { `+input("g", "")+input("h", "")+` }`),
		"goes with cooperative-sticky":              run("v1", `input { `+input("g", `partition_assignment_strategy => "range"`)+` }`),
		"leaves it to the brokers":                  run("v1", `input { `+input("g", `group_protocol => "consumer"`)+` }`),
		"does not go with --kafka.transactional.id": run("v1", `input { `+input("g", "")+` }`, "--kafka.transactional.id", "x"),
		"say what is to change":                     second(b.naru(exitFailed, "route", "set", "g")),
		"say which topic is to carry it":            second(b.naru(exitFailed, "route", "set", "g", "--stable", "a")),
		"topic nowhere does not exist":              second(b.naru(exitFailed, "route", "set", "g", "--stable", "a", "--topic", "nowhere")),
		"no canary that could be promoted":          second(b.naru(exitFailed, "route", "set", "g", "--promote")),
		"--promote and --abort go alone":            second(b.naru(exitFailed, "route", "set", "g", "--promote", "--weight", "1")),
		"a weight of 101: want 0 to 100":            second(b.naru(exitFailed, "route", "set", "g", "--topic", "t", "--weight", "101")),
		"has no route: all members are alike":       first(b.naru(exitDifference, "route", "show", "g")),
		"the group has no members":                  first(b.naru(exitOK, "route", "set", "g", "--topic", "t", "--stable", "a")),
	} {
		if !strings.Contains(strings.Join(strings.Fields(got), " "), want) {
			t.Errorf("%q is not said: %s", want, got)
		}
	}
	b.naru(exitOK, "route", "clear", "g")
	b.naru(exitOK, "route", "clear", "never")
}

func first(a, _ string) string  { return a }
func second(_, b string) string { return b }
