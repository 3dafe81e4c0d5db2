// Package regex matches Ruby's regular expressions, as JRuby's engine Joni (a port of Onigmo) does, over UTF-8.
//
// A pattern is compiled into instructions for a backtracking machine. It never tries what the next byte rules out:
// alternatives, loops and runs know what can follow them, so that most of a log line is matched without a way back.
// A match allocates nothing once its Match has grown, and ends after a number of steps that does not depend on time.
//
// Differences from the original:
//   - A byte that is no part of valid UTF-8 counts as the character U+FFFD; Ruby refuses such text.
//   - Letters whose case folds to several (ß and ss) are compared one by one.
//   - Where a round of a repetition with numbers, as (a?){2,9}, takes nothing, the original may end the repetition or
//     fail, by the size of its code; here the round counts.
//   - \z and \Z also match behind a last character beyond ASCII where the original's search stops short of it.
//   - Inside of a group, a reference to it always fails.
//   - The absent operator, recursion, \X and references with a level are errors that name them.
package regex

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"
)

// Options are Ruby's options of a pattern, and the budget. The zero value is a pattern without options.
type Options struct {
	Multiline  bool // Ruby's m: . matches a newline too
	IgnoreCase bool
	Extended   bool // blanks and # comments in the pattern mean nothing
	Steps      int  // how many steps a match may take; 0: DefaultSteps
}

// DefaultSteps is about a second of work at most. A step is a failed try, or some bytes of a run.
const DefaultSteps = 30_000_000

// ErrBudget says that a match was given up: its steps are spent, or its ways back take too much memory.
var ErrBudget = errors.New("regular expression: the match takes too many steps")

// Regexp is a compiled pattern. It may be used concurrently, each goroutine with its own Match.
type Regexp struct {
	source string
	steps  int
	names  []Name
	groups int

	once    sync.Once // guards what follows, which the first use makes
	root    *node
	prog    *program
	search  searcher
	invalid error
}

// Name is a named group. A name that stands several times has several groups.
type Name struct {
	Name   string
	Groups []int
}

// eagerSize is the size from which on Compile makes the program at once, as it may turn out to be too large.
const eagerSize = 20000

// Compile checks a pattern. The machine's program is made when it is first used, as most configurations have patterns
// that never are. Errors are of type *SyntaxError.
func Compile(pattern string, o Options) (*Regexp, error) {
	p, root, err := parse(pattern, o)
	if err != nil {
		return nil, err
	}
	re := &Regexp{source: pattern, steps: o.Steps, groups: p.groups, root: root}
	if re.steps <= 0 {
		re.steps = DefaultSteps
	}
	for _, name := range p.order {
		re.names = append(re.names, Name{name, p.names[name]})
	}
	if root.size() > eagerSize {
		if err := re.ready(); err != nil {
			return nil, err
		}
	}
	return re, nil
}

// ready makes the program, once.
func (re *Regexp) ready() error {
	re.once.Do(func() {
		root := optimize(re.root)
		prog, ok := compileProgram(root, re.groups)
		if !ok {
			re.invalid = &SyntaxError{Pattern: re.source, Reason: "the pattern is too large"}
			return
		}
		re.prog, re.search, re.root = prog, newSearcher(root, prog), nil
	})
	return re.invalid
}

// String gives the pattern.
func (re *Regexp) String() string { return re.source }

// NumGroups gives the number of groups, without the whole match.
func (re *Regexp) NumGroups() int { return re.groups }

// Names lists the named groups by their first place in the pattern. The caller must not change it.
func (re *Regexp) Names() []Name { return re.names }

// Literal gives a text that every match contains, or "".
func (re *Regexp) Literal() string {
	if re.ready() != nil {
		return ""
	}
	return string(re.search.literal)
}

// Match is where a pattern has matched. The zero value is ready; it is used again for the next match, of any
// pattern, by one goroutine at a time.
type Match struct {
	slots []int32
	stack []entry
	left  int // steps
	from  int
	n     int // groups

	height int   // of the stack
	pushed entry // what is being put on it
	low    int32 // the lower end of the run that is gone back into
}

// Group gives the place of group n (0: the whole match); ok is false if it took no part.
func (m *Match) Group(n int) (begin, end int, ok bool) {
	if n > m.n {
		return -1, -1, false
	}
	begin, end = int(m.slots[2*n]), int(m.slots[2*n+1])
	return begin, end, end >= 0
}

// Bytes gives what group n took of the input in, nil if it took no part.
func (m *Match) Bytes(in []byte, n int) []byte {
	if begin, end, ok := m.Group(n); ok {
		return in[begin:end:end]
	}
	return nil
}

// Match looks for the first match at or after from. If there is one it is in m until the next call. The error is
// ErrBudget, or says that the input is too long (2 GiB).
func (re *Regexp) Match(in []byte, from int, m *Match) (bool, error) {
	if len(in) > math.MaxInt32 {
		return false, fmt.Errorf("regular expression: an input of %d bytes is too long", len(in))
	}
	if err := re.ready(); err != nil {
		return false, err
	}
	m.ready(re.prog, from)
	m.left = re.steps
	if from < 0 || from > len(in) {
		return false, nil
	}
	switch re.find(in, from, m) {
	case matched:
		m.slots[0] = min(m.slots[0], m.slots[1]) // \K in a look-ahead
		for _, g := range re.prog.loose {
			if m.slots[2*g+1] < 0 {
				m.slots[2*g] = -1
			}
		}
		return true, nil
	case exhausted:
		return false, ErrBudget
	default: // failed
	}
	return false, nil
}

// Spent is how many steps the last Match took, of the pattern that m was last used with.
func (re *Regexp) Spent(m *Match) int { return re.steps - m.left }

func (m *Match) ready(p *program, from int) {
	if cap(m.slots) < p.slots {
		m.slots = make([]int32, p.slots, 2*p.slots)
	}
	m.slots = m.slots[:p.slots]
	m.n = p.groups
	m.from = from
	m.clear()
}

// clear unsets all slots.
func (m *Match) clear() {
	for i := range m.slots {
		m.slots[i] = -1
	}
}

// All gives every match, each one behind the last, as Ruby's gsub and scan find them: m holds one until the next
// is asked for. An error ends them.
func (re *Regexp) All(in []byte, m *Match) iter.Seq2[*Match, error] {
	return func(yield func(*Match, error) bool) {
		for from := 0; from <= len(in); {
			ok, err := re.Match(in, from, m)
			if err != nil {
				yield(nil, err)
				return
			}
			if !ok || !yield(m, nil) {
				return
			}
			begin, end, _ := m.Group(0)
			from = end
			if end == begin {
				from = end + width(in, end)
			}
		}
	}
}
