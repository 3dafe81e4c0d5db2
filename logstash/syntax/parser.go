package syntax

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth  = 400 // how deep blocks, values and conditions may be nested
	maxErrors = 100 // after so many the parser gives up
)

// File is a text with the name that positions in it have.
type File struct {
	Name string
	Text []byte
}

// Options are what a text is read with. The zero value is Logstash's default.
type Options struct {
	// SupportEscapes is config.support_escapes: \" \' \\ \n \r \t and \0 are processed in strings.
	SupportEscapes bool
}

// Parse reads one text with the default options. If it is not valid, the error is of type Errors, and the configuration has
// what could be read.
func Parse(name string, src []byte) (*Config, error) {
	return Options{}.Parse(name, src)
}

// ParseAll reads several files as one configuration with the default options; see Options.ParseAll.
func ParseAll(files []File) (*Config, error) {
	return Options{}.ParseAll(files)
}

// Parse is like the function Parse, with options.
func (o Options) Parse(name string, src []byte) (*Config, error) {
	return o.ParseAll([]File{{name, src}})
}

// ParseAll reads several files as one configuration, in the order given. As in Logstash (PipelineConfig#configString) their
// texts are joined, with a line end where one has none, so that a section may even go on in the next file. Each position
// is that in its own file.
func (o Options) ParseAll(files []File) (*Config, error) {
	p := &parser{escapes: o.SupportEscapes, config: &Config{Files: files}, resync: -1, unclosed: -1, statementAt: -1}
	var joined strings.Builder
	for _, f := range files {
		if n := joined.Len(); n > 0 && joined.String()[n-1] != '\n' {
			joined.WriteByte('\n')
		}
		p.bases = append(p.bases, joined.Len())
		joined.Write(f.Text)
	}
	p.src = joined.String()
	p.ascii = true
	for i := range len(p.src) {
		switch {
		case p.src[i] == '\n':
			p.lines = append(p.lines, i+1)
		case p.src[i] >= utf8.RuneSelf:
			p.ascii = false
		}
	}
	if p.checkEncoding() {
		p.sections()
	}
	slices.SortStableFunc(p.errs, func(a, b located) int { return cmp.Compare(a.offset, b.offset) })
	p.errs = slices.CompactFunc(p.errs, func(a, b located) bool { return a.offset == b.offset && a.err.Message == b.err.Message })
	if len(p.errs) == 0 {
		return p.config, nil
	}
	out := make(Errors, len(p.errs))
	for i, e := range p.errs {
		out[i] = e.err
	}
	return p.config, out
}

// parser reads the joined texts. Offsets in it are those in src.
type parser struct {
	src     string
	pos     int
	escapes bool
	config  *Config

	bases []int // where each file begins
	lines []int // where each line begins, but the first
	line  int   // an index into lines that was right last time
	ascii bool

	far  int    // the furthest place where something else was expected
	want expect // what was expected there

	depth     int
	stop      bool // nothing more can be read
	resync    int  // where the next section begins after an error; -1 without
	unclosed  int  // where a string or regular expression begins that is not closed; -1 without
	multiline span // the last string over several lines
	escaped   span // the last string with a backslash before a quote
	open      []opened
	farOpen   opened // the innermost open block at far

	statementAt int // where the statement that is being read began; -1 outside of blocks

	errs     []located
	reported int // the furthest syntax error
}

// opened is a block whose brace has not been closed.
type opened struct {
	what   string
	offset int
}

// span is where something begins and ends; the zero span is none.
type span struct{ start, end int }

type located struct {
	offset int
	err    Error
}

