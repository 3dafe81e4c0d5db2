package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/estate/bridge"
)

func newBridgeCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "bridge [OUTPUTS]",
		short: "carry what Terraform knows to Argo CD's cluster secret, and back (GitOps Bridge)",
		long: `Reads what ` + "`terraform output -json`" + ` prints, from a file or from standard input, and
prints the secret that Argo CD keeps a cluster in: with labels (environment,
cluster_name, enable_*) and annotations (addons_repo_url, opensearch_url, kafka_brokers
and the like), from which ApplicationSets install, and which an Environment reads its
values from. Apply it with kubectl apply --server-side. A mapping says which output is
called what (naru bridge mapping prints it). Outputs that are sensitive, or look like
secrets, are refused.`,
		examples: []example{
			{"terraform output -json | naru bridge | kubectl apply --server-side --field-manager=naru-bridge -f -", "from Terraform into the cluster"},
			{"naru bridge outputs.json --set environment=prod --enable naru", "with what Terraform does not know"},
			{"kubectl get secret -n argocd prod-1 -o yaml | naru bridge outputs.json --diff -", "what would change?"},
			{"naru bridge outputs.json --metadata-only", "only labels and annotations: another keeps the connection"},
		},
		exits: []exit{
			{exitOK, "the secret is printed; with --diff: nothing would change"},
			{exitFailed, "an output is refused, a value does not fit, or something is missing; standard error says which"},
			{exitDifference, "with --diff: something would change"},
		},
	})
	var f bridgeFlags
	f.add(cmd)
	var choices bridge.Choices
	var options bridge.SecretOptions
	var config, diff string
	output := outputFlag(cmd)
	flags := cmd.Flags()
	sets := setFlag(cmd)
	flags.StringSliceVar(&choices.Enable, "enable", nil, "the label enable_`NAME`, true; repeatable")
	flags.StringSliceVar(&choices.Allow, "allow", nil, "write the `OUTPUT` though it is sensitive or looks like a secret; repeatable")
	flags.StringVar(&options.Name, "name", "", "the secret's `NAME`; without it the cluster's")
	flags.StringVarP(&options.Namespace, "namespace", "n", "argocd", "the secret's `NAMESPACE`, Argo CD's")
	flags.StringVar(&options.Server, "server", bridge.InCluster, "`URL` of the cluster's API server; without it the cluster that Argo CD runs in")
	flags.StringVar(&config, "config", "", "`FILE` with Argo CD's configuration of the connection, JSON; without it that of another cluster is left as it is")
	flags.BoolVar(&options.MetadataOnly, "metadata-only", false, "print labels and annotations only; another writes the secret's data")
	flags.StringVar(&diff, "diff", "", "say what would change in the secret in `FILE`, - for standard input, as kubectl get -o yaml prints it")
	cmd.Args = atMostOne("OUTPUTS")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 && diff == "-" {
			return errors.New("standard input is both the outputs and the secret of --diff; name a file for one of them")
		}
		m, err := f.mapping()
		if err != nil {
			return err
		}
		if choices.Set, err = sets(); err != nil {
			return err
		}
		values, left, err := c.outputs(m, args, choices)
		if err != nil {
			return err
		}
		if config != "" {
			if options.Config, err = os.ReadFile(config); err != nil {
				return err
			}
		}
		secret, err := bridge.NewSecret(values, options)
		if err != nil {
			return err
		}
		c.tellLeftOut(left)
		if diff != "" {
			return c.bridgeDiff(output, diff, secret)
		}
		if output.value == "json" {
			return errors.New("-o json is for --diff; the secret is printed as YAML, which kubectl reads")
		}
		if server := string(secret.Data["server"]); secret.Data != nil && secret.Data["config"] == nil {
			fmt.Fprintf(c.Stderr, "note: how Argo CD logs in to %s is not written (--config), and stays as it is\n", printable(server))
		}
		_, err = c.Stdout.Write(secret.YAML())
		return err
	}
	cmd.AddCommand(newBridgeCheckCommand(c), newBridgeReadCommand(c), newBridgeMappingCommand(c))
	return cmd
}

