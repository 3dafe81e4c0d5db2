package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// installed is what naru install has done.
type installed struct {
	Path    string `json:"path"`
	Bytes   int64  `json:"bytes"`
	Version string `json:"version"`
}

func newInstallCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "install FOLDER",
		short: "copy this program into a folder, from an image that has no cp",
		long: `Copies this program into a folder that is there, as naru, in place of one that may be
there. Whoever starts it meanwhile gets the old one or the new one, and never a half.

It is for init containers: naru's image has no shell and no cp, and the controller of Argo
Rollouts starts its plugins from a file of its own pod (deploy/rollouts).`,
		examples: []example{{"naru install /plugins", "in an init container: /plugins/naru"}},
		exits:    []exit{{exitOK, "it is there"}, {exitFailed, "it could not be read or written"}},
	})
	cmd.Args = exactArgs("FOLDER")
	output := outputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		done, err := install(self, args[0])
		if err != nil {
			return err
		}
		return c.print(output, done, func(w io.Writer, _ int) error {
			_, err := fmt.Fprintf(w, "installed %s (naru %s, %d bytes)\n", done.Path, done.Version, done.Bytes)
			return err
		})
	}
	return cmd
}

// install copies the program at self into a folder, as naru.
func install(self, folder string) (done installed, err error) {
	done = installed{Path: filepath.Join(folder, "naru"), Version: thisVersion().Version}
	from, err := os.Open(self)
	if err != nil {
		return done, fmt.Errorf("read this program: %w", err)
	}
	defer func() { _ = from.Close() }() // it was only read
	to, err := os.CreateTemp(folder, ".naru-*")
	if errors.Is(err, fs.ErrNotExist) {
		return done, fmt.Errorf("install into %s: there is no such folder: make it, or mount a volume there", folder)
	}
	if err != nil {
		return done, fmt.Errorf("install into %s: %w", folder, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(to.Name()) // what is half there is of no use
		}
	}()
	done.Bytes, err = io.Copy(to, from)
	if err == nil {
		err = to.Chmod(0o755)
	}
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err == nil {
		err = os.Rename(to.Name(), done.Path)
	}
	if err != nil {
		return done, fmt.Errorf("install into %s: %w", folder, err)
	}
	return done, nil
}