// checkEncoding reports that all is UTF-8; each file that is not is an error.
func (p *parser) checkEncoding() bool {
	ok := true
	for i, f := range p.config.Files {
		if utf8.Valid(f.Text) {
			continue
		}
		ok = false
		at := 0
		for at < len(f.Text) {
			r, n := utf8.DecodeRune(f.Text[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		p.errorf(p.bases[i]+at, "the file is not encoded in UTF-8: the byte 0x%02x here", f.Text[at])
	}
	return ok
}

// at is the place of an offset.
func (p *parser) at(offset int) Pos {
	// The line is mostly the one of the last call or one soon after it.
	n := p.line
	if n > 0 && p.lines[n-1] > offset {
		n = sort.SearchInts(p.lines, offset+1)
	}
	for n < len(p.lines) && p.lines[n] <= offset {
		n++
	}
	p.line = n
	start := 0
	if n > 0 {
		start = p.lines[n-1]
	}
	pos := Pos{Line: n + 1, Offset: offset}
	if p.ascii {
		pos.Column = offset - start + 1
	} else {
		pos.Column = utf8.RuneCountInString(p.src[start:offset]) + 1
	}
	switch len(p.bases) {
	case 0:
		return pos
	case 1:
		pos.File = p.config.Files[0].Name
		return pos
	}
	i := sort.SearchInts(p.bases, offset+1) - 1
	pos.File = p.config.Files[i].Name
	pos.Offset -= p.bases[i]
	pos.Line -= sort.SearchInts(p.lines, p.bases[i]+1)
	return pos
}

// errorf notes an error at an offset.
func (p *parser) errorf(offset int, format string, args ...any) {
	p.errs = append(p.errs, located{offset, p.makeError(offset, format, args...)})
	if len(p.errs) >= maxErrors {
		p.stop = true
	}
}

func (p *parser) makeError(offset int, format string, args ...any) Error {
	return Error{Pos: p.at(offset), Message: fmt.Sprintf(format, args...), Source: lineAt(p.src, offset)}
}

func (p *parser) warnf(offset int, format string, args ...any) {
	p.config.Warnings = append(p.config.Warnings, p.makeError(offset, format, args...))
}

// fail notes that something else was expected at an offset.
func (p *parser) fail(offset int, want expect) {
	if offset < p.far {
		return
	}
	if offset > p.far {
		p.far, p.want, p.farOpen = offset, 0, opened{}
		if len(p.open) > 0 {
			p.farOpen = p.open[len(p.open)-1]
		}
	}
	p.want |= want
}

// enter goes one level deeper, and reports that this is not too deep. Each call that is true needs a leave.
func (p *parser) enter() bool {
	if p.stop {
		return false
	}
	if p.depth >= maxDepth {
		p.errorf(p.pos, "nested more than %d levels deep", maxDepth)
		p.stop = true
		return false
	}
	p.depth++
	return true
}

func (p *parser) leave() { p.depth-- }

// literal reads text, which nothing may stand before.
func (p *parser) literal(text string, want expect) bool {
	if strings.HasPrefix(p.src[p.pos:], text) {
		p.pos += len(text)
		return true
	}
	p.fail(p.pos, want)
	return false
}

// whitespace reads white space, at least one character of it.
func (p *parser) whitespace() bool {
	start := p.pos
	for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
		p.pos++
	}
	if p.pos == start {
		p.fail(start, wantSpace)
	}
	return p.pos > start
}

// blank reads white space and comments, if there are any: the grammar's rule cs.
func (p *parser) blank() {
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		if isSpace(c) {
			p.pos++
			continue
		}
		if c != '#' {
			break
		}
		end := p.pos
		for end < len(p.src) && p.src[end] != '\n' && p.src[end] != '\r' {
			end++
		}
		if end < len(p.src) && p.src[end] == '\r' {
			end++
			if end == len(p.src) || p.src[end] != '\n' { // no comment ends in a single \r
				p.fail(end, wantLineEnd)
				break
			}
		}
		p.pos = min(end+1, len(p.src))
	}
	p.fail(p.pos, wantBlank)
}

// sections reads the whole: (cs plugin_section)* cs.
func (p *parser) sections() {
	for !p.stop {
		p.blank()
		if p.pos == len(p.src) {
			return
		}
		start := p.pos
		section, ok := p.section()
		if section != nil {
			p.config.Sections = append(p.config.Sections, section)
		}
		if p.resync >= 0 {
			p.goOn(p.resync)
			continue
		}
		if !ok && !p.stop {
			p.syntaxError()
			p.recoverSection(start)
		}
	}
}

// section reads a section. Not ok means that no section begins here; errors inside of one have been noted.
func (p *parser) section() (*Section, bool) {
	start := p.pos
	for _, kind := range []Kind{Input, Filter, Output} {
		if !p.literal(string(kind), wantSection) {
			continue
		}
		p.blank()
		if !p.brace(string(kind), start) {
			p.pos = start
			return nil, false
		}
		s := &Section{Pos: p.at(start), Kind: kind}
		s.Body, s.End = p.block(-1)
		return s, true
	}
	return nil, false
}

// brace reads the brace that opens a block, which begins at start.
func (p *parser) brace(what string, start int) bool {
	if !p.literal("{", wantOpen) {
		return false
	}
	p.open = append(p.open, opened{what, start})
	return true
}

// block reads what stands after an opening brace, up to the closing one: cs (branch_or_plugin cs)* "}". Errors in it are
// noted and gone over; the caller must look at stop and resync. What is no such block may to the grammar still be a plugin
// named else, or if0: pluginAt is where this one would begin, negative if there is none.
func (p *parser) block(pluginAt int) (body []Statement, end Pos) {
	defer func() { p.open = p.open[:len(p.open)-1] }()
	if !p.enter() {
		return nil, Pos{}
	}
	defer p.leave()
	for first := true; !p.stop && p.resync < 0; first = false {
		p.blank()
		start := p.pos
		if start < len(p.src) && p.src[start] == '}' {
			p.pos++
			return body, p.at(start)
		}
		if s, ok := p.statement(); ok {
			body = append(body, s)
			continue
		}
		if p.stop || p.resync >= 0 {
			break
		}
		p.fail(start, wantClose)
		if pluginAt >= 0 && first {
			p.pos = pluginAt
			if pl, ok := p.plugin(); ok {
				p.errorf(start, "after %q there are plugins in the braces, not options", pl.Name)
				return nil, pl.End
			}
			p.pos = start
		}
		p.statementAt = start
		p.syntaxError()
		p.statementAt = -1
		if s := p.recoverStatement(start); s != nil {
			body = append(body, s)
		}
	}
	return body, p.at(min(p.pos, len(p.src)))
}

func (p *parser) statement() (Statement, bool) {
	if b, ok := p.branch(); ok {
		return b, true
	}
	if p.stop {
		return nil, false
	}
	if pl, ok := p.plugin(); ok {
		return pl, true
	}
	return nil, false
}

// branch reads an if with what belongs to it.
func (p *parser) branch() (*Branch, bool) {
	start := p.pos
	if !p.literal("if", wantIf) {
		return nil, false
	}
	cond, ok := p.head(start)
	if !ok {
		p.pos = start
		return nil, false
	}
	b := &Branch{Pos: p.at(start)}
	p.arm(b, start, cond)
	return b, true
}

// head reads what stands between an if and its body, with the brace.
func (p *parser) head(start int) (Cond, bool) {
	p.blank()
	cond, ok := p.condition()
	if !ok {
		return nil, false
	}
	p.blank()
	return cond, p.brace("if", start)
}

// arm reads a body after its brace, and what follows it: else if and else.
func (p *parser) arm(b *Branch, start int, cond Cond) {
	for {
		a := &Arm{Pos: p.at(start), Cond: cond}
		a.Body, b.End = p.block(p.pluginBefore(start))
		b.Arms = append(b.Arms, a)
		if p.stop || p.resync >= 0 {
			return
		}
		end := p.pos
		p.blank()
		start = p.pos
		if !p.literal("else", wantElse) {
			p.pos = end
			return
		}
		p.blank()
		word := p.pos
		if p.literal("if", wantIf) {
			var ok bool
			if cond, ok = p.head(start); ok {
				continue
			}
			p.pos = word
		}
		if !p.stop && p.brace("else", start) {
			b.Else = &Block{Pos: p.at(start)}
			b.Else.Body, b.End = p.block(start)
			return
		}
		p.pos = end
		return
	}
}

// pluginBefore gives start if the brace right before this place may follow the name of a plugin that begins there, as in
// "if0 {"; else it is negative.
func (p *parser) pluginBefore(start int) int {
	end := p.pos
	p.pos = start
	defer func() { p.pos = end }()
	if p.name(wantPlugin) {
		p.blank()
		if p.pos == end-1 {
			return start
		}
	}
	return -1
}

// plugin reads a plugin with its options.
func (p *parser) plugin() (*Plugin, bool) {
	start := p.pos
	if !p.name(wantPlugin) {
		return nil, false
	}
	end := p.pos
	p.blank()
	if !p.literal("{", wantOpen) {
		p.pos = start
		return nil, false
	}
	return p.pluginBody(start, end)
}

// pluginBody reads what stands after the brace of the plugin whose name is src[start:end].
func (p *parser) pluginBody(start, end int) (*Plugin, bool) {
	if !p.enter() {
		return nil, false
	}
	defer p.leave()
	name := p.src[start:end]
	pl := &Plugin{Pos: p.at(start), Name: name}
	p.open = append(p.open, opened{name, start})
	defer func() { p.open = p.open[:len(p.open)-1] }()
	p.blank()
	for {
		a, ok := p.attribute()
		if !ok {
			break
		}
		pl.Attributes = append(pl.Attributes, a)
		end := p.pos
		if !p.whitespace() {
			break
		}
		p.blank()
		if p.pos < len(p.src) && p.src[p.pos] == '}' {
			p.pos = end
			break
		}
	}
	p.blank()
	if !p.literal("}", wantClose) {
		p.pos = start
		return nil, false
	}
	if name[0] == '"' || name[0] == '\'' {
		pl.Name = name[1 : len(name)-1]
		p.errorf(start, "the name of a plugin has no quotes: write %s", pl.Name)
	}
	pl.End = p.at(p.pos - 1)
	return pl, true
}

// name reads the name of a plugin or an option, which may be a string.
func (p *parser) name(want expect) bool {
	start := p.pos
	for p.pos < len(p.src) && isName(p.src[p.pos]) {
		p.pos++
	}
	if p.pos > start {
		return true
	}
	if p.quoted() {
		return true
	}
	p.fail(start, want)
	return false
}

func (p *parser) attribute() (*Attribute, bool) {
	start := p.pos
	if !p.name(wantOption) {
		return nil, false
	}
	name := p.src[start:p.pos]
	p.blank()
	if p.literal("=>", wantArrow) {
		p.blank()
		if v, ok := p.value(); ok {
			a := &Attribute{Pos: p.at(start), Name: name, Value: v}
			if name[0] == '"' || name[0] == '\'' {
				a.Name, a.Quoted = name[1:len(name)-1], true
			}
			return a, true
		}
	}
	p.pos = start
	return nil, false
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' }

func isWord(c byte) bool { return isLetter(c) || isDigit(c) }

func isName(c byte) bool { return isWord(c) || c == '-' }
