package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newCompletionCommand(c *common) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	cmd := newCommand(page{
		use:   "completion SHELL",
		short: "print completions for a shell",
		long:  "Prints a script that teaches bash, zsh, fish or powershell to complete naru's commands\nand flags.",
		examples: []example{
			{"source <(naru completion bash)", "in this shell"},
			{"naru completion zsh > \"${fpath[1]}/_naru\"", "in every zsh"},
		},
		exits: []exit{{exitOK, "printed"}, {exitFailed, "there are no completions for that shell"}},
	})
	cmd.ValidArgs = shells
	cmd.Args = exactArgs("SHELL")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root := cmd.Root()
		switch args[0] {
		case "bash":
			return root.GenBashCompletionV2(c.Stdout, true)
		case "zsh":
			return root.GenZshCompletion(c.Stdout)
		case "fish":
			return root.GenFishCompletion(c.Stdout, true)
		case "powershell":
			return root.GenPowerShellCompletionWithDesc(c.Stdout)
		}
		return fmt.Errorf("no completions for %q; there are some for %s", args[0], strings.Join(shells, ", "))
	}
	return cmd
}
