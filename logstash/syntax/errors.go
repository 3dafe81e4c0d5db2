package syntax

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Error is one thing that is wrong with a text.
type Error struct {
	Pos Pos
	// Message says what is wrong, without the place.
	Message string
	// Expected lists what would have been right at this place, for errors of syntax only.
	Expected []string
	// Source is the line of the text that the error is in, without its line end.
	Source string
}

// Error gives file:line:column: message.
func (e Error) Error() string { return e.Pos.String() + ": " + e.Message }

// Caret gives the line of the text with a mark below the place, in two lines without a last line end; "" if there is no
// line. Tabs stay tabs in both, so that the mark is right whatever a tab is worth.
func (e Error) Caret() string {
	if e.Pos.Column < 1 || e.Source == "" {
		return ""
	}
	var mark strings.Builder
	n := 1
	for _, r := range e.Source {
		if n == e.Pos.Column {
			break
		}
		if r == '\t' {
			mark.WriteByte('\t')
		} else {
			mark.WriteByte(' ')
		}
		n++
	}
	return e.Source + "\n" + mark.String() + "^"
}

// Errors is all that is wrong, in the order of the text. It is what Parse and ParseAll return as their error.
type Errors []Error

// Error gives one line for each error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single errors, for errors.As.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i := range e {
		out[i] = e[i]
	}
	return out
}

// ErrorAt makes an error at a place of the configuration, with the line of the text that it is in. It is meant for
// those who find more mistakes in the tree.
func (c *Config) ErrorAt(pos Pos, format string, args ...any) Error {
	e := Error{Pos: pos, Message: fmt.Sprintf(format, args...)}
	if i := slices.IndexFunc(c.Files, func(f File) bool { return f.Name == pos.File }); i >= 0 {
		e.Source = lineAt(string(c.Files[i].Text), pos.Offset)
	}
	return e
}

// lineAt is the line of text that has the byte at offset.
func lineAt(text string, offset int) string {
	offset = min(max(offset, 0), len(text))
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	end := len(text)
	if i := strings.IndexByte(text[offset:], '\n'); i >= 0 {
		end = offset + i
	}
	return strings.TrimSuffix(text[start:end], "\r")
}

// expect is a set of what may stand at a place.
type expect uint32

const (
	wantSpace expect = 1 << iota // white space that must be there, between two options
	wantBlank                    // white space or a comment, that may be there
	wantSection
	wantOpen
	wantCodec // the brace of a plugin that is a value
	wantClose
	wantIf
	wantElse
	wantPlugin
	wantOption
	wantArrow
	wantValue
	wantKey
	wantComma
	wantEndArray
	wantEndSelector
	wantParen
	wantEndParen
	wantCondition
	wantField
	wantOperand
	wantPattern
	wantCompare
	wantLogic
	wantQuote
	wantSlash
	wantIn
	wantWordRest
	wantDigit
	wantLineEnd
)

// expectations are the sets' members for people, in the order in which they are told.
var expectations = []struct {
	want expect
	text []string
}{
	{wantSection, []string{`"input"`, `"filter"`, `"output"`}},
	{wantArrow, []string{`"=>"`}},
	{wantSpace, []string{"white space"}},
	{wantOption, []string{"an option"}},
	{wantKey, []string{"a key"}},
	{wantValue, []string{"a value"}},
	{wantComma, []string{`","`}},
	{wantEndArray | wantEndSelector, []string{`"]"`}},
	{wantPlugin, []string{"a plugin"}},
	{wantIf, []string{`"if"`}},
	{wantElse, []string{`"else"`}},
	{wantCondition, []string{"a condition"}},
	{wantOperand, []string{"a field", "a string", "a number", "a list"}},
	{wantField, []string{"a field in brackets"}},
	{wantPattern, []string{"a regular expression", "a string"}},
	{wantCompare, []string{`"in"`, `"not in"`, `"=="`, `"!="`, `"<="`, `">="`, `"<"`, `">"`, `"=~"`, `"!~"`}},
	{wantIn, []string{`"in"`}},
	{wantLogic, []string{`"and"`, `"or"`, `"xor"`, `"nand"`}},
	{wantParen, []string{`"("`}},
	{wantEndParen, []string{`")"`}},
	{wantOpen | wantCodec, []string{`"{"`}},
	{wantClose, []string{`"}"`}},
	{wantQuote, []string{"a closing quote"}},
	{wantSlash, []string{"a closing slash"}},
	{wantWordRest, []string{"a letter", "a digit"}},
	{wantDigit, []string{"a digit"}},
	{wantLineEnd, []string{"the end of the line"}},
}

func (w expect) list() []string {
	var out []string
	for _, e := range expectations {
		if w&e.want == 0 {
			continue
		}
		for _, t := range e.text {
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// oneOf puts a list into words.
func oneOf(list []string) string {
	switch len(list) {
	case 0:
		return "something else"
	case 1:
		return list[0]
	}
	return "one of " + strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}

// found describes what stands at the beginning of rest.
func found(rest string) string {
	if rest == "" {
		return "the end of the file"
	}
	n := 0
	for n < len(rest) && n < 40 && isName(rest[n]) {
		n++
	}
	if n == 0 {
		r, size := utf8.DecodeRuneInString(rest)
		if r == '\uFEFF' {
			return "a byte order mark: save the file without one"
		}
		n = size
	}
	switch rest[:n] {
	case `"`:
		return "a double quote"
	case "\n", "\r":
		return "the end of the line"
	}
	return fmt.Sprintf("%q", rest[:n])
}

// before describes what stands at the end of text; "" if that would not help.
func before(text string) string {
	text = strings.TrimRight(text, " \t\r\n")
	if strings.HasSuffix(text, "=>") {
		return `"=>"`
	}
	n := len(text)
	if strings.IndexByte(text[strings.LastIndexByte(text, '\n')+1:], '#') >= 0 {
		return "" // it may be a comment
	}
	for n > 0 && len(text)-n < 40 && isName(text[n-1]) {
		n--
	}
	if n == len(text) && n > 0 && strings.IndexByte("{[,(", text[n-1]) >= 0 {
		n--
	}
	if n == len(text) {
		return ""
	}
	return `"` + text[n:] + `"`
}
