package syntax

import "strings"

// A plain interpreter of the grammar, written down rule by rule as lscl_grammar.treetop has them, with memory. It knows
// nothing of errors but the furthest place where a terminal did not fit, which is what Treetop reports. The parser must
// accept what it accepts, and put its first error there.

type peg struct {
	src  string
	far  int
	memo map[pegKey]int
}

type pegKey struct {
	rule string
	at   int
}

// rule gives the end of what it matches at a place, or -1.
type rule func(g *peg, at int) int

func (g *peg) failed(at int) int {
	g.far = max(g.far, at)
	return -1
}

func lit(s string) rule {
	return func(g *peg, at int) int {
		if strings.HasPrefix(g.src[at:], s) {
			return at + len(s)
		}
		return g.failed(at)
	}
}

func class(in func(c byte) bool) rule {
	return func(g *peg, at int) int {
		if at < len(g.src) && in(g.src[at]) {
			return at + 1
		}
		return g.failed(at)
	}
}

func seq(rules ...rule) rule {
	return func(g *peg, at int) int {
		for _, r := range rules {
			if at = r(g, at); at < 0 {
				return -1
			}
		}
		return at
	}
}

func alt(rules ...rule) rule {
	return func(g *peg, at int) int {
		for _, r := range rules {
			if end := r(g, at); end >= 0 {
				return end
			}
		}
		return -1
	}
}

func star(r rule) rule {
	return func(g *peg, at int) int {
		for {
			end := r(g, at)
			if end <= at {
				return at
			}
			at = end
		}
	}
}

func plus(r rule) rule { return seq(r, star(r)) }

func opt(r rule) rule {
	return func(g *peg, at int) int { return max(at, r(g, at)) }
}

func not(r rule) rule {
	return func(g *peg, at int) int {
		if r(g, at) >= 0 {
			return g.failed(at)
		}
		return at
	}
}

func ref(name string) rule {
	return func(g *peg, at int) int {
		k := pegKey{name, at}
		if end, ok := g.memo[k]; ok {
			return end
		}
		end := grammar()[name](g, at)
		g.memo[k] = end
		return end
	}
}

var rules map[string]rule

func grammar() map[string]rule {
	if rules != nil {
		return rules
	}
	anything := class(func(byte) bool { return true })
	cs, value, body := ref("cs"), ref("value"), seq(lit("{"), ref("cs"), star(seq(ref("statement"), ref("cs"))), lit("}"))
	letter := class(func(c byte) bool { return strings.IndexByte(letters+"_", c) >= 0 })
	word := class(func(c byte) bool { return strings.IndexByte(letters+"_0123456789", c) >= 0 })
	digit := class(func(c byte) bool { return strings.IndexByte("0123456789", c) >= 0 })
	quotes := func(q, escaped string) rule {
		return seq(lit(q), star(alt(lit(escaped), seq(not(lit(q)), anything))), lit(q))
	}
	rv := ref("rvalue")
	list := func(item rule) rule { return opt(seq(item, star(seq(cs, lit(","), cs, item)))) }
	rules = map[string]rule{
		"config":  seq(star(seq(cs, ref("section"))), cs),
		"eol":     alt(seq(opt(lit("\r")), lit("\n")), not(anything)),
		"comment": plus(seq(opt(ref("space")), lit("#"), star(class(func(c byte) bool { return c != '\r' && c != '\n' })), ref("eol"))),
		"cs":      star(alt(ref("comment"), ref("space"))),
		"space":   plus(class(func(c byte) bool { return strings.IndexByte(" \t\r\n", c) >= 0 })),
		"section": seq(alt(lit("input"), lit("filter"), lit("output")), cs, body),

		"statement": alt(ref("branch"), ref("plugin")),
		"plugin": seq(ref("name"), cs, lit("{"), cs,
			opt(seq(ref("attribute"), star(seq(ref("space"), cs, ref("attribute"))))), cs, lit("}")),
		"name":      alt(plus(class(func(c byte) bool { return strings.IndexByte(letters+"_-0123456789", c) >= 0 })), ref("string")),
		"attribute": seq(ref("name"), cs, lit("=>"), cs, value),
		"value":     alt(ref("plugin"), ref("bareword"), ref("string"), ref("number"), ref("array"), ref("hash")),
		"bareword":  seq(letter, plus(word)),
		"string":    alt(quotes(`"`, `\"`), quotes(`'`, `\'`)),
		"regexp":    quotes("/", `\/`),
		"number":    seq(opt(lit("-")), plus(digit), opt(seq(lit("."), star(digit)))),
		"array":     seq(lit("["), cs, list(value), cs, lit("]")),
		"hash":      seq(lit("{"), cs, opt(seq(ref("entry"), star(seq(cs, ref("entry"))))), cs, lit("}")),
		"entry":     seq(alt(ref("number"), ref("bareword"), ref("string")), cs, lit("=>"), cs, value),

		"branch":     seq(lit("if"), cs, ref("condition"), cs, body, star(seq(cs, ref("elseif"))), opt(seq(cs, lit("else"), cs, body))),
		"elseif":     seq(lit("else"), cs, lit("if"), cs, ref("condition"), cs, body),
		"condition":  seq(ref("expression"), star(seq(cs, alt(lit("and"), lit("or"), lit("xor"), lit("nand")), cs, ref("expression")))),
		"expression": alt(ref("group"), seq(lit("!"), cs, ref("group")), seq(lit("!"), cs, ref("selector")), ref("in"), ref("notin"), ref("compare"), ref("match"), rv),
		"group":      seq(lit("("), cs, ref("condition"), cs, lit(")")),
		"in":         seq(rv, cs, lit("in"), cs, rv),
		"notin":      seq(rv, cs, lit("not "), cs, lit("in"), cs, rv),
		"compare":    seq(rv, cs, alt(lit("=="), lit("!="), lit("<="), lit(">="), lit("<"), lit(">")), cs, rv),
		"match":      seq(rv, cs, alt(lit("=~"), lit("!~")), cs, alt(ref("string"), ref("regexp"))),
		"rvalue":     alt(ref("string"), ref("number"), ref("selector"), ref("array"), ref("call"), ref("regexp")),
		"call":       seq(ref("bareword"), cs, lit("("), cs, list(rv), cs, lit(")")),
		"selector":   plus(seq(lit("["), plus(class(func(c byte) bool { return strings.IndexByte("[],", c) < 0 })), lit("]"))),
	}
	return rules
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// pegParse reports if the grammar accepts a text, and if not, the offset of the furthest failure.
func pegParse(src string) (ok bool, far int) {
	g := &peg{src: src, memo: map[pegKey]int{}}
	return ref("config")(g, 0) == len(src), g.far
}
