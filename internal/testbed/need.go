// Package testbed gives tests the real thing: snapshot repositories that real servers wrote, with what those
// servers themselves said is in them, and real Elasticsearch and OpenSearch nodes, started without Docker.
package testbed

import (
	"os"
	"path/filepath"
	"testing"
)

// Need is the one rule for tests that need something of the machine: without it they are skipped, with why as the
// reason; in CI (CI=true in the environment) that is a failure, so that nothing goes untested in silence.
func Need(tb testing.TB, ok bool, why string) {
	tb.Helper()
	switch {
	case ok:
	case os.Getenv("CI") == "true":
		tb.Fatalf("cannot run here, and must in CI: %s", why)
	default:
		tb.Skip(why)
	}
}

// Root is the project's folder: the one with go.mod, from the test's own upward.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			tb.Fatal("no go.mod above the working directory: testbed finds the project's files by it")
		}
		dir = parent
	}
}

// Cache is where what was unpacked, downloaded or built is kept: .cache of the project, or NARU_CACHE.
func Cache(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("NARU_CACHE"); dir != "" {
		return dir
	}
	return filepath.Join(Root(tb), ".cache")
}
