package syntax

import "strings"

// syntaxError notes that the furthest place reached is where the text is wrong.
func (p *parser) syntaxError() {
	var message strings.Builder
	want := p.want
	for _, minor := range []expect{wantBlank, wantCodec} {
		if want&^minor != 0 {
			want &^= minor
		}
	}
	list := want.list()
	message.WriteString("expected " + oneOf(list))
	if b := before(p.src[:p.far]); b != "" {
		message.WriteString(" after " + b)
	}
	message.WriteString(", found " + found(p.src[p.far:]))
	if h := p.hint(); h != "" {
		message.WriteString("; " + h)
	}
	// What has been tried as a plugin may be read again as a section; what is wrong in it has been told then.
	if p.far >= p.reported {
		err := p.makeError(p.far, "%s", message.String())
		err.Expected = list
		p.errs = append(p.errs, located{p.far, err})
		p.reported = p.far
	}
	if len(p.errs) >= maxErrors || p.far >= len(p.src) {
		p.stop = true
	}
}

// hint says what may be the cause of a syntax error, or what to write instead; "" if nothing is known.
func (p *parser) hint() string {
	rest := p.src[p.far:]
	has := func(w expect) bool { return p.want&w != 0 }
	switch {
	case rest == "" && p.unclosed >= 0:
		what := "the string"
		if p.src[p.unclosed] == '/' {
			what = "the regular expression"
		}
		h := what + " that begins at " + p.lineColumn(p.unclosed) + " is not closed"
		if p.src[p.unclosed] != '/' && strings.Contains(p.src[p.unclosed:], `\`+p.src[p.unclosed:p.unclosed+1]) {
			h += ": a backslash before a quote keeps it open"
		}
		return h
	case p.statementAt >= 0 && p.nextSection(p.statementAt) == p.statementAt:
		return found(p.src[p.statementAt:]) + " at " + p.lineColumn(p.statementAt) + ` begins a section: is a "}" missing before it?`
	case p.escaped.end > 0 && p.blankUpTo(p.escaped.end):
		return "the string that begins at " + p.lineColumn(p.escaped.start) + " ends only here: a backslash before a quote keeps it open"
	case p.multiline.end > 0 && p.blankUpTo(p.multiline.end):
		return "the string that begins at " + p.lineColumn(p.multiline.start) + " ends only here: is a quote missing?"
	case rest == "" && p.farOpen.what != "":
		return `the "{" of ` + p.farOpen.what + " at " + p.lineColumn(p.farOpen.offset) + " is not closed"
	case rest == "":
		return ""
	case rest[0] == ',' && has(wantSpace):
		return "options have white space between them, no comma"
	case rest[0] == ',' && has(wantKey):
		return "the entries of a hash have no comma between them"
	case has(wantArrow) && (strings.HasPrefix(rest, "=") || strings.HasPrefix(rest, "->") || rest[0] == ':'):
		return `write "=>" between a name and its value`
	case has(wantCompare) && strings.HasPrefix(rest, "="):
		return `write "==" to compare`
	case has(wantLogic) && (strings.HasPrefix(rest, "&&") || strings.HasPrefix(rest, "||")):
		return `write "and" and "or"`
	case has(wantComma) && rest[0] != ']' && has(wantEndArray):
		return "the elements of a list have commas between them"
	}
	if has(wantEndSelector) && rest[0] == '[' {
		return "each part of a field has brackets of its own: [a][b]"
	}
	if w := p.shortWord(); w != "" {
		return "a word without quotes has at least two characters: write \"" + w + "\""
	}
	if has(wantParen) && p.want&wantField == 0 {
		if w := strings.Trim(before(p.src[:p.far]), `"`); w != "" && isLetter(w[0]) {
			return "a word is no value in a condition: write \"" + w + "\" for the string, or the field alone to ask if it is true"
		}
	}
	return ""
}

// blankUpTo reports that only white space stands between an offset and the error.
func (p *parser) blankUpTo(offset int) bool {
	return offset <= p.far && strings.Trim(p.src[offset:p.far], " \t\r\n") == ""
}

// shortWord is the single letter that stands right before the place where more letters, or a plugin's brace, should be.
func (p *parser) shortWord() string {
	text := strings.TrimRight(p.src[:p.far], " \t\r\n")
	n := len(text)
	if p.want&(wantWordRest|wantCodec) == 0 || n < 2 || !isLetter(text[n-1]) || isName(text[n-2]) {
		return ""
	}
	if p.want&wantWordRest != 0 || strings.HasSuffix(strings.TrimRight(text[:n-1], " \t\r\n"), "=>") {
		return text[n-1:]
	}
	return ""
}

func (p *parser) lineColumn(offset int) string {
	pos := p.at(offset)
	pos.File = ""
	return pos.String()
}

// goOn lets the parser read on at an offset after an error.
func (p *parser) goOn(offset int) {
	p.pos, p.far, p.want, p.farOpen, p.resync, p.unclosed = offset, offset, 0, opened{}, -1, -1
}

