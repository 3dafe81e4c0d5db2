package estate

import (
	"context"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"time"
)

// A Commit is what Git says of the declared directory. Its zero value: it is in no repository, or there is no git.
type Commit struct {
	ID      string `json:"id,omitempty"`
	Subject string `json:"subject,omitempty"`
	Author  string `json:"author,omitempty"`
	Dirty   bool   `json:"dirty,omitempty"` // there are changes that are not in it
}

// Short is how people write it.
func (c Commit) Short() string {
	if c.ID == "" {
		return ""
	}
	s := c.ID[:min(len(c.ID), 10)]
	if c.Dirty {
		s += "+"
	}
	return s
}

func commitOf(ctx context.Context, dir string) Commit {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	git := func(args ...string) (string, bool) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output() //nolint:gosec // a folder that the user named
		return strings.TrimSpace(string(out)), err == nil
	}
	line, ok := git("log", "-1", "--format=%H%x00%an%x00%s")
	if !ok {
		return Commit{}
	}
	parts := strings.SplitN(line, "\x00", 3)
	if len(parts) != 3 {
		return Commit{}
	}
	c := Commit{ID: parts[0], Author: parts[1], Subject: parts[2]}
	status, ok := git("status", "--porcelain", "--", ".")
	c.Dirty = ok && status != ""
	return c
}

// Who names the user of this process and its machine, for records.
func Who() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
