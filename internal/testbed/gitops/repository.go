package gitops

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Repository is a bare Git repository in a folder, with the branch main, and a checkout of it to commit in.
type Repository struct {
	URL string // file://…, which Argo CD reads from

	work, home string
}

// NewRepository makes one, with nothing in it.
func NewRepository(tb testing.TB) *Repository {
	tb.Helper()
	dir := tb.TempDir()
	bare := filepath.Join(dir, "estate.git")
	r := &Repository{URL: "file://" + bare, work: filepath.Join(dir, "work"), home: dir}
	r.git(tb, dir, "init", "-q", "--bare", "-b", "main", bare)
	r.git(tb, dir, "init", "-q", "-b", "main", r.work)
	r.git(tb, r.work, "remote", "add", "origin", bare)
	return r
}

// Commit writes files by their paths ("" as the text takes one away), commits them and pushes; it gives the commit's hash.
func (r *Repository) Commit(tb testing.TB, message string, files map[string]string) string {
	tb.Helper()
	for path, text := range files {
		full := filepath.Join(r.work, filepath.FromSlash(path))
		if text == "" {
			if err := os.Remove(full); err != nil {
				tb.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	r.git(tb, r.work, "add", "-A")
	r.git(tb, r.work, "commit", "-q", "-m", message)
	return r.push(tb)
}

// Revert undoes the last commit by another one, and pushes it.
func (r *Repository) Revert(tb testing.TB) string {
	tb.Helper()
	r.git(tb, r.work, "revert", "--no-edit", "HEAD")
	return r.push(tb)
}

// Copy copies a folder into the repository, beside what is there; Commit commits it.
func (r *Repository) Copy(tb testing.TB, from, to string) {
	tb.Helper()
	if err := os.CopyFS(filepath.Join(r.work, filepath.FromSlash(to)), os.DirFS(from)); err != nil {
		tb.Fatal(err)
	}
}

func (r *Repository) push(tb testing.TB) string {
	tb.Helper()
	r.git(tb, r.work, "push", "-q", "origin", "main")
	return strings.TrimSpace(r.git(tb, r.work, "rev-parse", "HEAD"))
}

func (r *Repository) git(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+r.home, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a test", "GIT_AUTHOR_EMAIL=test@example.com", "GIT_COMMITTER_NAME=a test", "GIT_COMMITTER_EMAIL=test@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