// recoverStatement goes over a statement that cannot be read. It gives what of it could be read: a branch whose
// condition is wrong. Where it is not clear where the statement ends, the next section is where to go on.
func (p *parser) recoverStatement(start int) Statement {
	if p.stop {
		return nil
	}
	if next := p.nextSection(start); next == start || p.suspicious(start) {
		p.resyncAfter(next)
		return nil
	}
	if brace := p.braceOfBody(start); brace >= 0 {
		p.goOn(brace + 1)
		p.open = append(p.open, opened{"if", start})
		b := &Branch{Pos: p.at(start)}
		p.arm(b, start, nil)
		return b
	}
	far := p.far
	end := p.skip(start)
	if end <= far {
		p.resyncAfter(p.nextSection(max(start+1, far)))
		return nil
	}
	p.goOn(end)
	return nil
}

// recoverSection goes over what is no section.
func (p *parser) recoverSection(start int) {
	if p.stop {
		return
	}
	far := p.far
	if isName(p.src[start]) && !p.suspicious(start) {
		if end := p.skip(start); end > far {
			p.goOn(end)
			return
		}
	}
	p.resyncAfter(p.nextSection(max(start+1, far)))
	if p.resync >= 0 {
		p.goOn(p.resync)
	}
}

// resyncAfter lets all open blocks end and the parser go on at the section that begins at an offset.
func (p *parser) resyncAfter(offset int) {
	if offset < 0 {
		p.stop = true
		return
	}
	p.resync = offset
}

// suspicious reports that the text from start to the error has a string over several lines: it may be that a quote is
// missing, and that what seems to be inside of strings is outside.
func (p *parser) suspicious(start int) bool {
	return p.multiline.start >= start && p.multiline.start < p.far && p.multiline.end > 0
}

// nextSection finds the first line from an offset on that begins with a section. It is negative if there is none.
func (p *parser) nextSection(from int) int {
	for at := from; at < len(p.src); {
		word := at
		for word < len(p.src) && (p.src[word] == ' ' || p.src[word] == '\t') {
			word++
		}
		lineStart := at == 0 || p.src[at-1] == '\n' || strings.Trim(p.src[strings.LastIndexByte(p.src[:at], '\n')+1:at], " \t") == ""
		if lineStart {
			for _, kind := range []Kind{Input, Filter, Output} {
				after, ok := strings.CutPrefix(p.src[word:], string(kind))
				if ok && strings.HasPrefix(strings.TrimLeft(after, " \t\r\n"), "{") {
					return word
				}
			}
		}
		n := strings.IndexByte(p.src[at:], '\n')
		if n < 0 {
			return -1
		}
		at += n + 1
	}
	return -1
}

// braceOfBody finds the opening brace of the body of the branch at start, if the error is in its condition. It must be on
// the line of the error, outside of strings, and something of the condition before it. It is negative if there is none.
func (p *parser) braceOfBody(start int) int {
	head := p.src[start:p.far]
	word := len(head) - len(strings.TrimLeft(head, "abcdefghijklmnopqrstuvwxyz"))
	switch head[:word] {
	case "if", "else", "elseif":
	default:
		return -1
	}
	if strings.Contains(head, "{") || strings.TrimSpace(head[strings.LastIndexByte(head, '\n')+1:]) == "" {
		return -1
	}
	for at := p.far; at < len(p.src); at++ {
		switch p.src[at] {
		case '{':
			return at
		case '\n', '#', '\'', '/':
			return -1
		case '"':
			p.pos = at
			if !p.quoted() || strings.Contains(p.src[at:p.pos], "\n") {
				return -1
			}
			at = p.pos - 1
		}
	}
	return -1
}

// skip finds the end of the statement at start by its braces, with the else that belong to it. It is negative if the
// braces do not fit, or if a section seems to begin before they do.
func (p *parser) skip(start int) int {
	depth := 0
	save := p.pos
	defer func() { p.pos, p.stop = save, false }()
	section := p.nextSection(start + 1)
	for at := start; at < len(p.src); at++ {
		if section >= 0 && at >= section {
			return -1
		}
		switch p.src[at] {
		case '#':
			n := strings.IndexByte(p.src[at:], '\n')
			if n < 0 {
				return -1
			}
			at += n
		case '"', '\'', '/':
			if p.src[at] == '/' && !strings.HasSuffix(strings.TrimRight(p.src[start:at], " \t\r\n"), "~") {
				continue
			}
			p.pos = at
			if !p.delimited(p.src[at], wantQuote) {
				return -1
			}
			at = p.pos - 1
		case '{':
			depth++
		case '}':
			depth--
			if depth > 0 {
				continue
			}
			if depth < 0 {
				return -1
			}
			p.pos = at + 1
			p.blank()
			if !strings.HasPrefix(p.src[p.pos:], "else") {
				return at + 1
			}
			at = p.pos
		}
	}
	return -1
}
