package logstash

import (
	"errors"
	"slices"
	"strings"
	"unsafe"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/regex"
	"github.com/narudata/naru/logstash/syntax"
)

// A condition is compiled. Where it cannot be evaluated it says false, and leaves the reason in w.failed.
type condition func(w *Worker, e *event.Event) bool

// errMissing is why an event is lost by a comparison.
var errMissing = errors.New("values cannot be compared")

func never(*Worker, *event.Event) bool  { return false }
func always(*Worker, *event.Event) bool { return true }

func constant(yes bool) condition {
	if yes {
		return always
	}
	return never
}

func not(c condition) condition {
	return func(w *Worker, e *event.Event) bool { return !c(w, e) }
}

// condition compiles a condition with the meaning it has in Logstash: EventCondition.Compiler, and what
// compiler/lscl.rb makes of the text before. What fails there for its types is a problem.
func (c *compiler) condition(n syntax.Cond) condition {
	switch n := n.(type) {
	case *syntax.Logic:
		return c.logic(n)
	case *syntax.Not:
		if t, ok := n.Cond.(*syntax.Truth); ok {
			if _, isField := t.Value.(*syntax.Selector); !isField {
				return c.refuse(n.Pos, "! stands before a field or a comparison in parentheses, not before a value")
			}
		}
		return not(c.condition(n.Cond))
	case *syntax.Compare:
		if n.Op == syntax.Equal || n.Op == syntax.NotEqual {
			return c.equality(n)
		}
		return c.order(n)
	case *syntax.In:
		in := c.in(n)
		if n.Negated {
			return not(in)
		}
		return in
	case *syntax.Match:
		match := c.match(n)
		if n.Negated {
			return not(match)
		}
		return match
	case *syntax.Truth:
		return c.truth(n)
	}
	return never // beside a syntax error
}

// refuse notes a problem, and gives a condition that is never used.
func (c *compiler) refuse(pos syntax.Pos, format string, args ...any) condition {
	c.errorf(pos, format, args...)
	return never
}

// logic joins two conditions. Each may be a field alone, but no other value alone.
func (c *compiler) logic(n *syntax.Logic) condition {
	for _, side := range []syntax.Cond{n.Left, n.Right} {
		if t, ok := side.(*syntax.Truth); ok {
			if _, isField := t.Value.(*syntax.Selector); !isField {
				return c.refuse(t.Pos, "%s joins fields and comparisons: a value cannot stand alone here", n.Op)
			}
		}
	}
	left, right := c.condition(n.Left), c.condition(n.Right)
	switch n.Op {
	case syntax.And:
		return func(w *Worker, e *event.Event) bool { return left(w, e) && right(w, e) }
	case syntax.Nand:
		return func(w *Worker, e *event.Event) bool { return !(left(w, e) && right(w, e)) }
	case syntax.Xor:
		return func(w *Worker, e *event.Event) bool { return left(w, e) != right(w, e) }
	default:
		return func(w *Worker, e *event.Event) bool {
			return left(w, e) || w.failed == nil && right(w, e)
		}
	}
}

func (c *compiler) truth(n *syntax.Truth) condition {
	switch v := n.Value.(type) {
	case *syntax.Selector:
		r := c.ref(v)
		return func(_ *Worker, e *event.Event) bool { return e.Get(r).Truthy() }
	case *syntax.Call:
		return c.refuse(n.Pos, "conditions have no calls: %s(…)", v.Name)
	case *syntax.Regexp:
		return c.refuse(n.Pos, "a regular expression alone is no condition: write [field] =~ /%s/", v.Pattern)
	}
	constantly := c.value(n.Value)
	c.warnf(n.Pos, "this condition is always %t", constantly.Truthy())
	return constant(constantly.Truthy())
}

// ref compiles the reference to a field.
func (c *compiler) ref(s *syntax.Selector) *event.Ref {
	r, err := c.o.EscapeStyle.Parse(s.Text)
	if err != nil {
		c.errorf(s.Pos, "%v", err)
		r, _ = event.ParseRef("x")
	}
	return r
}

// value gives a constant. A text that is a variable and nothing else has the variable's value.
func (c *compiler) value(v syntax.Value) event.Value {
	switch v := v.(type) {
	case *syntax.String:
		return event.StringValue(c.variable(v))
	case *syntax.Bareword:
		return event.StringValue(v.Text)
	case *syntax.Number:
		if v.IsFloat {
			return event.FloatValue(v.Float)
		}
		return event.IntValue(v.Int)
	case *syntax.Array:
		list := make([]event.Value, len(v.Values))
		for i, e := range v.Values {
			list[i] = c.value(e)
		}
		return event.ListValue(list)
	case *syntax.Hash, *syntax.Plugin:
		c.errorf(v.At(), "conditions compare with strings, numbers and lists of them")
	case *syntax.Call:
		c.errorf(v.Pos, "conditions have no calls: %s(…)", v.Name)
	}
	return event.NullValue
}

