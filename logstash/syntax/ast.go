// Package syntax reads the text of Logstash configurations into a tree with positions, and prints it back. It knows the
// grammar and nothing about plugins: which exist, and which options they take, is the compiler's business.
//
// The grammar is that of logstash-core/lib/logstash/compiler/lscl/lscl_grammar.treetop, a parsing expression grammar:
// alternatives are tried in order and the first that fits is taken. A file that Logstash refuses is refused here, and the
// first error has the position that Logstash names, which is the furthest place that any alternative reached. Other than
// Logstash, the parser then goes on where that is safe, so that one run names several errors.
//
// Parse and ParseAll may be called concurrently. Trees are plain data and are not changed by this package.
package syntax

import (
	"fmt"
	"iter"
	"slices"
)

// Pos is a place in a file. Lines and columns count from 1; a column is a number of characters (code points), as
// Logstash reports it, and Offset is a number of bytes, from 0. The zero Pos is no place.
type Pos struct {
	File   string
	Line   int
	Column int
	Offset int
}

// String gives file:line:column, or line:column where the file has no name.
func (p Pos) String() string {
	if p.File == "" {
		return fmt.Sprintf("%d:%d", p.Line, p.Column)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// IsZero reports that p is no place: the node was not read from a text.
func (p Pos) IsZero() bool { return p == Pos{} }

// Config is what one pipeline is made of: the sections of all of its files, in order.
type Config struct {
	Sections []*Section
	// Files are the texts that were read.
	Files []File
	// Warnings name what is valid and does not do what it seems to.
	Warnings Errors
}

// Kind says what a section holds.
type Kind string

const (
	Input  Kind = "input"
	Filter Kind = "filter"
	Output Kind = "output"
)

// Statements gives the bodies of all sections of one kind, one after another: sections may repeat and interleave.
func (c *Config) Statements(kind Kind) []Statement {
	var out []Statement
	for _, s := range c.Sections {
		if s.Kind == kind {
			out = append(out, s.Body...)
		}
	}
	return out
}

// Plugins gives the plugins of a body in the order of the text, those inside of branches included. Plugins that are
// values (codecs) are not among them.
func Plugins(body []Statement) iter.Seq[*Plugin] {
	return func(yield func(*Plugin) bool) { walkPlugins(body, yield) }
}

func walkPlugins(body []Statement, yield func(*Plugin) bool) bool {
	for _, s := range body {
		switch s := s.(type) {
		case *Plugin:
			if !yield(s) {
				return false
			}
		case *Branch:
			for _, arm := range s.Arms {
				if !walkPlugins(arm.Body, yield) {
					return false
				}
			}
			if s.Else != nil && !walkPlugins(s.Else.Body, yield) {
				return false
			}
		}
	}
	return true
}

// Section is an input, filter or output section.
type Section struct {
	Pos  Pos
	Kind Kind
	Body []Statement
	End  Pos // its closing brace
}

// Statement is what a body consists of: a *Plugin or a *Branch.
type Statement interface {
	At() Pos
	statement()
}

// Plugin is a plugin with its options, as a statement, or as a value (a codec).
type Plugin struct {
	Pos        Pos
	Name       string
	Attributes []*Attribute
	End        Pos // its closing brace
}

// Attribute is one option of a plugin. The same name may occur several times; what that means is up to the compiler.
type Attribute struct {
	Pos    Pos
	Name   string // without quotes; escapes are never processed in it
	Quoted bool   // the name stands in quotes
	Value  Value
}

// Attribute gives the first option of that name, or nil.
func (n *Plugin) Attribute(name string) *Attribute {
	if i := slices.IndexFunc(n.Attributes, func(a *Attribute) bool { return a.Name == name }); i >= 0 {
		return n.Attributes[i]
	}
	return nil
}

// Branch is an if with its else ifs and its else.
type Branch struct {
	Pos  Pos
	Arms []*Arm // at least one; the first is the if
	Else *Block // nil if there is none
	End  Pos    // the last closing brace
}

// Arm is an if or an else if. Cond is nil only beside an error in the condition.
type Arm struct {
	Pos  Pos
	Cond Cond
	Body []Statement
}

// Block is the body of an else.
type Block struct {
	Pos  Pos
	Body []Statement
}

// Value is a value of an option, a hash entry or an array, or an operand of a condition: one of *Bareword, *String,
// *Number, *Array, *Hash and *Plugin; in conditions *String, *Number, *Selector, *Array, *Call and *Regexp.
type Value interface {
	At() Pos
	value()
}

// Bareword is a word without quotes; true and false are such words. Its value is its text.
type Bareword struct {
	Pos  Pos
	Text string // at least two characters
}

// String is a quoted string.
type String struct {
	Pos Pos
	// Raw is the text with its quotes.
	Raw string
	// Value is the text between the quotes, with escapes processed if Options.SupportEscapes is set. Without it
	// backslashes stay, also those before quotes.
	Value string
}

// Number is an integer, or a float if it has a decimal point.
type Number struct {
	Pos     Pos
	Raw     string
	IsFloat bool
	Int     int64   // if not IsFloat
	Float   float64 // if IsFloat
}

// Array is a list of values.
type Array struct {
	Pos    Pos
	Values []Value
}

// Hash is a list of entries in the order of the text; no two keys have the same text.
type Hash struct {
	Pos     Pos
	Entries []*Entry
}

// Entry is one entry of a hash. Key is a *String or a *Bareword.
type Entry struct {
	Pos   Pos
	Key   Value
	Value Value
}

// Name is the key as a string.
func (e *Entry) Name() string {
	switch k := e.Key.(type) {
	case *String:
		return k.Value
	case *Bareword:
		return k.Text
	case *Number:
		return k.Raw
	}
	return ""
}

// Selector is a reference to a field, as written: [a][b]. A list with one element is read as one, too: ["x"].
type Selector struct {
	Pos  Pos
	Text string
}

// Regexp is a regular expression between slashes.
type Regexp struct {
	Pos     Pos
	Pattern string // without the slashes; \/ stays as it is
}

// Call is a method call, which the grammar has and Logstash does not implement.
type Call struct {
	Pos  Pos
	Name string
	Args []Value
}

// Cond is a condition: one of *Logic, *Not, *Compare, *In, *Match and *Truth.
type Cond interface {
	At() Pos
	cond()
}

// LogicOp joins two conditions.
type LogicOp string

const (
	And  LogicOp = "and"
	Or   LogicOp = "or"
	Xor  LogicOp = "xor"
	Nand LogicOp = "nand"
)

// Logic joins two conditions. Parentheses and precedence are in the shape of the tree; see join.
type Logic struct {
	Pos   Pos // where its left operand begins
	OpPos Pos
	Op    LogicOp
	Left  Cond
	Right Cond
}

// Not is the negation of a condition in parentheses or of a selector.
type Not struct {
	Pos  Pos
	Cond Cond
}

// CompareOp compares two values.
type CompareOp string

const (
	Equal          CompareOp = "=="
	NotEqual       CompareOp = "!="
	Less           CompareOp = "<"
	LessOrEqual    CompareOp = "<="
	Greater        CompareOp = ">"
	GreaterOrEqual CompareOp = ">="
)

// Compare compares two values.
type Compare struct {
	Pos   Pos
	OpPos Pos
	Op    CompareOp
	Left  Value
	Right Value
}

// In asks if Item is in List: "in", or "not in" if Negated.
type In struct {
	Pos     Pos
	OpPos   Pos
	Negated bool
	Item    Value
	List    Value
}

// Match matches Left with a regular expression: =~, or !~ if Negated. Pattern is a *Regexp or a *String.
type Match struct {
	Pos     Pos
	OpPos   Pos
	Negated bool
	Left    Value
	Pattern Value
}

// Truth is a value that stands alone as a condition, mostly a *Selector.
type Truth struct {
	Pos   Pos
	Value Value
}

// At gives the place where the node begins.
func (n *Plugin) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Branch) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Bareword) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *String) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Number) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Array) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Hash) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Selector) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Regexp) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Call) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Logic) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Not) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Compare) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *In) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Match) At() Pos { return n.Pos }

// At gives the place where the node begins.
func (n *Truth) At() Pos { return n.Pos }

func (*Plugin) statement() {}
func (*Branch) statement() {}

func (*Plugin) value()   {}
func (*Bareword) value() {}
func (*String) value()   {}
func (*Number) value()   {}
func (*Array) value()    {}
func (*Hash) value()     {}
func (*Selector) value() {}
func (*Regexp) value()   {}
func (*Call) value()     {}

func (*Logic) cond()   {}
func (*Not) cond()     {}
func (*Compare) cond() {}
func (*In) cond()      {}
func (*Match) cond()   {}
func (*Truth) cond()   {}
