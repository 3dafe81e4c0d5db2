package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/narudata/naru/internal/filelock"
)

// FilebeatRuns gives an error if a Filebeat still runs whose registry is at a path: what it has read would change meanwhile.
// Where the system has no file locks that is not known.
func FilebeatRuns(registry string) error {
	for _, below := range []string{"", "..", filepath.Join("..", "..")} {
		f, err := os.Open(filepath.Join(registry, below, "filebeat.lock"))
		if err != nil {
			continue
		}
		if err = filelock.Shared(f); errors.Is(err, errors.ErrUnsupported) {
			err = nil
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("a Filebeat runs with the registry in %s: stop it first: %w", registry, err)
		}
	}
	return nil
}
