package logstash

import (
	"fmt"
	"strings"
	"unicode"
)

// Sizes of the picture, in pixels.
const (
	boxWidth   = 300
	lineHeight = 16
	boxPad     = 10
	gapDown    = 28
	gapRight   = 52 // with the word "yes" in it
	railGap    = 18
	exitDrop   = 14
	margin     = 24
	titleRoom  = 34
	boxChars   = 38 // of a monospaced font of 12 pixels
	condLines  = 6
)

// SVG gives the graph as a picture that stands alone. Events go down: where a condition holds they go to the right, and come
// back below the last arm; what a box leaves out is in its title.
//
//	┌───────────┐ yes ┌────────┐
//	│ if …      │────▶│ plugin │
//	└───────────┘     └────────┘
//	      │ no             └─────┐
//	┌───────────┐ yes ┌────────┐ │
//	│ else if … │────▶│ plugin │ │
//	└───────────┘     └────────┘ │
//	      │ no             └─────┤
//	      ├──────────────────────┘
//	      ▼
func (g *Graph) SVG() string {
	var p picture
	y, entry := margin, -1
	if len(g.inputs) > 0 {
		top := y
		y += titleRoom
		y, entry = p.inputs(g.inputs, y)
		y = p.band("input", top, y)
	}
	for _, s := range []struct {
		name string
		body []graphNode
	}{{"filter", g.filters}, {"output", g.outputs}} {
		if len(s.body) == 0 {
			continue
		}
		top := y
		y += titleRoom
		if entry >= 0 {
			p.line(true, "", point{spine(margin * 2), entry}, point{spine(margin * 2), y})
		}
		b := p.body(s.body, margin*2, y)
		entry = b.bottom
		if b.ends {
			entry = -1
		}
		y = p.band(s.name, top, b.bottom+gapDown/2)
	}
	return p.text(y)
}

type point struct{ x, y int }

// A picture collects what is drawn: boxes, lines above them, and bands below.
type picture struct {
	bands, boxes, lines strings.Builder
	right               int // the rightmost place that is used
	waiting             []bandAt
}

type bandAt struct {
	name        string
	top, bottom int
}

// spine is where the way of a column is whose boxes begin at x.
func spine(x int) int { return x + boxWidth/2 }

// band notes the background of a section, and gives where the next one begins.
func (p *picture) band(name string, top, bottom int) int {
	p.waiting = append(p.waiting, bandAt{name, top, bottom})
	return bottom + margin
}

// box draws a box of lines, the first one bold, and gives its height.
func (p *picture) box(class, title string, x, y int, lines []string) int {
	h := 2*boxPad + lineHeight*len(lines)
	p.right = max(p.right, x+boxWidth)
	radius := 4
	if class == "condition" {
		radius = 14
	}
	fmt.Fprintf(&p.boxes, "<g class=\"%s\"><title>%s</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/>", class, xmlText(title), x, y, boxWidth, h, radius)
	for i, l := range lines {
		bold := ""
		if i == 0 && class != "condition" {
			bold = " class=\"name\""
		}
		fmt.Fprintf(&p.boxes, "<text%s x=\"%d\" y=\"%d\">%s</text>", bold, x+boxPad, y+boxPad+12+i*lineHeight, xmlText(l))
	}
	p.boxes.WriteString("</g>\n")
	return h
}

// line draws a way through points, with an arrow at its end, and a word near its beginning.
func (p *picture) line(arrow bool, word string, points ...point) {
	var d strings.Builder
	for i, pt := range points {
		fmt.Fprintf(&d, "%c%d %d", "ML"[min(i, 1)], pt.x, pt.y)
		p.right = max(p.right, pt.x)
	}
	end := ""
	if arrow {
		end = ` marker-end="url(#arrow)"`
	}
	fmt.Fprintf(&p.lines, "<path d=\"%s\"%s/>\n", d.String(), end)
	if word != "" {
		at := point{points[0].x + 8, points[0].y - 5} // above a way to the right
		if points[0].x == points[1].x {
			at.y = points[0].y + 14 // beside a way down
		}
		fmt.Fprintf(&p.lines, "<text x=\"%d\" y=\"%d\">%s</text>\n", at.x, at.y, word)
	}
}

// inputs draws inputs below each other, whose ways join at the bottom.
func (p *picture) inputs(nodes []graphNode, y int) (bottom, exit int) {
	x := margin * 2
	if len(nodes) == 1 {
		h := p.plugin("input", &nodes[0], x, y)
		return y + h + gapDown/2, y + h
	}
	rail := x + boxWidth + railGap
	var outs []int
	for i := range nodes {
		h := p.plugin("input", &nodes[i], x, y)
		outs = append(outs, y+2*boxPad)
		y += h + gapDown/2
	}
	for _, out := range outs {
		p.line(false, "", point{x + boxWidth, out}, point{rail, out})
	}
	p.line(false, "", point{rail, outs[0]}, point{rail, y}, point{spine(x), y})
	return y + gapDown/2, y
}

// plugin draws a plugin, and gives its height.
func (p *picture) plugin(class string, n *graphNode, x, y int) int {
	lines := []string{clip(n.name, boxChars)}
	for i, o := range n.options {
		if i == mostOptions {
			lines = append(lines, fmt.Sprintf("… %d more", len(n.options)-i))
			break
		}
		lines = append(lines, clipWidth(o, boxChars))
	}
	if n.ends {
		class = "ends"
	}
	return p.box(class, n.at+"\n"+n.name+"\n"+strings.Join(n.options, "\n"), x, y, lines)
}

// A drawnBody is where a body ends: its lowest place, which is on its spine unless it ends.
type drawnBody struct {
	bottom int
	right  int
	ends   bool
}

