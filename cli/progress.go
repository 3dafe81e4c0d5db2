package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/narudata/naru/flow"
)

func progressChoice() choice {
	return choice{value: "auto", of: []string{"auto", "bar", "line", "json", "none"}}
}

const (
	lineInterval = 10 * time.Second
	barInterval  = 200 * time.Millisecond
	slots        = 8 // indices with a bar of their own, at most
)

// A watch shows a flow's progress on standard error until it is stopped.
type watch struct {
	// Writer is where messages go meanwhile: above the bars, if there are any.
	io.Writer
	stop func()
}

// watch starts to show what snapshot gives, the way mode says.
func (c *common) watch(ctx context.Context, snapshot func() flow.Snapshot, mode string) watch {
	return c.watchHeld(ctx, snapshot, func() string { return "" }, mode)
}

// watchHeld is watch, and shows also why nothing is written for now, if held gives a reason.
func (c *common) watchHeld(ctx context.Context, snapshot func() flow.Snapshot, held func() string, mode string) watch {
	if mode == "auto" {
		mode = "line"
		if c.Columns(c.Stderr) > 0 && c.Getenv("TERM") != "dumb" {
			mode = "bar"
		}
	}
	switch mode {
	case "bar":
		return c.watchBars(ctx, snapshot, held)
	case "line":
		return every(ctx, c.Stderr, lineInterval, false, func() {
			if line := progressLine(snapshot(), held(), time.Now()); line != "" {
				fmt.Fprintln(c.Stderr, line)
			}
		})
	case "json":
		e := json.NewEncoder(c.Stderr)
		return every(ctx, c.Stderr, lineInterval, true, func() {
			_ = e.Encode(progressEvent{time.Now().UTC(), held(), snapshot()})
		})
	}
	return watch{c.Stderr, func() {}}
}

// A progressEvent is a line of --progress json.
type progressEvent struct {
	Time time.Time `json:"time"`
	Held string    `json:"held,omitempty"` // why nothing is written for now
	flow.Snapshot
}

// every calls show at intervals, and a last time when it is stopped if the last state matters.
func every(ctx context.Context, w io.Writer, interval time.Duration, last bool, show func()) watch {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(interval)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				show()
			case <-ctx.Done():
				if last {
					show()
				}
				return
			}
		}
	})
	return watch{w, func() {
		cancel()
		wg.Wait()
	}}
}

// progressLine is one line about the whole flow; "" as long as there is nothing to say.
func progressLine(s flow.Snapshot, held string, now time.Time) string {
	if s.Started.IsZero() {
		return ""
	}
	done := 0
	for _, g := range s.Groups {
		if finished(&g) {
			done++
		}
	}
	t := &s.Total
	var b strings.Builder
	fmt.Fprintf(&b, "%s documents", count(t.Records))
	if t.ExpectedRecords > 0 {
		fmt.Fprintf(&b, " of %s (%d%%)", count(t.ExpectedRecords), percent(t.Records, t.ExpectedRecords))
	}
	fmt.Fprintf(&b, ", %d of %s done", done, plural(int64(len(s.Groups)), "index"))
	if r := rate(t.Records-t.EarlierRecords, now.Sub(s.Started)); r > 0 {
		fmt.Fprintf(&b, ", %s documents/s", count(r))
	}
	if left := left(t, now.Sub(s.Started)); left > 0 && held == "" {
		fmt.Fprintf(&b, ", %s left", elapsed(left))
	}
	if t.Dead > 0 {
		fmt.Fprintf(&b, ", %s dead letters", count(t.Dead))
	}
	if t.Failed > 0 {
		fmt.Fprintf(&b, ", %s failed", plural(t.Failed, "part"))
	}
	if held != "" {
		b.WriteString(", waiting: " + held)
	}
	return b.String()
}

// finished reports that a group is done with, or at least that all its documents have been read: its parts count
// as done only once they are saved.
func finished(g *flow.GroupProgress) bool {
	switch {
	case g.ExpectedRecords >= 0 && g.Records >= g.ExpectedRecords:
		return true
	case g.Parts == 0:
		return false
	}
	return g.Failed > 0 && g.Done+g.Failed+g.Taken >= g.Parts
}

func percent(n, of int64) int64 {
	if of <= 0 {
		return 100
	}
	return min(100, n*100/of)
}

// left is how long the rest takes if it goes on as this run went so far; 0: not known.
func left(g *flow.GroupProgress, spent time.Duration) time.Duration {
	done, all, earlier := g.Bytes, g.ExpectedBytes, g.EarlierBytes
	if all <= 0 || done-earlier <= 0 {
		done, all, earlier = g.Records, g.ExpectedRecords, g.EarlierRecords
	}
	if all <= done || done-earlier <= 0 || spent < time.Second {
		return 0
	}
	return time.Duration(float64(spent) * float64(all-done) / float64(done-earlier)).Round(time.Second)
}

