package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/connect/kafka"
)

func newKafkaRouteCommand(c *common) *cobra.Command {
	return parent(newCommand(page{
		use:   "route",
		short: "share a consumer group between two versions of a pipeline",
		long: `A route says which version of a pipeline has which part of its consumer group: the canary
has a share of the partitions, or reads everything in shadow, the stable version has the
rest. The route stands in Kafka, beside the group's offsets, and pipelines that run with
naru logstash --route follow it within a second or two, without a restart. Versions are
told by NARU_ROUTE_HASH. On Kubernetes, Argo Rollouts sets the route by naru's plugin
(docs/canary.md); these commands are for doing it by hand.`,
		examples: []example{
			{"naru kafka route set web --topic access --stable v1 --canary v2 --mirror", "v2 reads in shadow"},
			{"naru kafka route set web --weight 25", "v2 has a quarter of the partitions"},
			{"naru kafka route show web", "who has what"},
			{"naru kafka route set web --promote", "v2 is the stable version"},
		},
		exits: []exit{{exitOK, "done"}, {exitFailed, "it did not work; standard error says why"}},
	}), newKafkaRouteShowCommand(c), newKafkaRouteSetCommand(c), newKafkaRouteDiffCommand(c), newKafkaRouteClearCommand(c))
}

func newKafkaRouteShowCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "show GROUP",
		short: "show a route, and who has what",
		long: `Shows the route of a consumer group, its members with their versions, and whether the
group is divided as the route says.`,
		examples: []example{{"naru kafka route show web --brokers kafka-1:9092", "who has what"}},
		exits: []exit{
			{exitOK, "the group is divided as the route says"}, {exitFailed, "the cluster cannot be asked"},
			{exitDifference, "not yet, or there is no route"},
		},
	})
	var f kafkaFlags
	f.add(cmd)
	output := outputFlag(cmd)
	cmd.Args = exactArgs("GROUP")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		admin, err := f.admin(cmd.Context(), c)
		if err != nil {
			return err
		}
		defer admin.Close()
		s, err := admin.RouteStatus(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if err := c.print(output, s, func(w io.Writer, width int) error { return writeRoute(w, width, s) }); err != nil {
			return err
		}
		if s.Route == nil || !s.Settled {
			return &exitError{code: exitDifference}
		}
		return nil
	}
	return cmd
}

func newKafkaRouteSetCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "set GROUP",
		short: "change a route",
		long: `Changes what is given, and leaves the rest as it is. Another canary begins without a
weight and without a mirror. --mirror has the canary read everything in shadow, by a
group of its own, from where the stable version is now; a weight ends that. --promote
makes the canary the stable version, --abort takes all partitions from it. The topic
carries the route; it is needed the first time only.`,
		examples: []example{
			{"naru kafka route set web --topic access --stable v1", "the first time"},
			{"naru kafka route set web --canary v2 --mirror --wait 1m", "v2 reads in shadow"},
			{"naru kafka route set web --weight 25 --wait 1m", "a quarter, and wait until it has it"},
			{"naru kafka route set web --abort", "v1 has everything again"},
		},
		exits: []exit{{exitOK, "set; with --wait, the group is divided so"}, {exitFailed, "it cannot be set"}, {exitDifference, "set, and the group is not divided so in time"}},
	})
	var f kafkaFlags
	f.add(cmd)
	output := outputFlag(cmd)
	flags := cmd.Flags()
	topic := flags.String("topic", "", "the `TOPIC` that carries the route: one that the group reads")
	stable := flags.String("stable", "", "the stable `VERSION`")
	canary := flags.String("canary", "", "the canary's `VERSION`")
	weight := flags.Int("weight", 0, "the canary's share of the partitions in `PERCENT`")
	mirror := flags.Bool("mirror", false, "the canary reads everything in shadow; --mirror=false ends that")
	promote := flags.Bool("promote", false, "make the canary the stable version")
	abort := flags.Bool("abort", false, "take everything from the canary")
	wait := flags.Duration("wait", 0, "wait up to `TIME` until the group is divided so")
	cmd.MarkFlagsMutuallyExclusive("promote", "abort")
	cmd.Args = exactArgs("GROUP")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given := flags.Changed
		switch {
		case !given("stable") && !given("canary") && !given("weight") && !given("mirror") && !*promote && !*abort:
			return errors.New("say what is to change: --stable, --canary, --weight, --mirror, --promote or --abort")
		case (*promote || *abort) && (given("stable") || given("canary") || given("weight") || given("mirror")):
			return errors.New("--promote and --abort go alone")
		}
		ctx := cmd.Context()
		admin, err := f.admin(ctx, c)
		if err != nil {
			return err
		}
		defer admin.Close()
		if *topic != "" {
			if err := admin.HasTopic(ctx, *topic); err != nil {
				return err
			}
		}
		if *promote {
			if r, err := admin.Route(ctx, args[0]); err != nil {
				return err
			} else if r == nil || r.Canary == "" {
				return fmt.Errorf("group %s has no canary that could be promoted", args[0])
			}
		}
		_, err = admin.SetRoute(ctx, args[0], *topic, func(r *kafka.Route) {
			if given("stable") {
				r.Stable = *stable
			}
			if given("canary") && r.Canary != *canary {
				r.Canary, r.Weight, r.Mirror = *canary, 0, false
				r.Ended = false
			}
			if given("weight") {
				r.Weight = *weight
			}
			if given("mirror") {
				r.Mirror = *mirror
			}
			switch {
			case *promote:
				*r = kafka.Route{Version: r.Version, Stable: r.Canary}
			case *abort:
				r.Weight, r.Mirror, r.Ended = 0, false, r.Canary != ""
			case r.Weight > 0 || r.Mirror:
				r.Ended = false
			}
		})
		if err != nil {
			return err
		}
		s, err := settledRoute(ctx, admin, args[0], *wait)
		if err != nil {
			return err
		}
		if err := c.print(output, s, func(w io.Writer, width int) error { return writeRoute(w, width, s) }); err != nil {
			return err
		}
		if *wait > 0 && !s.Settled {
			return &exitError{code: exitDifference}
		}
		return nil
	}
	return cmd
}

