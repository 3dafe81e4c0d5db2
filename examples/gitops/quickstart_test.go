//go:build argo

package gitops_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/internal/testbed"
	"github.com/narudata/naru/internal/testbed/cluster"
	"github.com/narudata/naru/internal/testbed/gitops"
)

// A playground is what the quick start is played on: Kubernetes with Argo CD, a Git repository with this folder in it, and stand-ins
// in the process for OpenSearch, with the APIs of its plugins, and Kafka.
type playground struct {
	dir string
	env []string // for a shell: NAME=VALUE
}

func newPlayground(t *testing.T) *playground {
	t.Helper()
	gitops.Need(t)
	for _, program := range []string{"kubectl", "terraform", "git", "curl"} {
		_, err := exec.LookPath(program)
		testbed.Need(t, err == nil, program+" is not there")
	}
	p := &playground{dir: t.TempDir()}
	binary := filepath.Join(p.dir, "bin", "naru")
	if given := os.Getenv("NARU_TEST_BINARY"); given != "" {
		if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(given, binary); err != nil {
			t.Fatal(err)
		}
	} else if out, err := exec.CommandContext(t.Context(), "go", "build", "-C", "../..", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build naru: %v\n%s", err, out)
	}
	search := osfake.Start(t, osfake.Options{Plugins: []string{osfake.IndexManagement, osfake.Security}})
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)

	kube := cluster.StartKube(t, cluster.KubeOptions{Images: map[string]string{"proc/naru": binary}})
	crds, err := filepath.Glob("../../deploy/charts/naru-crds/templates/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kube.ApplyFiles(t, "default", crds...)
	gitops.StartArgo(t, kube, gitops.Options{Settings: health(t)})

	repository := gitops.NewRepository(t)
	repository.Copy(t, ".", "examples/gitops")
	repository.Copy(t, "../../deploy/terraform", "deploy/terraform")
	tests, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	without := map[string]string{}
	for _, name := range tests {
		without["examples/gitops/"+name] = ""
	}
	root, err := os.ReadFile("root.yaml")
	if err != nil {
		t.Fatal(err)
	}
	without["examples/gitops/root.yaml"] = strings.ReplaceAll(string(root), "https://git.example/estate.git", repository.URL)
	repository.Commit(t, "the example", without)
	clone := filepath.Join(p.dir, "estate")
	if out, err := exec.CommandContext(t.Context(), "git", "clone", "-q", repository.URL, clone).CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	p.env = []string{
		"KUBECONFIG=" + kube.Kubeconfig(), "PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH"), "REPOSITORY=" + repository.URL, "ESTATE=" + clone,
		"OPENSEARCH_URL=" + search.URL(), "KAFKA_BROKER=" + kafka.ListenAddrs()[0],
		"GIT_AUTHOR_NAME=you", "GIT_AUTHOR_EMAIL=you@example.com", "GIT_COMMITTER_NAME=you", "GIT_COMMITTER_EMAIL=you@example.com",
	}
	return p
}

// TestArgoTheQuickStartIsTrue runs the commands of docs/gitops-quickstart.md, one block after the other, as a reader does.
func TestArgoTheQuickStartIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../docs/gitops-quickstart.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 6 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	p := newPlayground(t)
	// One shell runs them all, as a reader's does: what one sets, the next has.
	var script strings.Builder
	script.WriteString("set -eo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n")
	for i, b := range blocks {
		if strings.Contains(b[1], "make quickstart") {
			continue
		}
		fmt.Fprintf(&script, "echo '--- block %d' >&2\n%s", i+1, b[1])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script.String())
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), p.env...)
	var out bytes.Buffer
	both := io.MultiWriter(&out, t.Output())
	cmd.Stdout, cmd.Stderr = both, both
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range regexp.MustCompile(`(?m)^# → (.*)$`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(out.String(), want[1]) {
			t.Errorf("the commands did not print %q", want[1])
		}
	}
}

// TestQuickstart keeps the playground until it is interrupted: make quickstart.
func TestQuickstart(t *testing.T) {
	if os.Getenv("QUICKSTART") == "" {
		t.Skip("make quickstart runs it")
	}
	p := newPlayground(t)
	file := filepath.Join(os.TempDir(), "naru-quickstart.env")
	var lines strings.Builder
	for _, e := range p.env {
		name, value, _ := strings.Cut(e, "=")
		fmt.Fprintf(&lines, "export %s='%s'\n", name, value)
	}
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	fmt.Printf("\nIt runs. In another terminal:\n\n    source %s\n\nand docs/gitops-quickstart.md from its step 1 on. Ctrl-C ends all of it.\n", file)
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	<-ctx.Done()
}