// bridgeFlags are those of all commands of the bridge.
type bridgeFlags struct{ file string }

func (f *bridgeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "mapping", "", "a YAML `FILE` that is laid over the default mapping, name by name")
}

func (f *bridgeFlags) mapping() (*bridge.Mapping, error) {
	if f.file == "" {
		return bridge.Default(), nil
	}
	data, err := os.ReadFile(f.file)
	if err != nil {
		return nil, err
	}
	return bridge.ParseMapping(f.file, data)
}

// setFlag adds --set, whose texts may have commas, quotes and equals signs.
func setFlag(cmd *cobra.Command) func() (map[string]string, error) {
	var sets []string
	cmd.Flags().StringArrayVar(&sets, "set", nil, "`NAME=TEXT`: a value beside the outputs, or in their place; repeatable")
	return func() (map[string]string, error) {
		out := map[string]string{}
		for _, set := range sets {
			name, text, ok := strings.Cut(set, "=")
			if _, twice := out[name]; !ok || name == "" || twice {
				return nil, fmt.Errorf("--set %s: want NAME=TEXT, each name once", set)
			}
			out[name] = text
		}
		return out, nil
	}
}

// atMostOne checks that there is at most one argument; without one, or with -, standard input is read.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return exactArgs(name)(cmd, args)
		}
		return nil
	}
}

// input reads the file that is the argument, or standard input.
func (c *common) input(args []string) (name string, data []byte, err error) {
	if len(args) == 0 || args[0] == "-" {
		data, err = io.ReadAll(io.LimitReader(c.Stdin, bridge.LargestFile+1))
		return "standard input", data, err
	}
	f, err := os.Open(args[0])
	if err != nil {
		return args[0], nil, err
	}
	data, err = io.ReadAll(io.LimitReader(f, bridge.LargestFile+1))
	return args[0], data, errors.Join(err, f.Close())
}