// settledRoute waits until a group is divided as its route says.
func settledRoute(ctx context.Context, admin *kafka.Admin, group string, wait time.Duration) (*kafka.RouteStatus, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(wait); ; {
		s, err := admin.RouteStatus(ctx, group)
		if err != nil || s.Settled || time.Now().After(end) {
			return s, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s, context.Cause(ctx)
		}
	}
}

func newKafkaRouteClearCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "clear GROUP",
		short: "let all members of a group read alike",
		long: `Takes the route away: all members share the partitions, whatever their version. A group
without a route is a usual consumer group.`,
		examples: []example{{"naru kafka route clear web --brokers kafka-1:9092", "no canary, no stable version"}},
		exits:    []exit{{exitOK, "cleared, or there was none"}, {exitFailed, "it cannot be cleared"}},
	})
	var f kafkaFlags
	f.add(cmd)
	cmd.Args = exactArgs("GROUP")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		admin, err := f.admin(cmd.Context(), c)
		if err != nil {
			return err
		}
		defer admin.Close()
		return admin.ClearRoute(cmd.Context(), args[0])
	}
	return cmd
}

func writeRoute(w io.Writer, width int, s *kafka.RouteStatus) error {
	r := s.Route
	switch {
	case r == nil || r.Stable == "" && r.Canary == "":
		fmt.Fprintf(w, "Group %s has no route: all members are alike.\n", printable(s.Group))
	default:
		state := s.State
		if len(s.Members) == 0 {
			state = "no members"
		}
		fmt.Fprintf(w, "Group    %s (%s), carried by topic %s\n", printable(s.Group), state, printable(s.Topic))
		fmt.Fprintf(w, "Stable   %s  %s\n", orDash(r.Stable), partitionsOf(s.Stable, s.Partitions))
		if r.Canary != "" && r.Canary != r.Stable {
			how := partitionsOf(s.Canary, s.Partitions) + fmt.Sprintf(", weight %d %%", r.Weight)
			if r.Role(r.Canary) == kafka.RouteShadow {
				how = "in shadow: " + plural(int64(s.Shadow), "member") + " of " + printable(kafka.ShadowGroup(s.Group, r.Canary))
			}
			if r.Ended {
				how += ", given up"
			}
			fmt.Fprintf(w, "Canary   %s  %s\n", r.Canary, how)
		}
		fmt.Fprintf(w, "Since    %s\n", r.At.Local().Format(time.DateTime))
	}
	if s.Why != "" {
		fmt.Fprintf(w, "Not yet  %s\n", printable(s.Why))
	}
	if len(s.Members) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := table{columns: []column{
		{title: "VERSION"}, {title: "ROLE"}, {title: "PARTS", right: true}, {title: "CLIENT ID", shrink: true}, {title: "HOST"}, {title: "MEMBER", shrink: true},
	}}
	for _, m := range s.Members {
		t.row(orDash(m.Hash), string(m.Role), count(int64(m.Partitions)), printable(m.ClientID), printable(m.Host), printable(m.ID))
	}
	return t.write(w, width)
}

func partitionsOf(n, all int) string {
	return fmt.Sprintf("%d of %s", n, plural(int64(all), "partition"))
}
