// Package ruby runs the part of Ruby that Logstash's configurations use in the filters ruby and aggregate.
//
// A program is parsed and compiled into closures once. It has no access to files, the network, the environment or other
// programs, and each run has a budget of steps and of memory: it always ends. What the package does not know is refused when
// it is compiled, at its line and column, with another way to write it if there is one.
//
// # What there is
//
// Values: nil, booleans, integers of any size, floats, strings (with interpolation, %q %Q %w %i, heredocs), symbols, arrays,
// hashes, ranges, regular expressions, times, procs. Statements: if, unless, case/when, while, until, for, loop, begin/rescue/
// else/ensure, all modifiers, return, next, break, raise, def. Blocks with do…end and {…}, destructuring of their parameters,
// &:name, lambdas. Assignments of several variables, op-assignments, &. and instance and global variables, which are kept
// between runs. Methods: see the tables in the files named for the classes (string.go, array.go, hash.go, …).
//
// # Differences
//
//   - A name that is neither a variable nor a method is an error when the program is compiled, not when it runs. So is a method
//     that no class here has.
//   - next, break and return are statements (or stand behind and, or, && and ||), not parts of other expressions.
//   - A method that is called without its block gives an array in most places where Ruby gives an enumerator.
//   - BigDecimal has the arithmetic of decimals for + - *, and that of floats otherwise.
//   - Strings are UTF-8; there are no other encodings. Classes, modules, threads and require of libraries are refused.
//   - puts, p and print write to the log.
package ruby

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/logstash/event"
)

// An Error is a mistake in a program, or a part of Ruby that is not there.
type Error struct {
	Line, Column int    // from 1, within the code; a column counts characters
	Reason       string // what is wrong, and why
	Hint         string // another way to write it, if there is one
}

func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Text()) }

// Text is Error without the place.
func (e *Error) Text() string {
	if e.Hint != "" {
		return e.Reason + "; " + e.Hint
	}
	return e.Reason
}

// Budgets of one run.
const (
	DefaultSteps  = 5_000_000
	DefaultMemory = 256 << 20 // bytes, of all that is made in the run
	mostDepth     = 800       // of calls
)

// Options say what a program is compiled for.
type Options struct {
	Params []string // names of the values that Run is given, in its order
	State  *State   // what is kept between runs; nil: nothing before, and nothing shared
	Keeps  bool     // the values of parameters outlive a run: what is read of events is copied
	Steps  int      // of each run; 0: DefaultSteps
	Memory int      // bytes of each run; 0: DefaultMemory
}

// A State is what the programs of one filter share: instance and global variables, and methods. Programs that use such
// variables are run one at a time.
type State struct {
	mu      sync.Mutex // guards vars while a program runs
	names   map[string]int
	vars    []any
	methods map[string]*method
}

// NewState gives an empty State.
func NewState() *State {
	return &State{names: map[string]int{}, methods: map[string]*method{}}
}

// slot gives the place of a variable, with its sigil.
func (s *State) slot(name string) int {
	i, ok := s.names[name]
	if !ok {
		i = len(s.vars)
		s.names[name] = i
		s.vars = append(s.vars, nil)
	}
	return i
}

// A Program is compiled code. It may be run concurrently.
type Program struct {
	body    code
	vars    int // how many local variables
	params  int
	keeps   bool // it uses variables that outlive a run
	state   *State
	steps   int
	memory  int
	runners sync.Pool // of *exec
}

// Compile compiles a program. The error is all its mistakes that can be told apart, joined; each is an *Error.
func Compile(source string, o Options) (*Program, error) {
	if o.State == nil {
		o.State = NewState()
	}
	p := &Program{params: len(o.Params), state: o.State, steps: o.Steps, memory: o.Memory}
	if p.steps <= 0 {
		p.steps = DefaultSteps
	}
	if p.memory <= 0 {
		p.memory = DefaultMemory
	}
	tree, err := parse(source, o.Params)
	if err != nil {
		return nil, err
	}
	c := &compiler{src: source, state: o.State, params: o.Params}
	p.body = c.program(tree)
	p.vars = tree.scope.size
	p.keeps = c.keeps || o.Keeps
	if len(c.errs) > 0 {
		errs := make([]error, len(c.errs))
		for i, e := range c.errs {
			errs[i] = e
		}
		return nil, errors.Join(errs...)
	}
	return p, nil
}

