//go:build unix

package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// FilebeatRuns gives an error if a Filebeat still runs whose registry is at a path: what it has read would change meanwhile.
func FilebeatRuns(registry string) error {
	for _, below := range []string{"", "..", filepath.Join("..", "..")} {
		f, err := os.Open(filepath.Join(registry, below, "filebeat.lock"))
		if err != nil {
			continue
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) //nolint:gosec // a descriptor
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("a Filebeat runs with the registry in %s: stop it first: %w", registry, err)
		}
	}
	return nil
}
