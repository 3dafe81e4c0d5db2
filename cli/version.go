package cli

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionReport struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a tree with changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersionCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:      "version",
		short:    "say which naru this is",
		long:     "Prints the version, the revision it was built from, and the Go and platform it was\nbuilt with and for.",
		examples: []example{{"naru version -o json", "for a bug report"}},
		exits:    []exit{{exitOK, "printed"}},
	})
	cmd.Args = exactArgs()
	output := outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		v := thisVersion()
		return c.print(output, v, func(w io.Writer, _ int) error {
			_, err := fmt.Fprintf(w, "naru %s (%s, %s)\n", v.Version, v.Go, v.Platform)
			return err
		})
	}
	return cmd
}

// thisVersion says which naru this is.
func thisVersion() versionReport {
	v := versionReport{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "(devel)" {
		v.Version = cmp.Or(info.Main.Version, v.Version)
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