func (c *compiler) variable(s *syntax.String) string {
	if !option.Variable(s.Value) {
		return s.Value
	}
	text, err := syntax.Expand(s.Value, c.o.lookup)
	if err != nil {
		c.errorf(s.Pos, "%v", err)
	}
	return text
}

// equality compiles == and !=. Of a list on the right the original takes the first text or number.
func (c *compiler) equality(n *syntax.Compare) condition {
	left, right, ok := c.operands(n)
	if !ok {
		return never
	}
	var eq condition
	field, isField := left.(*syntax.Selector)
	other, isOther := right.(*syntax.Selector)
	switch {
	case isField && isOther:
		a, b := c.ref(field), c.ref(other)
		eq = func(_ *Worker, e *event.Event) bool { return event.Equal(e.Get(a), e.Get(b)) }
	case isField:
		eq = equals(c.ref(field), c.value(right))
	case isOther:
		eq = equals(c.ref(other), c.value(left))
	default:
		eq = constant(event.Equal(c.value(left), c.value(right)))
		c.warnf(n.Pos, "this condition compares two constants: it is the same for all events")
	}
	if n.Op == syntax.NotEqual {
		return not(eq)
	}
	return eq
}

// operands gives the two sides of a comparison, as the original picks them from the text.
func (c *compiler) operands(n *syntax.Compare) (left, right syntax.Value, ok bool) {
	left, right = n.Left, n.Right
	if list, isList := right.(*syntax.Array); isList {
		first := firstOf(list)
		if first == nil {
			c.errorf(list.Pos, "%s cannot compare with an empty list", n.Op)
			return nil, nil, false
		}
		if len(list.Values) > 1 {
			c.warnf(list.Pos, "%s compares with the first element of the list only: use in", n.Op)
		}
		right = first
	}
	for _, v := range []syntax.Value{left, right} {
		switch v := v.(type) {
		case *syntax.Selector, *syntax.String, *syntax.Number:
		case *syntax.Regexp:
			c.errorf(v.Pos, "%s cannot compare with a regular expression: use =~", n.Op)
			return nil, nil, false
		case *syntax.Array:
			c.errorf(v.Pos, "%s cannot have a list on its left: use in", n.Op)
			return nil, nil, false
		default:
			c.value(v)
			return nil, nil, false
		}
	}
	return left, right, true
}

// firstOf is the first text or number in a list, however deep.
func firstOf(list *syntax.Array) syntax.Value {
	for _, v := range list.Values {
		switch v := v.(type) {
		case *syntax.String, *syntax.Number:
			return v
		case *syntax.Array:
			if first := firstOf(v); first != nil {
				return first
			}
		}
	}
	return nil
}

func equals(r *event.Ref, want event.Value) condition {
	if want.Kind() == event.String {
		text := want.Str()
		return func(_ *Worker, e *event.Event) bool {
			v := e.Get(r)
			return v.Kind() == event.String && v.Str() == text
		}
	}
	return func(_ *Worker, e *event.Event) bool { return event.Equal(e.Get(r), want) }
}

// order compiles <, >, <= and >=. A comparison that is not possible loses the event.
func (c *compiler) order(n *syntax.Compare) condition {
	left, right, ok := c.operands(n)
	if !ok {
		return never
	}
	holds := map[syntax.CompareOp]func(int) bool{
		syntax.Less:           func(c int) bool { return c < 0 },
		syntax.LessOrEqual:    func(c int) bool { return c <= 0 },
		syntax.Greater:        func(c int) bool { return c > 0 },
		syntax.GreaterOrEqual: func(c int) bool { return c >= 0 },
	}
	op := n.Op
	field, isField := left.(*syntax.Selector)
	other, isOther := right.(*syntax.Selector)
	if !isField && isOther { // the field is compared with the constant, the other way round
		field, isField, isOther = other, true, false
		right = left
		op = map[syntax.CompareOp]syntax.CompareOp{
			syntax.Less: syntax.Greater, syntax.LessOrEqual: syntax.GreaterOrEqual,
			syntax.Greater: syntax.Less, syntax.GreaterOrEqual: syntax.LessOrEqual,
		}[op]
	}
	test := holds[op]
	switch {
	case isField && isOther:
		a, b := c.ref(field), c.ref(other)
		return func(w *Worker, e *event.Event) bool { return w.compare(e.Get(a), e.Get(b), test) }
	case isField:
		r, want := c.ref(field), c.value(right)
		return func(w *Worker, e *event.Event) bool { return w.compare(e.Get(r), want, test) }
	}
	a, b := c.value(left), c.value(right)
	if a.Kind() != b.Kind() {
		return c.refuse(n.OpPos, "%s cannot compare %s with %s", n.Op, a.Kind(), b.Kind())
	}
	result, err := event.Compare(a, b)
	if err != nil {
		return c.refuse(n.OpPos, "%s: %v", n.Op, err)
	}
	c.warnf(n.Pos, "this condition compares two constants: it is the same for all events")
	return constant(test(result))
}

