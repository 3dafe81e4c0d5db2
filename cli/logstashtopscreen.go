package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// A screen is a terminal whose keys are read one by one.
type screen struct {
	in  *os.File
	out *os.File
}

// newScreen gives the terminal of the command; ok is false where there is none.
func newScreen(c *common) (*screen, bool) {
	in, isFile := c.Stdin.(*os.File)
	out, isOut := c.Stdout.(*os.File)
	if !isFile || !isOut || c.Getenv("TERM") == "dumb" || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil, false
	}
	return &screen{in, out}, true
}

// What a terminal is told: its other screen without a cursor and without wrapping, and back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// open takes the terminal until release is called.
func (s *screen) open() (keys <-chan byte, release func(), err error) {
	before, err := term.MakeRaw(int(s.in.Fd()))
	if err != nil {
		return nil, nil, err
	}
	// Standard input cannot be called off while it is read, and would take what is typed for the shell; the terminal itself can.
	input := s.in
	if tty, err := os.OpenFile("/dev/tty", os.O_RDONLY, 0); err == nil {
		input = tty
	}
	pressed := make(chan byte)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(pressed)
		var b [16]byte
		for {
			n, err := input.Read(b[:])
			for _, k := range b[:n] {
				select {
				case pressed <- k:
				case <-over:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	_, err = io.WriteString(s.out, enterScreen)
	return pressed, func() {
		close(over)
		if input.SetReadDeadline(time.Now()) == nil {
			<-ended // elsewhere it ends with the process
		}
		if input != s.in {
			_ = input.Close() // it was only read
		}
		_, _ = io.WriteString(s.out, leaveScreen)
		_ = term.Restore(int(s.in.Fd()), before)
	}, err
}

func (s *screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return defaultColumns, 24
	}
	return width, height
}

// lookAtSize is how often it is looked whether the terminal has another size.
const lookAtSize = 100 * time.Millisecond

// quits reports that a key ends: q, Ctrl-C, Ctrl-D.
func quits(key byte) bool { return bytes.IndexByte([]byte{'q', 'Q', 3, 4}, key) >= 0 }

// watch shows views on a terminal until q or Ctrl-C is pressed.
func (t *topper) watch(ctx context.Context, s *screen) error {
	v, err := t.look(ctx)
	if err != nil {
		return unlessOver(ctx, err)
	}
	keys, release, err := s.open()
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type looked struct {
		v   *topView
		err error
	}
	looks := make(chan looked)
	ended := make(chan struct{})
	defer func() { cancel(); <-ended }()
	go func() { // a server that is slow must not hold up the keys
		defer close(ended)
		tick := time.NewTicker(t.interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			v, err := t.look(ctx)
			select {
			case looks <- looked{v, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	resized := time.NewTicker(lookAtSize)
	defer resized.Stop()
	trouble := ""
	width, height := s.size()
	for {
		if _, err := io.WriteString(s.out, topFrame(v, trouble, width, height)); err != nil {
			return err
		}
		for drawn := true; drawn; {
			select {
			case k, ok := <-keys:
				if !ok || quits(k) {
					return nil
				}
			case <-ctx.Done():
				return nil
			case <-resized.C:
				if w, h := s.size(); w != width || h != height {
					width, height, drawn = w, h, false
				}
			case l := <-looks:
				if trouble = ""; l.err != nil {
					trouble = l.err.Error()
				} else {
					v = l.v
				}
				drawn = false
			}
		}
	}
}

// topFrame is a view as it is written to a terminal, in one piece: every line over the one that is there.
func topFrame(v *topView, trouble string, width, height int) string {
	const on, off = "\x1b[7m", "\x1b[0m"
	head := " " + v.headline()
	style := on
	if trouble != "" {
		head, style = " no answer: "+printable(trouble), "\x1b[41;97m"
	}
	lines := []string{style + padded(head, width) + off}
	sections := v.sections()
	needs := make([]int, len(sections))
	for i := range sections {
		needs[i] = len(sections[i].table.rows)
	}
	var more []string
	for i, rows := range fitRows(needs, height-2) { // the last line has the keys
		if rows == 0 {
			if needs[i] > 0 {
				more = append(more, count(int64(needs[i]))+" "+sections[i].name)
			}
			continue
		}
		s := &sections[i].table
		if hidden := len(s.rows) - rows; hidden > 0 {
			more = append(more, count(int64(hidden))+" "+sections[i].name)
		}
		s.rows = s.rows[:rows]
		var b strings.Builder
		_ = s.write(&b, width) // it is a buffer
		lines = append(lines, "")
		for n, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
			line = clip(line, width)
			if n == 0 {
				line = "\x1b[1m" + line + off
			}
			lines = append(lines, line)
		}
	}
	lines = lines[:min(len(lines), max(height-1, 1))]
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	if height > 1 {
		keys := " q: quit"
		if len(more) > 0 {
			keys += "; not shown: " + strings.Join(more, ", ")
		}
		lines = append(lines, "\x1b[2m"+clip(keys, width)+off)
	}
	var b strings.Builder
	b.WriteString("\x1b[?2026h\x1b[H") // one update, where the terminal knows it
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line + "\x1b[K")
	}
	b.WriteString("\x1b[J\x1b[?2026l")
	return b.String()
}

// fitRows divides the lines of a screen among tables: each has an empty line and its titles, and gets as many rows as it
// needs or as there are left for it, in turn.
func fitRows(needs []int, lines int) []int {
	rows := make([]int, len(needs))
	for i, n := range needs {
		if n > 0 && lines >= 3 {
			rows[i] = 1
			lines -= 3
		}
	}
	for again := true; again && lines > 0; {
		again = false
		for i, n := range needs {
			if rows[i] > 0 && rows[i] < n && lines > 0 {
				rows[i]++
				lines--
				again = true
			}
		}
	}
	return rows
}

// clip cuts a line at its end.
func clip(s string, width int) string {
	if cellWidth(s) <= width {
		return s
	}
	n := 0
	for i, r := range s {
		if n += cellWidth(string(r)); n > width {
			return s[:i]
		}
	}
	return s
}

func padded(s string, width int) string {
	s = clip(s, width)
	return s + strings.Repeat(" ", max(width-cellWidth(s), 0))
}
