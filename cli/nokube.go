//go:build nokube

package cli

import (
	"errors"

	"github.com/spf13/cobra"
)

// newOperatorCommand says what is missing from a naru that was built to be small.
func newOperatorCommand(*common) *cobra.Command {
	cmd := newCommand(page{
		use:   "operator",
		short: "run flows, migrations and environments that Kubernetes has: not in this naru",
		long:  "This naru was built with the tag nokube, without the operator and the plugin of Argo Rollouts.",
		exits: []exit{{exitFailed, "always"}},
	})
	cmd.RunE = func(*cobra.Command, []string) error {
		return errors.New("this naru was built without the operator (the tag nokube); take one that was not")
	}
	return cmd
}
