package measure

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Numbers are what an apply did, as far as numbers show it. They are a part of its record: at most some 100 kB.
type Numbers struct {
	Before *Window `json:"before,omitempty"`
	// Looks are the windows after it: right after, and those of later. There are at most mostLooks; where more are taken, the first
	// stays, and the others are the latest.
	Looks []Look   `json:"looks,omitempty"`
	Notes []string `json:"notes,omitempty"` // why something is not there
}

// A Look is a window after an apply, compared with the one before.
type Look struct {
	Window
	After       Duration     `json:"after"` // the apply's end, when it began
	Comparisons []Comparison `json:"comparisons"`
}

const mostLooks = 6

// Add compares another window with the one before the apply, which ended at finished. seed names the apply.
func (n *Numbers) Add(w *Window, finished time.Time, seed string) (*Look, error) {
	if n.Before == nil {
		return nil, errors.New("nothing was measured before the apply, so there is nothing to compare with")
	}
	l := Look{Window: *w, After: Duration(max(0, w.From.Sub(finished)).Round(time.Second)), Comparisons: Judge(n.Before, w, seed)}
	if len(n.Looks) == mostLooks {
		n.Looks = slices.Delete(n.Looks, 1, 2)
	}
	n.Looks = append(n.Looks, l)
	return &n.Looks[len(n.Looks)-1], nil
}

// Last is the latest look; nil: there is none.
func (n *Numbers) Last() *Look {
	if n == nil || len(n.Looks) == 0 {
		return nil
	}
	return &n.Looks[len(n.Looks)-1]
}

// Summary says in one line what changed, by the latest look.
func (n *Numbers) Summary() string {
	l := n.Last()
	switch {
	case n == nil:
		return "not measured"
	case n.Before != nil && n.Before.Idle:
		return "not measured: nothing was indexed or searched"
	case l == nil:
		return cmp.Or(strings.Join(n.Notes, "; "), "not measured")
	}
	var parts []string
	rest := map[Verdict]int{}
	for i := range l.Comparisons {
		c := &l.Comparisons[i]
		switch c.Verdict {
		case Better, Worse, Higher, Lower:
			parts = append(parts, c.Short())
		case NoChange, Noisy, TooFew:
			rest[c.Verdict]++
		}
	}
	for _, v := range []Verdict{NoChange, Noisy, TooFew} {
		if rest[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", rest[v], v))
		}
	}
	return strings.Join(parts, ", ")
}

// Short says in a few words what a comparison found: "ingest +12 % (better)".
func (c *Comparison) Short() string {
	var how string
	if c.Percent != nil {
		how = fmt.Sprintf("%+.3g %%", c.Percent.Change)
	} else {
		how = strings.TrimSpace(fmt.Sprintf("%+.3g %s", c.Change, c.Unit))
	}
	return fmt.Sprintf("%s %s (%s)", c.Metric, how, c.Verdict)
}
