package cli

import (
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/logstash/witness"
	"github.com/narudata/naru/migrate/compare"
)

// askedBytes bounds what a process is asked for.
const askedBytes = 64 << 20

func newKafkaRouteDiffCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "diff GROUP --pipeline URL...",
		short: "say how what a canary in shadow makes differs from the stable version",
		long: `Compares what outputs that cannot be read back (kafka, http, s3, file, tcp, stdout) have
made of the same records: the stable version's, and those of the canary in shadow, which
writes nothing. While a canary reads in shadow, processes of both keep the newest ones in
memory, and tell them by their API. Give the APIs of all processes of both versions; the
group says which records both have delivered. What the output is (@output.name), and where
it writes (@output.to, @output.key), is compared, too. For documents in OpenSearch:
naru diff.`,
		examples: []example{
			{"naru kafka route diff web --pipeline http://10.0.0.4:9600 --pipeline http://10.0.0.5:9600", "v1 here, v2 there"},
			{"naru kafka route diff web --pipeline http://10.0.0.4:9600,http://10.0.0.5:9600 --ignore @timestamp -o markdown", "for a merge request"},
		},
		exits: diffExits,
	})
	cmd.Args = exactArgs("GROUP")
	f := &diffFlags{timeField: "@timestamp", pairedBy: "record and output"}
	f.kafka.add(cmd)
	f.addCommon(cmd)
	f.progress.value = "none"
	flags := cmd.Flags()
	pipelines := flags.StringSlice("pipeline", nil, "the `URL` of the API of a naru logstash of the group; repeatable. Its password is in NARU_API_USERNAME and NARU_API_PASSWORD")
	ca := flags.String("api-ca-file", "", "trust the authorities in `FILE` (PEM) to vouch for the APIs")
	records := flags.Int64("records", 10_000, "compare the newest `N` records at most")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(*pipelines) < 2 {
			return errors.New("give the APIs of both versions: --pipeline URL,URL")
		}
		if *records < 1 {
			return fmt.Errorf("--records %d: want 1 or more", *records)
		}
		o, err := f.options()
		if err != nil {
			return err
		}
		ctx, group := cmd.Context(), args[0]
		admin, err := f.kafka.admin(ctx, c)
		if err != nil {
			return err
		}
		defer admin.Close()
		route, err := admin.Route(ctx, group)
		if err != nil {
			return err
		}
		if !route.Compares() || route.Stable == "" {
			return fmt.Errorf("no canary of group %s reads in shadow: naru kafka route set %[1]s --canary VERSION --mirror", group)
		}
		delivered, err := admin.ShadowSpan(ctx, group, route.Canary, math.MaxInt64) // before what was made is asked for: it was made before
		if err != nil {
			return err
		}
		by := map[string][]*witness.Report{}
		for _, at := range *pipelines {
			client, err := (&apiFlags{url: at, caFile: *ca}).client(c)
			if err != nil {
				return err
			}
			req, err := witness.NewRequest(ctx, client.base.String(), client.username, client.password)
			if err != nil {
				return err
			}
			r, err := witness.Ask(client.http, req, askedBytes)
			if err != nil {
				return err
			}
			by[r.Hash] = append(by[r.Hash], r)
		}
		switch {
		case len(by[route.Stable]) == 0:
			return fmt.Errorf("none of the pipelines is the stable version %s", route.Stable)
		case len(by[route.Canary]) == 0:
			return fmt.Errorf("none of the pipelines is the canary %s", route.Canary)
		}
		made := witness.Pair(by[route.Stable], by[route.Canary], delivered, *records)
		if made.Records == 0 {
			return errors.New("there is no record yet of which processes of both versions tell what they made: try again in some seconds")
		}
		if len(made.A) == 0 && len(made.B) == 0 {
			return fmt.Errorf("no output but those of OpenSearch has made anything of %s: compare documents by naru diff", plural(made.Records, "record"))
		}
		return c.showDiff(ctx, f, o, [2]compare.Source{made.A, made.B}, route.Stable, route.Canary)
	}
	return cmd
}