func (c *common) outputs(m *bridge.Mapping, args []string, choices bridge.Choices) (bridge.Values, []bridge.LeftOut, error) {
	name, data, err := c.input(args)
	if err != nil {
		return nil, nil, err
	}
	outputs, err := bridge.ReadOutputs(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return m.Values(outputs, choices)
}

func (c *common) tellLeftOut(left []bridge.LeftOut) {
	for _, l := range left {
		fmt.Fprintf(c.Stderr, "note: the output %s is left out: %s\n", printable(l.Output), l.Why)
	}
}

func (c *common) bridgeDiff(output *choice, file string, want *bridge.Secret) error {
	current, err := c.secret([]string{file})
	if err != nil {
		return err
	}
	if current.Name != want.Name || current.Namespace != want.Namespace {
		return fmt.Errorf("%s is the secret %s/%s, and the outputs are those of %s/%s (--name, --namespace)", file, current.Namespace, current.Name, want.Namespace, want.Name)
	}
	changes, err := bridge.Diff(current, want)
	if err != nil {
		return err
	}
	result := bridgeChanges{want.Namespace + "/" + want.Name, changes}
	if err := c.print(output, result, result.write); err != nil {
		return err
	}
	if len(changes) > 0 {
		return &exitError{code: exitDifference}
	}
	return nil
}

type bridgeChanges struct {
	Secret  string          `json:"secret"`
	Changes []bridge.Change `json:"changes"`
}

func (b bridgeChanges) write(w io.Writer, _ int) error {
	if len(b.Changes) == 0 {
		_, err := fmt.Fprintf(w, "Nothing would change in %s.\n", printable(b.Secret))
		return err
	}
	for _, c := range b.Changes {
		sign := "~"
		switch {
		case c.Was == nil:
			sign = "+"
		case c.Is == nil:
			sign = "-"
		}
		if c.Key == bridge.RecordAnnotation {
			fmt.Fprintf(w, "%s %s %s (how the values are read back)\n", sign, c.Place, c.Key)
			continue
		}
		fmt.Fprintf(w, "%s %s %s\n", sign, c.Place, printable(c.Key))
		if c.Was != nil {
			fmt.Fprintf(w, "    was  %s\n", printable(*c.Was))
		}
		if c.Is != nil {
			fmt.Fprintf(w, "    is   %s\n", printable(*c.Is))
		}
	}
	_, err := fmt.Fprintf(w, "\n%s in %s.\n", plural(int64(len(b.Changes)), "change"), printable(b.Secret))
	return err
}

// secret reads a secret of a file, or of standard input.
func (c *common) secret(args []string) (*bridge.Secret, error) {
	name, data, err := c.input(args)
	if err != nil {
		return nil, err
	}
	return bridge.ParseSecret(name, data)
}

func newBridgeReadCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "read [SECRET]",
		short: "print the values that a cluster secret has",
		long: `Reads a cluster secret, as kubectl get secret -o yaml prints it, and prints its values by
name, with the types that they had as outputs. -o env prints them as the variables of an
environment's env.yaml, where ${name} stands for them.`,
		examples: []example{
			{"kubectl get secret -n argocd prod-1 -o yaml | naru bridge read", "what is known there"},
			{"naru bridge read secret.yaml -o env", "as the variables of an environment's env.yaml"},
			{"naru bridge read secret.yaml -o json | jq -r '.kafka_brokers[]'", "for a script"},
		},
		exits: []exit{{exitOK, "printed"}, {exitFailed, "it is no cluster secret, or somebody broke a value"}},
	})
	var f bridgeFlags
	f.add(cmd)
	output := &choice{value: "table", of: []string{"table", "json", "yaml", "env"}}
	cmd.Flags().VarP(output, "output", "o", "print the values as `FORMAT` table, json, yaml or env")
	complete(cmd, "output", output.of...)
	cmd.Args = atMostOne("SECRET")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		m, err := f.mapping()
		if err != nil {
			return err
		}
		secret, err := c.secret(args)
		if err != nil {
			return err
		}
		values, err := m.Read(secret)
		if err != nil {
			return err
		}
		switch output.value {
		case "yaml":
			_, err = c.Stdout.Write(values.YAML())
			return err
		case "env":
			out, err := values.EnvironmentYAML()
			if err != nil {
				return err
			}
			_, err = c.Stdout.Write(out)
			return err
		}
		return c.print(output, values.Map(), func(w io.Writer, width int) error { return writeValues(w, width, values) })
	}
	return cmd
}

func writeValues(w io.Writer, width int, values bridge.Values) error {
	t := table{columns: []column{{title: "NAME"}, {title: "TYPE"}, {title: "IN", shrink: true}, {title: "VALUE", shrink: true}}}
	for _, v := range values {
		in := "annotation " + v.Annotation
		if v.Annotation == "" {
			in = "label " + v.Label
		} else if v.Label != "" {
			in += ", label " + v.Label
		}
		t.row(printable(v.Name), string(v.Type), printable(in), printable(cut(v.Text(), 200)))
	}
	return t.write(w, width)
}

func newBridgeCheckCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "check [FILE]",
		short: "say what ApplicationSets, an environment and flows need, and what is missing",
		long: `Reads a cluster secret, or what ` + "`terraform output -json`" + ` prints, and holds it against what
is needed of it: by ApplicationSets, by an environment, by flows (--for), as the mapping
says, and by the files of an environment (--estate DIR -e NAME), where ${name} needs a
value that their env.yaml does not give.`,
		examples: []example{
			{"terraform output -json | naru bridge check", "is all there?"},
			{"naru bridge check secret.yaml --for environment --estate . -e prod", "for the files of an environment"},
		},
		exits: []exit{
			{exitOK, "nothing is missing"}, {exitFailed, "the file cannot be read, or an output is refused"},
			{exitDifference, "something is missing; standard error names it"},
		},
	})
	var f bridgeFlags
	f.add(cmd)
	output := outputFlag(cmd)
	var choices bridge.Choices
	var purposes []string
	var dir, environment string
	flags := cmd.Flags()
	flags.StringSliceVar(&purposes, "for", []string{"applicationsets", "environment", "flows"}, "what is needed for `WHAT` applicationsets, environment or flows; none: for the files only")
	complete(cmd, "for", "applicationsets", "environment", "flows", "none")
	flags.StringVar(&dir, "estate", "", "also what the files of an environment in `DIR` need")
	flags.StringVarP(&environment, "environment", "e", "", "the environment's `NAME`; without it the value of environment")
	sets := setFlag(cmd)
	flags.StringSliceVar(&choices.Allow, "allow", nil, "the `OUTPUT` is no secret; repeatable")
	cmd.Args = atMostOne("FILE")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		m, err := f.mapping()
		if err != nil {
			return err
		}
		if choices.Set, err = sets(); err != nil {
			return err
		}
		values, err := c.valuesOf(m, args, choices)
		if err != nil {
			return err
		}
		which, err := purposesOf(purposes)
		if err != nil {
			return err
		}
		var references []bridge.Reference
		if dir != "" {
			if v, ok := values.Get("environment"); ok && environment == "" {
				environment = v.Text()
			}
			if environment == "" {
				return errors.New("which environment? there is no value of that name; give -e NAME")
			}
			if references, err = bridge.References(dir, environment); err != nil {
				return err
			}
		}
		needs := m.Needs(values, which, references)
		if err := c.print(output, needs, func(w io.Writer, width int) error { return writeNeeds(w, width, values, needs) }); err != nil {
			return err
		}
		if err := bridge.Missing(needs); err != nil {
			return &exitError{exitDifference, err}
		}
		return nil
	}
	return cmd
}

func purposesOf(names []string) ([]bridge.Purpose, error) {
	var out []bridge.Purpose
	for _, n := range names {
		switch p := bridge.Purpose(n); p {
		case bridge.ForApplicationSets, bridge.ForEnvironment, bridge.ForFlows:
			out = append(out, p)
		case "none":
		default:
			return nil, fmt.Errorf("--for %s: want applicationsets, environment, flows or none", n)
		}
	}
	return out, nil
}

// valuesOf reads the values of a secret or of outputs.
func (c *common) valuesOf(m *bridge.Mapping, args []string, choices bridge.Choices) (bridge.Values, error) {
	name, data, err := c.input(args)
	if err != nil {
		return nil, err
	}
	if !bridge.IsManifest(data) {
		outputs, err := bridge.ReadOutputs(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values, left, err := m.Values(outputs, choices)
		c.tellLeftOut(left)
		return values, err
	}
	if len(choices.Set)+len(choices.Allow) > 0 {
		return nil, fmt.Errorf("--set and --allow are for outputs, and %s is a secret", name)
	}
	secret, err := bridge.ParseSecret(name, data)
	if err != nil {
		return nil, err
	}
	return m.Read(secret)
}

func writeNeeds(w io.Writer, width int, values bridge.Values, needs []bridge.Need) error {
	t := table{columns: []column{{title: "NAME"}, {title: "NEEDED BY", shrink: true}, {title: "VALUE", shrink: true}}}
	for _, n := range needs {
		text := strings.ToUpper(n.Missing)
		if v, ok := values.Get(n.Name); ok && n.Missing == "" {
			text = printable(cut(v.Text(), 200))
		}
		t.row(printable(n.Name), printable(someNames(n.By, 3)), text)
	}
	return t.write(w, width)
}

func newBridgeMappingCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "mapping",
		short: "print the default mapping",
		long: `Prints which outputs have which name, label and annotation by default, and who needs them,
with comments that say what a mapping may have. A file of one's own (--mapping of the
other commands) needs only what is different: a name's keys are laid over the default's
one by one, and null takes a name away.`,
		examples: []example{{"naru bridge mapping > mapping.yaml", "as a file to start from"}},
		exits:    []exit{{exitOK, "printed"}},
	})
	cmd.Args = exactArgs()
	cmd.RunE = func(_ *cobra.Command, _ []string) error {
		_, err := c.Stdout.Write(bridge.DefaultText())
		return err
	}
	return cmd
}