// watchBars draws bars: one for each of a few indices that are being carried, and one for all.
func (c *common) watchBars(ctx context.Context, snapshot func() flow.Snapshot, held func() string) watch {
	width := max(c.columns(c.Stderr), 40)
	pool := mpb.NewWithContext(ctx, mpb.WithOutput(c.Stderr), mpb.WithWidth(width-1), mpb.WithAutoRefresh(), mpb.WithRefreshRate(barInterval))
	b := &bars{pool: pool, width: width}
	b.total = b.bar(slots, func() string { return "total" }, func() (flow.GroupProgress, time.Time) { return b.all.Total, b.all.Started })
	waiting := waiting{w: aboveBars{pool, c.Stderr}}
	w := every(ctx, pool, barInterval, true, func() {
		b.show(snapshot())
		waiting.tell(held(), time.Now())
	})
	return watch{aboveBars{pool, c.Stderr}, func() {
		w.stop()
		for _, s := range b.slots {
			s.bar.Abort(true)
		}
		b.total.Abort(true)
		pool.Wait()
	}}
}

// waiting says above the bars why nothing is written for now. Reasons come and go, as a heap fills and is emptied: so it
// says one at intervals only.
type waiting struct {
	w    io.Writer
	why  string
	said time.Time
}

func (x *waiting) tell(why string, now time.Time) {
	if why == "" || why == x.why && now.Sub(x.said) < 10*time.Minute || now.Sub(x.said) < time.Minute {
		return
	}
	x.why, x.said = why, now
	fmt.Fprintf(x.w, "waiting: %s\n", why)
}

// aboveBars writes above the bars, and plainly once they are gone.
type aboveBars struct {
	pool *mpb.Progress
	w    io.Writer
}

func (a aboveBars) Write(p []byte) (int, error) {
	if n, err := a.pool.Write(p); err == nil {
		return n, nil
	}
	return a.w.Write(p)
}

type bars struct {
	pool  *mpb.Progress
	width int
	total *mpb.Bar

	mu    sync.Mutex // guards all and the slots' group: mpb's goroutine reads them
	all   flow.Snapshot
	slots []*slot
}

// A slot is a line with the bar of one index, then of another.
type slot struct {
	bar   *mpb.Bar
	group flow.GroupProgress
}

// show takes a new state over: an index that is finished gives its slot to one that is not.
func (b *bars) show(s flow.Snapshot) {
	b.mu.Lock()
	b.all = s
	byName := make(map[string]*flow.GroupProgress, len(s.Groups))
	for i := range s.Groups {
		byName[s.Groups[i].Name] = &s.Groups[i]
	}
	drawn := map[string]bool{}
	for _, slot := range b.slots {
		if g := byName[slot.group.Name]; g != nil {
			slot.group = *g
		}
		drawn[slot.group.Name] = true
	}
	next := 0
	for i := range s.Groups {
		g := &s.Groups[i]
		if drawn[g.Name] || g.Parts == 0 || finished(g) || g.Records == g.EarlierRecords {
			continue
		}
		for next < len(b.slots) && !finished(&b.slots[next].group) {
			next++
		}
		if next < len(b.slots) {
			b.slots[next].group = *g
			next++
		} else if len(b.slots) < slots {
			b.slots = append(b.slots, &slot{group: *g})
			next = len(b.slots)
		} else {
			break
		}
	}
	started, fresh := s.Started, b.slots
	b.mu.Unlock()
	for i, slot := range fresh {
		if slot.bar == nil {
			slot.bar = b.bar(i, func() string { return slot.group.Name },
				func() (flow.GroupProgress, time.Time) { return slot.group, started })
		}
		b.advance(slot.bar, &slot.group)
	}
	b.advance(b.total, &s.Total)
}

// full is a bar's end. No bar gets there: one that is complete could not show another index.
const full = 1 << 20

func (b *bars) advance(bar *mpb.Bar, g *flow.GroupProgress) {
	bar.SetCurrent(int64(min(share(g), 1) * (full - 1)))
}

// share is how much of a group is done, from 0 to 1: by the work there is, or by documents if that is not known.
func share(g *flow.GroupProgress) float64 {
	done, all := g.Bytes, g.ExpectedBytes
	if all <= 0 {
		done, all = g.Records, g.ExpectedRecords
	}
	switch {
	case finished(g):
		return 1
	case all <= 0 || done <= 0:
		return 0
	}
	return min(float64(done)/float64(all), 0.99)
}

// bar adds a line: name, bar, percent, documents, rate, time left.
func (b *bars) bar(priority int, name func() string, state func() (flow.GroupProgress, time.Time)) *mpb.Bar {
	nameWidth := min(28, max(12, b.width/3))
	text := func(f func() string) decor.Decorator {
		return decor.Any(func(decor.Statistics) string {
			b.mu.Lock()
			defer b.mu.Unlock()
			return f()
		})
	}
	return b.pool.New(full, mpb.BarStyle().Lbound(" ").Filler("━").Tip("━").Padding("─").Rbound(" "),
		mpb.BarPriority(priority),
		mpb.PrependDecorators(text(func() string {
			n := cut(printable(name()), nameWidth)
			return n + strings.Repeat(" ", nameWidth-cellWidth(n))
		})),
		mpb.AppendDecorators(text(func() string {
			g, started := state()
			spent := time.Since(started)
			remaining := ""
			if l := left(&g, spent); l > 0 {
				remaining = elapsed(l)
			}
			return fmt.Sprintf("%3d%% %11s %9s/s %6s", int(share(&g)*100), count(g.Records),
				count(rate(g.Records-g.EarlierRecords, spent)), remaining)
		})),
	)
}