// body draws nodes below each other, from (x, y) on.
func (p *picture) body(nodes []graphNode, x, y int) drawnBody {
	b := drawnBody{bottom: y, right: x + boxWidth}
	for i := range nodes {
		n := &nodes[i]
		if i > 0 {
			y = b.bottom + gapDown
			if !b.ends {
				p.line(true, "", point{spine(x), b.bottom}, point{spine(x), y})
			}
		}
		b.ends = n.ends
		if n.arms == nil {
			b.bottom = y + p.plugin("plugin", n, x, y)
			continue
		}
		bottom, right := p.branch(n, x, y)
		b.bottom, b.right = bottom, max(b.right, right)
	}
	return b
}

// branch draws conditions below each other with their bodies on the right.
func (p *picture) branch(n *graphNode, x, y int) (bottom, right int) {
	right = x + boxWidth
	var exits []point
	last := y
	for i := range n.arms {
		arm := &n.arms[i]
		if i > 0 {
			p.line(true, "no", point{spine(x), last}, point{spine(x), y})
		}
		lines, class := []string{"else"}, "else"
		if arm.cond != "" {
			lines, class = wrapped(arm.word+" "+arm.cond, boxChars, condLines), "condition"
		}
		h := p.box(class, arm.at+"\n"+arm.word+" "+arm.cond, x, y, lines)
		word := "yes"
		if arm.cond == "" {
			word = ""
		}
		to := x + boxWidth + gapRight
		p.line(true, word, point{x + boxWidth, y + 2*boxPad - 2}, point{to, y + 2*boxPad - 2})
		var inner drawnBody
		if len(arm.body) == 0 {
			inner = drawnBody{bottom: y + p.box("empty", arm.at+"\nnothing", to, y, []string{"(nothing)"}), right: to + boxWidth}
		} else {
			inner = p.body(arm.body, to, y)
		}
		right = max(right, inner.right)
		last = y + h
		low := max(last, inner.bottom)
		if !inner.ends && !n.last {
			exits = append(exits, point{spine(to), inner.bottom})
			low = max(last, inner.bottom+exitDrop)
		}
		if i+1 == len(n.arms) && arm.cond != "" {
			low = max(low, last+exitDrop) // room for the word no
		}
		bottom = low
		y = low + gapDown
	}
	if len(exits) > 0 {
		right += railGap
		bottom += exitDrop
		for _, e := range exits {
			p.line(false, "", e, point{e.x, e.y + exitDrop}, point{right, e.y + exitDrop})
		}
		p.line(false, "", point{right, exits[0].y + exitDrop}, point{right, bottom}, point{spine(x), bottom})
	}
	if n.arms[len(n.arms)-1].cond != "" && !n.last {
		p.line(false, "no", point{spine(x), last}, point{spine(x), bottom})
	}
	return bottom, right
}

// text gives the picture; bottom is its height.
func (p *picture) text(bottom int) string {
	width := max(p.right, margin+boxWidth) + 2*margin
	for _, b := range p.waiting {
		fmt.Fprintf(&p.bands, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/><text x=\"%d\" y=\"%d\">%s</text>\n",
			margin, b.top, width-2*margin, b.bottom-b.top, margin+12, b.top+20, b.name)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d">
<style>
text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #222; white-space: pre }
.name { font-weight: bold }
.plugin rect { fill: #eef4fb; stroke: #4a78a8 }
.input rect { fill: #eef7ee; stroke: #4c8a4c }
.condition rect, .else rect { fill: #fff4d6; stroke: #b58900 }
.ends rect { fill: #fbeaea; stroke: #a84a4a }
.empty rect { fill: #fff; stroke: #999; stroke-dasharray: 4 3 }
.bands rect { fill: #f7f7f7; stroke: #ddd }
.bands text { fill: #777; font-weight: bold }
.ways path { fill: none; stroke: #555 }
.ways text { fill: #555; font-size: 11px }
</style>
<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>
<rect width="100%%" height="100%%" fill="#fff"/>
<g class="bands">
%[3]s</g>
<g class="ways">
%[4]s</g>
%[5]s</svg>
`, width, bottom, p.bands.String(), p.lines.String(), p.boxes.String())
}

// wrapped breaks text into lines of at most n columns, at spaces where there are some; the last of most lines says if there
// is more.
func wrapped(s string, n, most int) []string {
	var out []string
	line := ""
	for word := range strings.SplitSeq(s, " ") {
		for line != "" && columnsOf(line)+1+columnsOf(word) > n {
			out, line = append(out, line), ""
		}
		if line != "" {
			word = line + " " + word
		}
		for columnsOf(word) > n {
			head, rest := cutColumns(word, n)
			out, word = append(out, head), rest
		}
		line = word
	}
	out = append(out, line)
	if len(out) > most {
		out = append(out[:most-1], "…")
	}
	return out
}

func clipWidth(s string, n int) string {
	if columnsOf(s) <= n {
		return s
	}
	head, _ := cutColumns(s, n-1)
	return head + "…"
}

// cutColumns cuts a text behind n columns, at least one character.
func cutColumns(s string, n int) (head, rest string) {
	used := 0
	for i, r := range s {
		if used += columnOf(r); used > n && i > 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// columnOf is how many columns of a monospaced font a character takes.
func columnOf(r rune) int {
	if r >= 0x1100 && (unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) || r >= 0x1f300 && r <= 0x1faff || r >= 0xff00 && r <= 0xff60) {
		return 2
	}
	return 1
}

func columnsOf(s string) int {
	n := 0
	for _, r := range s {
		n += columnOf(r)
	}
	return n
}

// xmlText makes text safe in XML: what XML cannot have becomes a question mark.
func xmlText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0xfffe || r == 0xffff {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return xmlEscapes.Replace(s)
}

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
