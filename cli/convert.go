package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/convert"
)

// converting is what naru convert was asked for.
type converting struct {
	*common
	options convert.Options
	from    string
	access  accessFlags
	kafka   kafkaFlags
	kinds   []string
	to      string
	env     string
	estate  string
	replace bool
}

func newConvertCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "convert [FILE|DIR]...",
		short: "turn a cluster, Terraform's state or the OpenSearch operator's resources into declared files",
		long: `Writes what others declare, or what a cluster has, as files for naru plan: one for each
object, below DIR/base (--to). It reads
  - Terraform's state: terraform.tfstate, or what terraform show -json prints, of the
    providers opensearch, elasticsearch, elasticstack, kafka and confluent;
  - manifests of the configuration kinds that the OpenSearch operator gives up
    (OpensearchRole, OpenSearchISMPolicy and so on), of files, directories, or what
    kubectl get -o yaml prints;
  - a live cluster (--from), and Kafka beside it (--brokers).
Without --to nothing is written: what would be is listed. What has no home, or means
something else now, is said. What Terraform calls sensitive is never written. At the end
it says how those who had the objects let go of them without deleting any.`,
		examples: []example{
			{"naru convert --from https://node-1:9200 --to estate -e prod && naru plan -f estate -e prod", "an inherited cluster becomes Git"},
			{"terraform show -json | naru convert - --to estate -e prod", "from Terraform"},
			{"kubectl get opensearchroles,opensearchindextemplates -A -o yaml | naru convert -", "what would come of the operator's resources"},
			{"naru convert terraform.tfstate --from https://node-1:9200 --kind roles --to estate", "the state's objects, and the cluster's roles"},
		},
		exits: []exit{
			{exitOK, "all is converted"},
			{exitFailed, "an input has mistakes, or a file is there already and differs; nothing is written"},
			{exitPartial, "done, but something has no home, or lost something; it is listed"},
			{exitInterrupted, "interrupted"},
		},
	})
	v := converting{common: c}
	v.access.add(cmd)
	output := outputFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&v.from, "from", "", "what the cluster at `URL` has; several nodes with commas between")
	flags.StringSliceVar(&v.kafka.brokers, "brokers", nil, "with --from: also what Kafka has, at `BROKERS` kafka-1:9092,kafka-2:9092")
	flags.StringVar(&v.kafka.config, "kafka-config", "", "with --from: also what Kafka has; YAML `FILE` with brokers, tls and sasl")
	flags.StringSliceVar(&v.kinds, "kind", nil, "of a live cluster only objects of `KIND`: roles, index-templates; repeatable")
	flags.StringVar(&v.to, "to", "", "write below `DIR`; without it nothing is written")
	flags.StringVarP(&v.env, "env", "e", "", "write also DIR/overlays/`ENV`/env.yaml, if there is none")
	flags.StringVar(&v.estate, "estate", "", "the `NAME` of who owns the objects, for that env.yaml; without it the environment's")
	flags.StringVar(&v.options.Cluster, "cluster", "", "of manifests, those for the OpenSearchCluster `NAME` or NAMESPACE/NAME")
	flags.StringSliceVar(&v.options.Allow, "allow", nil, "the resource of Terraform at `ADDRESS`, a pattern, is no secret though it is sensitive; repeatable")
	flags.BoolVar(&v.replace, "replace", false, "replace files that are there and differ")
	complete(cmd, "kind", kindTexts()...)
	if err := cmd.MarkFlagDirname("to"); err != nil {
		panic("BUG: " + err.Error())
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		result, err := v.convert(cmd.Context(), args)
		if err != nil {
			return err
		}
		written, err := v.write(cmd.Context(), result)
		if err != nil {
			return err
		}
		if err := c.print(output, result, func(w io.Writer, width int) error { return writeConverted(w, width, result) }); err != nil {
			return err
		}
		v.tell(result, written)
		if !result.Complete() {
			return &exitError{code: exitPartial}
		}
		return nil
	}
	return cmd
}

func kindTexts() []string {
	out := make([]string, len(estate.Kinds))
	for i, k := range estate.Kinds {
		out[i] = string(k)
	}
	return out
}

