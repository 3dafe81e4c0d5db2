// Package option fills the options of plugins in: from the syntax tree into the tagged fields of a struct, with the
// coercions of Logstash. It knows the options that all filters have (Common), and runs them.
//
// A field of a plugin's struct is an option if it has a tag:
//
//	Match Hash `ls:"match,required" doc:"which field matches which pattern"`
//
// ls is the option's name, followed by
//
//	required    it must be given
//	deprecated  it still works; a warning says so
//	list        it takes several values (only for enum, and for the reference: slices are lists anyway)
//	path        a file of that name must be there; relative names are relative to Env.Dir
//	uri         elements of a list are split at spaces
//
// default is the value as text where none is given (lists: elements separated by commas), enum lists the values that are
// allowed ("a|b|c"), doc is the sentence of the reference, instead says what to use for an option that is deprecated.
//
// The Go types are string, bool, int64, float64, Bytes, Password, *event.Format (a text with references), *event.Ref (a
// reference), slices of string, int64, float64, *event.Format and *event.Ref, Hash, Codec (a plugin as a value), any (the
// value as it is written), and pointers to string, bool, int64, float64 and Bytes, which are nil if the option is not given.
//
// Obsolete options, which are errors, are what the method Obsolete of the struct gives: names, and what replaced them.
//
// Source: logstash-core/lib/logstash/config/mixin.rb, compiler/lscl.rb, util.rb (hash_merge_many),
// util/substitution_variables.rb, org.logstash.plugins.ConfigVariableExpander.
package option

import (
	"fmt"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/syntax"
)

// A Problem is what is wrong with an option, or worth a warning.
type Problem struct {
	Pos     syntax.Pos
	Message string
	Warning bool
}

// Error gives file:line:column: message.
func (p Problem) Error() string { return p.Pos.String() + ": " + p.Message }

// Env is what options are read with. The zero Env has no variables.
type Env struct {
	// Lookup gives the value of a variable: ${NAME}.
	Lookup func(name string) (string, bool)
	// Style is how field references are escaped.
	Style event.EscapeStyle
	// Dir is what relative paths are relative to.
	Dir string
	// Section is what the plugin is: a filter, unless given.
	Section syntax.Kind
	// What the plugin is called in messages; "" is its name and section.
	Title string
}

// A Hash has its entries in the order they were written.
type Hash []Pair

// A Pair is an entry of a Hash.
type Pair struct {
	Key   string
	Value any // string, int64, float64, []any, Hash or Codec
}

// Get gives the value of a key.
func (h Hash) Get(key string) (any, bool) {
	for i := range h {
		if h[i].Key == key {
			return h[i].Value, true
		}
	}
	return nil, false
}

// set gives a key a value, in its old place if it has one.
func (h Hash) set(key string, value any) Hash {
	for i := range h {
		if h[i].Key == key {
			h[i].Value = value
			return h
		}
	}
	return append(h, Pair{key, value})
}

// Bytes is a size: "10 MiB", "5kb", or a number.
type Bytes int64

// A Password is a secret text. It prints as ***.
type Password string

// String hides the secret.
func (p Password) String() string { return "***" }

// GoString hides the secret.
func (p Password) GoString() string { return "***" }

// A Codec is a plugin that is a value. Plugin is nil where the codec has no options.
type Codec struct {
	Name   string
	Plugin *syntax.Plugin
	Pos    syntax.Pos
}

// An Invalid is an error of one option that is found in a plugin's set-up; the compiler shows the place of the option.
type Invalid struct {
	Option string
	Err    error
}

// Error says which option is wrong, and why.
func (e *Invalid) Error() string { return e.Option + ": " + e.Err.Error() }

// Unwrap gives the reason.
func (e *Invalid) Unwrap() error { return e.Err }

// Errorf makes an error of one option. It is an *Invalid.
func Errorf(option, format string, args ...any) error {
	return &Invalid{option, fmt.Errorf(format, args...)}
}