func (w *Worker) compare(a, b event.Value, test func(int) bool) bool {
	if !a.Is() || !b.Is() {
		w.failed = errMissing // the usual reason, without making an error of it
		return false
	}
	result, err := event.Compare(a, b)
	if err != nil {
		w.failed = err
		return false
	}
	return test(result)
}

// match compiles =~. Only texts match; variables are not replaced in patterns.
func (c *compiler) match(n *syntax.Match) condition {
	var pattern string
	switch p := n.Pattern.(type) {
	case *syntax.Regexp:
		pattern = p.Pattern
	case *syntax.String:
		pattern = p.Value
	default:
		return never
	}
	re, err := regex.Compile(pattern, regex.Options{})
	if err != nil {
		return c.refuse(n.Pattern.At(), "%v", err)
	}
	switch left := n.Left.(type) {
	case *syntax.Selector:
		r := c.ref(left)
		return func(w *Worker, e *event.Event) bool {
			v := e.Get(r)
			return v.Kind() == event.String && w.matches(re, v.Str())
		}
	case *syntax.String:
		c.warnf(n.Pos, "this condition matches a constant: it is the same for all events")
		ok, err := re.Match([]byte(c.variable(left)), 0, new(regex.Match))
		return constant(ok && err == nil)
	}
	return c.refuse(n.Left.At(), "=~ and !~ have a field on the left")
}

// matches looks for a pattern in a text. A match that takes too many steps is none.
func (w *Worker) matches(re *regex.Regexp, s string) bool {
	ok, err := re.Match(unsafe.Slice(unsafe.StringData(s), len(s)), 0, &w.found) //nolint:gosec // read only
	if err != nil {
		w.slow(re, err)
	}
	return ok
}

// in compiles "in". What it does depends on what stands on its sides:
//
//	field in "text"     the field is a text and the text contains it
//	field in [list]     one of the list prints as the field does
//	"text" in field     the field is a text that contains it, or a list that has it
//	number in field     the field is a list that has it
//	field in field      text in text, or an element of a list, or equal
func (c *compiler) in(n *syntax.In) condition {
	for _, v := range []syntax.Value{n.Item, n.List} {
		switch v := v.(type) {
		case *syntax.Regexp:
			return c.refuse(v.Pos, "in does not take regular expressions: use =~")
		case *syntax.Call:
			return c.refuse(v.Pos, "conditions have no calls: %s(…)", v.Name)
		}
	}
	item, isField := n.Item.(*syntax.Selector)
	list, isOther := n.List.(*syntax.Selector)
	switch {
	case isField && isOther:
		return fieldInField(c.ref(item), c.ref(list))
	case isField:
		return fieldIn(c.ref(item), c.value(n.List))
	case isOther:
		if _, ok := n.Item.(*syntax.Array); ok {
			return c.refuse(n.Item.At(), "in cannot look for a list in a field")
		}
		return constantIn(c.value(n.Item), c.ref(list))
	}
	a, b := c.value(n.Item), c.value(n.List)
	c.warnf(n.Pos, "in between two constants only says if they are equal")
	return constant(event.Equal(a, b))
}

func fieldIn(r *event.Ref, in event.Value) condition {
	if in.Kind() != event.List {
		text := printed(in)
		return func(_ *Worker, e *event.Event) bool {
			v := e.Get(r)
			return v.Kind() == event.String && strings.Contains(text, v.Str())
		}
	}
	texts := make([]string, len(in.List()))
	for i, v := range in.List() {
		texts[i] = printed(v)
	}
	return func(w *Worker, e *event.Event) bool {
		switch v := e.Get(r); v.Kind() {
		case event.Absent, event.List, event.Map:
			return false
		case event.String:
			return slices.Contains(texts, v.Str())
		case event.Float:
			return slices.Contains(texts, option.Text(v.Float()))
		default:
			w.text = v.AppendText(w.text[:0])
			return slices.ContainsFunc(texts, func(s string) bool { return s == string(w.text) })
		}
	}
}

// printed is a constant as Java prints it.
func printed(v event.Value) string { return v.Text() }

func constantIn(v event.Value, r *event.Ref) condition {
	text, isText := v.Str(), v.Kind() == event.String
	return func(_ *Worker, e *event.Event) bool {
		switch in := e.Get(r); in.Kind() {
		case event.String:
			return isText && strings.Contains(in.Str(), text)
		case event.List:
			return contains(in.List(), v)
		default:
			return false
		}
	}
}

func contains(list []event.Value, v event.Value) bool {
	for i := range list {
		if event.Equal(list[i], v) {
			return true
		}
	}
	return false
}

// fieldInField is false for a missing field. Where that is looked for in a list, the original stops.
func fieldInField(item, list *event.Ref) condition {
	return func(_ *Worker, e *event.Event) bool {
		v, in := e.Get(item), e.Get(list)
		switch {
		case !v.Is(), v.Kind() == event.List, v.Kind() == event.Map:
			return false
		case v.Kind() == event.String && in.Kind() == event.String:
			return strings.Contains(in.Str(), v.Str())
		case in.Kind() == event.List:
			return contains(in.List(), v)
		}
		return event.Equal(v, in)
	}
}