// convert reads all inputs.
func (v *converting) convert(ctx context.Context, args []string) (*convert.Result, error) {
	live := v.from != ""
	switch {
	case len(args) == 0 && !live:
		return nil, errors.New("what is to be converted? name files or directories, - for standard input, or a live cluster by --from URL")
	case !live && (len(v.kinds) > 0 || len(v.kafka.brokers) > 0 || v.kafka.config != ""):
		return nil, errors.New("--kind, --brokers and --kafka-config are for a live cluster (--from)")
	case v.to == "" && (v.env != "" || v.replace):
		return nil, errors.New("-e and --replace are for files that are written (--to)")
	}
	kinds, err := v.wanted()
	if err != nil {
		return nil, err
	}
	batch := convert.Batch{Options: v.options}
	for _, arg := range args {
		if err := v.read(&batch, arg); err != nil {
			return nil, err
		}
	}
	if live {
		if err := v.ask(ctx, &batch, kinds); err != nil {
			return nil, err
		}
	}
	return batch.Result()
}

func (v *converting) wanted() ([]estate.Kind, error) {
	var out []estate.Kind
	for _, name := range v.kinds {
		if !slices.Contains(estate.Kinds, estate.Kind(name)) {
			return nil, fmt.Errorf("--kind %s: the kinds are %s", name, strings.Join(kindTexts(), ", "))
		}
		out = append(out, estate.Kind(name))
	}
	return out, nil
}

// read gives the batch a file, standard input, or what a directory has of YAML, JSON and states.
func (v *converting) read(b *convert.Batch, arg string) error {
	if arg == "-" {
		data, err := io.ReadAll(io.LimitReader(v.Stdin, convert.LargestFile+1))
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		b.Read("standard input", data)
		return nil
	}
	var names []string
	err := filepath.WalkDir(arg, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != arg && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir // .git, .terraform
		case d.IsDir(), name != arg && !slices.Contains([]string{".yaml", ".yml", ".json", ".tfstate"}, filepath.Ext(name)):
		default:
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(f, convert.LargestFile+1))
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		b.Read(name, data)
	}
	if len(names) == 0 {
		return fmt.Errorf("%s has no file that ends in .yaml, .yml, .json or .tfstate", arg)
	}
	return nil
}

// ask takes what is live.
func (v *converting) ask(ctx context.Context, b *convert.Batch, kinds []estate.Kind) error {
	to := v.access.to(v.from)
	client, err := (opensearch.Target{URLs: to.URLs, Auth: to.Auth, TLS: to.TLS}).Connect(ctx, v.Getenv)
	if err != nil {
		return err
	}
	target := &estate.Target{Search: client}
	defer target.Close()
	if len(v.kafka.brokers) > 0 || v.kafka.config != "" {
		if target.Kafka, err = v.kafka.admin(ctx, v.common); err != nil {
			return err
		}
	}
	return b.Live(ctx, target, client.String(), kinds...)
}

// write writes the files, and reads them as naru plan does. It gives how many were written.
func (v *converting) write(ctx context.Context, r *convert.Result) (int, error) {
	if v.to == "" {
		return 0, nil
	}
	files, err := r.Files("base")
	if err != nil {
		return 0, err
	}
	if v.env != "" {
		at := path.Join("overlays", v.env, "env.yaml")
		if _, err := os.Stat(filepath.Join(v.to, filepath.FromSlash(at))); errors.Is(err, fs.ErrNotExist) {
			env, err := v.environment()
			if err != nil {
				return 0, err
			}
			files = append(files, env)
		}
	}
	n, err := convert.Write(v.to, files, v.replace)
	if errors.Is(err, convert.ErrOther) {
		return n, fmt.Errorf("nothing is written; --replace replaces them:\n%w", err)
	}
	if err != nil || v.env == "" {
		return n, err
	}
	if _, err := estate.Read(ctx, v.to, v.env, v.Getenv); err != nil {
		return n, fmt.Errorf("the files are written, and cannot be read as an environment:\n%w", err)
	}
	return n, nil
}

// environment is a first env.yaml.
func (v *converting) environment() (convert.File, error) {
	e := convert.Env{Name: v.env, Estate: v.estate, URLs: []string{"https://localhost:9200"}}
	if v.from != "" {
		e.URLs = v.access.to(v.from).URLs
		e.TLS = v.access.tls
	}
	if len(v.kafka.brokers) > 0 {
		e.Brokers = v.kafka.brokers
	}
	return e.File()
}

// tell says on standard error what was done, and what is next.
func (v *converting) tell(r *convert.Result, written int) {
	if v.to == "" {
		fmt.Fprintf(v.Stderr, "%s objects; nothing is written without --to DIR\n", count(int64(len(r.Objects))))
		return
	}
	fmt.Fprintf(v.Stderr, "%d files written below %s\n", written, v.to)
	if v.env != "" && v.from == "" && written > 0 {
		fmt.Fprintf(v.Stderr, "next: put the cluster's address into %s, then naru plan -f %s -e %s\n", filepath.Join(v.to, "overlays", v.env, "env.yaml"), v.to, v.env)
	}
}
