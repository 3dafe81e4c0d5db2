package files

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var chaosSeed = flag.Uint64("files.seed", 0, "the seed of the chaos test; 0: another one each time")

// A chaotic writer writes numbered lines into files, which it rotates in every way while they are read.
type chaotic struct {
	t     *testing.T
	r     *rand.Rand
	dir   string
	names []string
	n     int
	lines map[string]bool
	log   []string // what was done, to tell when a test fails
}

func (c *chaotic) did(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

func (c *chaotic) path(name string) string { return filepath.Join(c.dir, name) }

// burst writes lines, the last one perhaps in two pieces.
func (c *chaotic) burst(name string) {
	f, err := os.OpenFile(c.path(name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	c.burstInto(f)
	if err := f.Close(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chaotic) burstInto(f *os.File) {
	st, err := statFile(f)
	if err != nil {
		c.t.Fatal(err)
	}
	from := c.n + 1
	defer func() { c.did("%s (%d): lines %d to %d", f.Name(), st.id.Inode, from, c.n) }()
	for range c.r.IntN(40) {
		c.n++
		l := fmt.Sprintf("%d %s", c.n, strings.Repeat("x", c.r.IntN(200)))
		c.lines[l] = true
		at := c.r.IntN(len(l) + 1)
		for _, piece := range []string{l[:at], l[at:] + "\n"} {
			if _, err := f.WriteString(piece); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

// rotate renames name through its chain, and goes on writing to the old file for a while.
func (c *chaotic) rotate(name string) {
	old, err := os.OpenFile(c.path(name), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 4; i > 0; i-- {
		from := c.path(name)
		if i > 1 {
			from = fmt.Sprintf("%s.%d", c.path(name), i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", c.path(name), i)); err != nil && !os.IsNotExist(err) {
			c.t.Fatal(err)
		}
	}
	if c.r.IntN(2) == 0 {
		c.burst(name)
	}
	c.burstInto(old)
	if err := old.Close(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chaotic) caughtUp(d *driver) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := map[string]bool{}
	for _, l := range d.lines {
		seen[l.text] = true
	}
	return len(seen) >= len(c.lines)
}

// run writes for a while and gives how often each line came.
func (c *chaotic) run(kills bool) map[string]int {
	conf := quick(c.path("*.log*"))
	conf.Registry = filepath.Join(c.dir, "registry")
	conf.MaxOpen = 3 + c.r.IntN(60)
	conf.TurnBytes = int64(1 + c.r.IntN(5000))
	bounds := []int{1 + c.r.IntN(200)}
	d := start(c.t, conf, Options{}, bounds...)
	over := func(kill bool) {
		c.did("stop, kill: %v", kill)
		if kill {
			d.kill()
		} else {
			d.stop()
		}
		before := d.lines
		d = start(c.t, conf, Options{}, bounds...)
		d.mu.Lock()
		d.lines = append(before, d.lines...)
		d.mu.Unlock()
	}
	settle := func() {
		d.t.Helper()
		for end := time.Now().Add(10 * time.Second); !c.caughtUp(d); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(end) {
				seen := map[string]bool{}
				for _, l := range d.texts() {
					seen[l] = true
				}
				for l := range c.lines {
					if !seen[l] {
						c.t.Logf("missing: %.10s", l)
					}
				}
				c.t.Fatalf("lines are missing after\n%s\n%+v", strings.Join(c.log, "\n"), d.source.Stats())
			}
		}
	}
	for range 120 {
		name := c.names[c.r.IntN(len(c.names))]
		switch c.r.IntN(12) {
		case 0, 1:
			settle() // else the last one of the chain may be deleted unread while nobody looks
			c.did("rotate %s", name)
			c.rotate(name)
		case 2: // truncated, as by copytruncate, when it was read
			settle()
			c.did("truncate %s", name)
			if err := os.Truncate(c.path(name), 0); err != nil && !os.IsNotExist(err) {
				c.t.Fatal(err)
			}
			c.burst(name)
		case 3: // deleted when it was read, and made anew: the inode may be used again
			settle()
			c.did("remove %s", name)
			if err := os.Remove(c.path(name)); err != nil && !os.IsNotExist(err) {
				c.t.Fatal(err)
			}
			c.burst(name)
		case 4:
			restart := c.r.IntN(3) == 0
			if restart {
				over(kills && c.r.IntN(3) > 0)
			}
		default:
			c.burst(name)
		}
		if c.r.IntN(3) == 0 {
			time.Sleep(time.Duration(c.r.IntN(8)) * time.Millisecond)
		}
	}
	settle()
	d.still()
	d.stop()
	times := map[string]int{}
	for _, l := range d.lines {
		times[l.text]++
	}
	return times
}

func TestChaosLosesNothingAndDoublesNothingWithoutACrash(t *testing.T) {
	for _, kills := range []bool{false, true} {
		for round := range uint64(4) {
			seed := *chaosSeed
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			t.Run(fmt.Sprintf("kills=%v,round=%d", kills, round), func(t *testing.T) {
				t.Parallel()
				t.Logf("-files.seed=%d", seed)
				c := &chaotic{t: t, r: rand.New(rand.NewPCG(seed, round)), dir: t.TempDir(), names: []string{"a.log", "b.log", "c.log"}, lines: map[string]bool{}}
				times := c.run(kills)
				lost, doubled, strange := 0, 0, 0
				for l := range c.lines {
					switch n := times[l]; {
					case n == 0:
						lost++
					case n > 1:
						doubled++
					}
				}
				for l := range times {
					if !c.lines[l] {
						strange++
						t.Logf("a line that nobody wrote: %q", l)
					}
				}
				t.Logf("%d lines, %d doubled", len(c.lines), doubled)
				if lost > 0 || strange > 0 || doubled > 0 && !kills {
					t.Errorf("%d lines are lost, %d doubled, %d were never written", lost, doubled, strange)
				}
			})
		}
	}
}
