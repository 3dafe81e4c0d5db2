package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/narudata/naru/estate/convert"
)

// writeConverted writes what came of a conversion: the objects, what was lost of them, what is left, and how it is let go.
func writeConverted(w io.Writer, width int, r *convert.Result) error {
	p := &pages{w: w}
	if len(r.Objects) > 0 {
		t := table{columns: []column{{title: "KIND"}, {title: "NAME", shrink: true}, {title: "FROM", shrink: true}}}
		for i := range r.Objects {
			o := &r.Objects[i]
			t.row(string(o.Kind), printable(o.Name), printable(someNames(o.From, 2)))
		}
		p.table(&t, width)
	} else {
		p.line("Nothing to declare.")
	}
	noted := false
	for i := range r.Objects {
		o := &r.Objects[i]
		for _, n := range o.Notes {
			if !noted {
				p.line("\nNot quite the same:")
			}
			noted = true
			p.line("  %s  %s", printable(o.Key.String()), printable(n))
		}
	}
	p.left(r)
	for i, s := range r.Handover {
		if i == 0 {
			p.line("\nHow they change hands, in this order:")
		}
		p.line("%d. %s", i+1, printable(s.What))
		for _, c := range s.Commands {
			p.line("     %s", printable(c))
		}
		for l := range strings.Lines(s.Removed) {
			p.line("     %s", printable(strings.TrimSuffix(l, "\n")))
		}
	}
	return p.err
}

// pages writes lines until one fails.
type pages struct {
	w   io.Writer
	err error
}

func (p *pages) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *pages) table(t *table, width int) {
	if p.err == nil {
		p.err = t.write(p.w, width)
	}
}

// left lists what is not converted: what is configuration by itself, the rest in one line for each sort.
func (p *pages) left(r *convert.Result) {
	for _, part := range []struct {
		title  string
		causes []convert.Cause
	}{
		{"Left over:", []convert.Cause{convert.NoHome, convert.Secret}},
		{"Not touched:", []convert.Cause{convert.Elsewhere, convert.System}},
	} {
		begun := false
		for _, l := range r.Left {
			if l.Cause != part.causes[0] && l.Cause != part.causes[1] {
				continue
			}
			if !begun {
				p.line("\n%s", part.title)
			}
			begun = true
			of := ""
			if l.Count > 1 {
				of = fmt.Sprintf(" (%d)", l.Count)
			}
			p.line("  %s%s: %s", printable(l.What), of, printable(l.Why))
		}
	}
}
