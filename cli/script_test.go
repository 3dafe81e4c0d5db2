package cli

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/narudata/naru/internal/testbed"
)

var update = flag.Bool("update", false, "write what commands print into the scripts and goldens that compare it")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"naru": func() { os.Exit(Main(context.Background(), slowed(Process()), os.Args[1:])) },
	})
}

func TestScripts(t *testing.T) {
	repositories := testbed.Fixture(t, "os29")
	old := testbed.Fixture(t, "es56")
	seven, eight := testbed.Fixture(t, "es717"), testbed.Fixture(t, "es8")
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("REPO", filepath.Join(repositories, "main"))
			e.Setenv("REPOS", repositories)
			e.Setenv("OLD", filepath.Join(old, "main"))
			e.Setenv("SEVEN", filepath.Join(seven, "main"))
			e.Setenv("EIGHT", filepath.Join(eight, "main"))
			e.Setenv("NO_COLOR", "1")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":    exits,
			"tidy":     tidy,
			"files":    files,
			"damage":   damage,
			"flip":     flip,
			"blob":     blobOf,
			"unpack":   unpack,
			"envsubst": envsubst,
		},
	})
}

// exits runs naru and checks its exit status: exits 4 carry FROM TO.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits STATUS ARGS…")
	}
	err := ts.Exec("naru", args[1:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("naru %s: exit status %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

var (
	times = regexp.MustCompile(`in [0-9.]+s \([0-9,]+ documents/s\)`)
	took  = regexp.MustCompile(`in [0-9.]+s\.`)
	step  = regexp.MustCompile(`(?m) +[0-9.]+ (?:ns|µs|ms|s)$`)
	steps = regexp.MustCompile(`(?m) +TOOK$`)
	now   = regexp.MustCompile(`"[0-9T:-]+\.[0-9]{6,9}Z"`)
	fast  = regexp.MustCompile(`"(seconds|documents_per_second)": [0-9.e-]+`)
)

// tidy writes stdout or stderr, without what differs from run to run, to a file: tidy stdout FILE.
func tidy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tidy stdout|stderr FILE")
	}
	text := ts.ReadFile(args[0])
	text = times.ReplaceAllString(text, "in TIME (RATE documents/s)")
	text = took.ReplaceAllString(text, "in TIME.")
	text = step.ReplaceAllString(text, "  TIME")
	text = steps.ReplaceAllString(text, "  TOOK")
	text = now.ReplaceAllString(text, `"NOW"`)
	text = fast.ReplaceAllString(text, `"$1": N`)
	for _, name := range []string{"REPOS", "OLD", "SEVEN", "EIGHT", "WORK"} {
		text = strings.ReplaceAll(text, ts.Getenv(name), "$"+name)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// files prints the names under a folder: files FOLDER FILE.
func files(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: files FOLDER FILE")
	}
	var b strings.Builder
	root := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, path)
			b.WriteString(rel + "\n")
		}
		return err
	}))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// envsubst replaces $REPO and the like in a file: envsubst FILE.
func envsubst(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: envsubst FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}
