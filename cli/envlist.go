package cli

import (
	"context"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/clone"
)

// listPatience is how long a cluster may take to say which clones it has.
const listPatience = 5 * time.Second

func newEnvListCommand(c *common) *cobra.Command {
	cmd := newCommand(page{
		use:   "ls",
		short: "list the environments of a directory, and the clones in them",
		long: `Reads each environment and says where it is and how much it declares, and asks its
cluster for the clones that it has (naru env clone) and until when they are meant to live.
A cluster that cannot be asked within five seconds is said so; --offline asks none.`,
		examples: []example{
			{"naru env ls -f estate", "the environments"},
			{"naru env ls -f estate --offline", "what the directory says alone"},
		},
		exits: []exit{{exitOK, "all of them can be read"}, {exitFailed, "one of them has mistakes"}},
	})
	cmd.Args = exactArgs()
	var f estateFlags
	cmd.Flags().StringVarP(&f.dir, "dir", "f", "", "the declared environments are in `DIR`: base/ and overlays/ENV/")
	output := outputFlag(cmd)
	var offline bool
	cmd.Flags().BoolVar(&offline, "offline", false, "ask no cluster for clones")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.dir == "" {
			return errNoDir
		}
		names, err := estate.Environments(f.dir)
		if err != nil {
			return err
		}
		list := make([]listedEnvironment, len(names))
		for i, name := range names {
			d, err := estate.Read(cmd.Context(), f.dir, name, c.Getenv)
			if err != nil {
				return err
			}
			list[i] = listedEnvironment{Name: name, Estate: d.Estate, URLs: d.Target.URLs, Objects: len(d.Objects)}
		}
		if !offline {
			var wg sync.WaitGroup
			for i := range list {
				wg.Go(func() { list[i].ask(cmd.Context(), c, f.dir) })
			}
			wg.Wait()
		}
		return c.print(output, list, func(w io.Writer, width int) error { return writeEnvironments(w, width, list, offline, time.Now()) })
	}
	return cmd
}

// listedEnvironment is an environment in a list.
type listedEnvironment struct {
	Name    string        `json:"name"`
	Estate  string        `json:"estate"`
	URLs    []string      `json:"urls"`
	Objects int           `json:"objects"`
	Clones  []listedClone `json:"clones,omitempty"`
	Error   string        `json:"error,omitempty"` // why it is not known which clones there are
}

// listedClone is a clone in a list.
type listedClone struct {
	Of    string    `json:"of"`
	Began time.Time `json:"began"`
	Done  time.Time `json:"done,omitzero"` // none: it is under way, or was cut short
	TTL   string    `json:"ttl,omitempty"`
	Until time.Time `json:"until,omitzero"` // none: it stays
}

// ask has the environment's cluster say which clones it has.
func (e *listedEnvironment) ask(ctx context.Context, c *common, dir string) {
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	side, err := c.sideOf(ctx, dir, e.Name)
	if err != nil {
		e.Error = err.Error()
		return
	}
	defer side.Close()
	records, err := clone.Records(ctx, side)
	if err != nil {
		e.Error = err.Error()
		return
	}
	for _, r := range records {
		e.Clones = append(e.Clones, listedClone{r.Of, r.Began, r.Done, r.TTL, r.Until})
	}
}

func writeEnvironments(w io.Writer, width int, list []listedEnvironment, offline bool, now time.Time) error {
	t := table{columns: []column{
		{title: "ENVIRONMENT", shrink: true}, {title: "ESTATE", shrink: true}, {title: "OBJECTS", right: true}, {title: "CLUSTER", shrink: true}, {title: "CLONE OF", shrink: true},
		{title: "TTL"}, {title: "UNTIL (UTC)"}, {title: "STATE"},
	}}
	if offline {
		t.columns = t.columns[:4]
	}
	for i := range list {
		e := &list[i]
		row := []string{printable(e.Name), printable(e.Estate), count(int64(e.Objects)), printable(strings.Join(e.URLs, ", "))}
		switch {
		case offline:
			t.row(row...)
			continue
		case e.Error != "":
			t.row(append(row, "", "", "", "cannot be asked")...)
			continue
		case len(e.Clones) == 0:
			t.row(append(row, "", "", "", "")...)
			continue
		}
		for i := range e.Clones {
			t.row(append(row, e.Clones[i].cells(now)...)...)
			row = []string{"", "", "", ""}
		}
	}
	if err := t.write(w, width); err != nil {
		return err
	}
	for i := range list {
		if e := &list[i]; e.Error != "" {
			wrap(w, "note: ", printable(e.Name+" cannot be asked which clones it has: "+e.Error), proseWidth(width))
		}
	}
	return nil
}

func (x *listedClone) cells(now time.Time) []string {
	state := "complete"
	if x.Done.IsZero() {
		state = "not complete"
	}
	if x.Until.IsZero() {
		return []string{printable(x.Of), "none", "", state}
	}
	if left := x.Until.Sub(now); left <= 0 {
		state += ", its time is over: naru env expire"
	} else {
		state += ", " + remaining(left) + " left"
	}
	return []string{printable(x.Of), ttlText(x.TTL), x.Until.UTC().Format("2006-01-02 15:04"), state}
}

// ttlText is a time to live as it was given: in days if it is whole days.
func ttlText(ttl string) string {
	d, err := time.ParseDuration(ttl)
	if err != nil {
		return printable(ttl)
	}
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if d%time.Minute == 0 {
		text = strings.TrimSuffix(text, "0s")
	}
	if d%time.Hour == 0 {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// remaining is a time in its largest unit of which there are two.
func remaining(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return plural(int64(d/day), "day")
	case d >= 2*time.Hour:
		return plural(int64(d/time.Hour), "hour")
	}
	return plural(max(1, int64(d/time.Minute)), "minute")
}
