package testbed

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// argoPatience is how long a build of all that internal/testbed/argo has may take: an hour on a machine with one slow core.
const argoPatience = time.Hour

// CanBuildArgo reports whether the named programs of internal/testbed/argo/build.sh (all, if none is named) are built, or can be on
// this machine, and what is missing if not.
func CanBuildArgo(tb testing.TB, names ...string) (ok bool, missing string) {
	tb.Helper()
	return checkArgo(tb, "1", names)
}

// HasArgo reports whether they are built already, and which are not.
func HasArgo(tb testing.TB, names ...string) (ok bool, missing string) {
	tb.Helper()
	return checkArgo(tb, "built", names)
}

func checkArgo(tb testing.TB, how string, names []string) (ok bool, missing string) {
	tb.Helper()
	check := exec.CommandContext(tb.Context(), argoScript(tb), names...)
	check.Env = append(os.Environ(), "CHECK="+how, "NARU_CACHE="+Cache(tb))
	out, err := check.CombinedOutput()
	if err != nil {
		return false, fmt.Sprintf("%s(%v)", out, err)
	}
	return true, ""
}

// ArgoPrograms builds the named programs (all, if none is named), if they are not there yet, and gives the folder that they are in.
func ArgoPrograms(tb testing.TB, names ...string) (dir string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), argoPatience)
	defer cancel()
	build := exec.CommandContext(ctx, argoScript(tb), names...)
	build.Env = append(os.Environ(), "NARU_CACHE="+Cache(tb))
	var stdout, stderr bytes.Buffer
	build.Stdout, build.Stderr = &stdout, &stderr
	if err := build.Run(); err != nil {
		tb.Fatalf("build %s: %v\n%s", strings.Join(names, " "), err, tail(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String())
}

func argoScript(tb testing.TB) string {
	return filepath.Join(Root(tb), "internal", "testbed", "argo", "build.sh")
}
