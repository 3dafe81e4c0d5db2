package cli

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/narudata/naru/internal/filelock"
	"github.com/narudata/naru/logstash"
)

// heldFolders are the folders path.data of a process, locked until it ends: two processes with one of them would both read what is
// queued there, and forget each other's positions.
type heldFolders map[string]func() error

// take locks the folders of pipelines. The folder that nobody has named is locked only for pipelines that keep something in it:
// what only filters standard input may run many times.
func (h heldFolders) take(pipelines []logstashPipeline, compiled []*logstash.Pipeline) error {
	for i, p := range pipelines {
		if p.data == "" && !compiled[i].Keeps() {
			continue
		}
		dir, err := filepath.Abs(cmp.Or(p.data, logstash.StateDir()))
		if err != nil {
			return err
		}
		if h[dir] != nil {
			continue
		}
		if h[dir], err = filelock.Folder(dir); err != nil {
			delete(h, dir)
			return fmt.Errorf("path.data: %w", err)
		}
	}
	return nil
}

// release lets all of them go.
func (h heldFolders) release() error {
	var all []error
	for dir, unlock := range h {
		delete(h, dir)
		all = append(all, unlock())
	}
	return errors.Join(all...)
}
