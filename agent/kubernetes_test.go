package agent

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/format/filebeat"
)

const someID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestPathsOfLogsOfPods(t *testing.T) {
	for _, c := range []struct {
		path string
		want podPath
		ok   bool
	}{
		{"/var/log/containers/web-7d_shop_nginx-proxy-" + someID + ".log", podPath{pod: "web-7d", namespace: "shop", container: "nginx-proxy", id: someID}, true},
		{"/var/log/pods/shop_web-7d_aa-bb/nginx/3.log", podPath{pod: "web-7d", namespace: "shop", uid: "aa-bb", container: "nginx"}, true},
		{"/var/log/pods/shop_web-7d_aa-bb/nginx/3.log.20261124-100000", podPath{pod: "web-7d", namespace: "shop", uid: "aa-bb", container: "nginx"}, true},
		{"/var/lib/docker/containers/" + someID + "/" + someID + "-json.log", podPath{id: someID}, true},
		{"/var/log/containers/odd.log", podPath{}, false},
		{"/var/log/containers/a_b_c.log", podPath{}, false},
		{"/var/log/app.log", podPath{}, false}, {"", podPath{}, false}, {"/", podPath{}, false}, {"x.log", podPath{}, false},
	} {
		if got, ok := parsePodPath(c.path); got != c.want || ok != c.ok {
			t.Errorf("%s: %+v, %t; want %+v, %t", c.path, got, ok, c.want, c.ok)
		}
	}
}

func FuzzPathsOfLogs(f *testing.F) {
	f.Add("/var/log/containers/a_b_c-" + someID + ".log")
	f.Add("/var/log/pods/a_b_c/d/0.log")
	f.Fuzz(func(_ *testing.T, path string) { parsePodPath(path) })
}

const onePod = `{"metadata":{"name":"web-7d-x","namespace":"shop","uid":"u-1","labels":{"app.kubernetes.io/name":"web","pod-template-hash":"7d","secret":"x"},
"annotations":{"team":"a","other":"b"},"ownerReferences":[{"kind":"ReplicaSet","name":"web-7d","controller":true}]},
"spec":{"nodeName":"node-1"},"status":{"podIP":"10.0.0.9","containerStatuses":[{"name":"nginx","image":"nginx:1","containerID":"containerd://` + someID + `"}]}}`

func TestPodsAreDescribedByTheAPIServer(t *testing.T) {
	var asked int
	items, status := onePod, http.StatusOK
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Header.Get("Authorization") != "Bearer token-1" || r.URL.Query().Get("fieldSelector") != "spec.nodeName=node-1" {
			t.Errorf("asked %s with %s", r.URL, r.Header.Get("Authorization"))
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"items":[%s]}`, items)
	}))
	defer api.Close()
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
	for name, text := range map[string]string{"ca.crt": string(ca), "token": "token-1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Unix(10_000, 0)}
	variables := map[string]string{"KUBERNETES_SERVICE_HOST": u.Hostname(), "KUBERNETES_SERVICE_PORT": u.Port()}
	env := &environment{now: c.now, log: discardLog(), name: "box", account: dir, lookup: func(n string) (string, bool) { v, ok := variables[n]; return v, ok }}
	d := filebeat.NewDocument(nil)
	s := d.Section(d.Read("x", []byte("{node: node-1, exclude_labels: [secret], include_annotations: [team]}")), "")
	add := addKubernetes(s, env)
	describe := func(path string) string {
		t.Helper()
		e := &Event{}
		e.Put("log.file.path", path)
		if !add(e) {
			t.Error("the event is dropped")
		}
		out, err := e.AppendJSON(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	path := "/var/log/containers/web-7d-x_shop_nginx-" + someID + ".log"
	got := describe(path)
	for _, want := range []string{
		`"labels":{"app_kubernetes_io/name":"web","pod-template-hash":"7d"}`, `"annotations":{"team":"a"}`, `"deployment":{"name":"web"}`, `"replicaset":{"name":"web-7d"}`,
		`"node":{"name":"node-1"}`, `"namespace":"shop"`, `"pod":{"name":"web-7d-x","uid":"u-1","ip":"10.0.0.9"}`, `"image":{"name":"nginx:1"}`, `"runtime":"containerd"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	if describe(path); asked != 1 {
		t.Errorf("asked %d times for the same pod", asked)
	}
	other := "/var/log/containers/api_shop_go-" + strings.ReplaceAll(someID, "0", "1") + ".log"
	for range 10 {
		if got := describe(other); !strings.Contains(got, `"pod":{"name":"api"}`) {
			t.Errorf("what the path says is missing: %s", got)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times within two seconds", asked)
	}
	c.t = c.t.Add(3 * time.Second)
	if describe(other); asked != 2 {
		t.Errorf("a pod that is not known is not asked for: %d", asked)
	}
	// The pod is gone, and what is left of its log is still read; then the API server is away.
	items = strings.ReplaceAll(strings.ReplaceAll(onePod, "u-1", "u-2"), someID, strings.ReplaceAll(someID, "0", "2"))
	c.t = c.t.Add(time.Minute)
	if got := describe(path); !strings.Contains(got, "u-1") {
		t.Errorf("a pod that is gone is forgotten at once: %s", got)
	}
	status = http.StatusForbidden
	c.t = c.t.Add(time.Minute)
	if got := describe(path); !strings.Contains(got, "u-1") {
		t.Errorf("pods are forgotten when the API server is away: %s", got)
	}
}

func TestFilesOfTheFileOutputAreRotatedAndFewAreKept(t *testing.T) {
	dir := t.TempDir()
	open := func(fresh bool) *fileSink {
		return &fileSink{o: Files{Dir: dir, Name: "beat", Bytes: 10, Keep: 3, Mode: 0o600}, now: func() time.Time { return time.Unix(0, 0) }, fresh: fresh}
	}
	s := open(true)
	for range 12 {
		if err := s.Write(t.Context(), someRecords("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = open(false)
	all, err := s.mine()
	if got := strings.Join(all, " "); err != nil || got != "beat-19700101-9.ndjson beat-19700101-10.ndjson beat-19700101-11.ndjson" {
		t.Errorf("%s, %v", got, err)
	}
}