// An Env is what a run works with.
type Env struct {
	Log  *slog.Logger        // of logger, puts; nil: nowhere
	Now  func() time.Time    // nil: the clock
	Emit func(*event.Event)  // takes what new_event_block.call is given; nil: refused
	New  func() *event.Event // makes an event; nil: event.New
	Refs *event.Refs         // nil: references are parsed each time
}

// An Exception is what a program raised and did not rescue, or the end of its budget.
type Exception struct {
	Class   string // as Ruby names it: "NoMethodError"
	Message string
}

func (e *Exception) Error() string {
	if e.Message == "" {
		return e.Class
	}
	return e.Class + ": " + e.Message
}

// ErrBudget is the class of the Exception of a run that took too long or too much memory. No program can rescue it.
const ErrBudget = "BudgetError"

// Run runs the program with the values of its parameters: *event.Event, *Map, Block or nil. The error is an *Exception.
func (p *Program) Run(env Env, params ...any) error {
	_, err := p.run(env, params)
	return err
}

// Inspect runs the program and gives what it ends with, as Ruby's inspect prints it.
func (p *Program) Inspect(env Env, params ...any) (string, error) {
	text := ""
	_, err := p.runWith(env, params, func(x *exec, v any) { text = x.inspect(v) })
	return text, err
}

func (p *Program) run(env Env, params []any) (any, error) { return p.runWith(env, params, nil) }

func (p *Program) runWith(env Env, params []any, then func(*exec, any)) (v any, err error) {
	if p.keeps {
		p.state.mu.Lock()
		defer p.state.mu.Unlock()
	}
	x, ok := p.runners.Get().(*exec)
	if !ok {
		x = &exec{state: p.state, vars: make([]any, p.vars)}
	}
	x.Env = env
	if x.Refs == nil {
		x.Refs = &x.refs
	}
	x.steps, x.memory, x.keeps = p.steps, p.memory, p.keeps
	x.run++
	x.frame = &frame{vars: x.vars}
	x.frame.method = x.frame
	for i := range min(len(params), p.params) {
		x.vars[i] = x.param(params[i])
	}
	defer func() {
		if r := recover(); r != nil {
			switch r := r.(type) {
			case *raised:
				err = &Exception{Class: r.exc.class.name, Message: r.exc.text()}
			case runtime.Error: // a mistake of this package must not end the pipeline
				err = &Exception{Class: "InternalError", Message: r.Error()}
			default:
				panic(r)
			}
		}
		x.reset()
		p.runners.Put(x)
	}()
	v = p.body(x)
	if x.jump == jumpReturn || x.jump == jumpNext || x.jump == jumpBreak {
		v, x.jump, x.result = x.result, jumpNone, nil
	}
	if then != nil {
		then(x, v)
	}
	return v, nil
}

func (x *exec) param(v any) any {
	switch v := v.(type) {
	case *event.Event:
		return &eventObject{e: v}
	case *Map:
		return v.hash
	case Block:
		return &proc{native: func(x *exec, args []any) any {
			for _, a := range args {
				o, ok := a.(*eventObject)
				if !ok {
					x.raise(classTypeError, "new_event_block takes an event, and was given "+className(a))
				}
				if x.Emit == nil {
					x.raise(classRuntimeError, "no events can be made here")
				}
				x.Emit(o.e)
			}
			return nil
		}}
	case *Element:
		return v
	case nil:
		return nil
	}
	panic(fmt.Sprintf("BUG: a program is given a %T", v))
}

// Block is the value of a parameter that takes new events.
type Block struct{}

// reset lets go of what the run held.
func (x *exec) reset() {
	clear(x.vars)
	clear(x.stack[:cap(x.stack)])
	x.stack = x.stack[:0]
	x.frame, x.block, x.match = nil, nil, nil
	x.jump, x.result, x.depth = jumpNone, nil, 0
	x.Env = Env{}
}

// firstLine cuts a text for messages.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
