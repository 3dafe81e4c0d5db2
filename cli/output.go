package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/internal/words"
)

// outputFlag adds -o to cmd.
func outputFlag(cmd *cobra.Command) *choice {
	c := &choice{value: "table", of: []string{"table", "json", "yaml"}}
	cmd.Flags().VarP(c, "output", "o", "print the result as `FORMAT` table, json or yaml")
	complete(cmd, "output", c.of...)
	return c
}

// complete lets shells complete the values of a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic("BUG: " + err.Error())
	}
}

// print writes result as format asks, for a table by calling text.
func (env Env) print(format *choice, result any, text func(w io.Writer, width int) error) error {
	switch format.value {
	case "json":
		e := json.NewEncoder(env.Stdout)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(result)
	case "yaml":
		out, err := yaml.Marshal(result)
		if err != nil {
			return err
		}
		_, err = env.Stdout.Write(out)
		return err
	}
	return text(env.Stdout, env.columns(env.Stdout))
}

// count writes n with a comma between thousands.
func count(n int64) string { return words.Number(n) }

// short writes n in at most six columns: 950, 12.3k, 148.7M.
func short(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	const units = "kMGTPE"
	v, u := float64(n), -1
	for v >= 999.95 && u < len(units)-1 {
		v /= 1000
		u++
	}
	return fmt.Sprintf("%.1f%c", v, units[u])
}

// plural writes "1 part", "2 parts".
func plural(n int64, one string) string { return words.Count(n, one) }

// size writes n bytes in decimal units.
func size(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, u := float64(n), -1
	for v >= 999.5 && u < len(units)-1 {
		v /= 1000
		u++
	}
	if v < 9.995 {
		return fmt.Sprintf("%.1f %cB", v, units[u])
	}
	return fmt.Sprintf("%.0f %cB", v, units[u])
}

// rate writes n things in d as "12,345 documents/s".
func rate(n int64, d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64(float64(n) / d.Seconds())
}

// elapsed writes a duration as people say it: 0.4s, 12s, 3m05s, 2h07m.
func elapsed(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
