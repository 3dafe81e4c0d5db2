package agent

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/narudata/naru/format/filebeat"
	"github.com/narudata/naru/format/tree"
)

// A Condition says of an event whether something is done with it.
type Condition func(e *Event) bool

// readCondition reads what stands under when and if: one of the conditions that Beats have. nil: it is wrong, which is said.
func readCondition(s *filebeat.Section) Condition {
	var all []Condition
	for _, m := range s.Node.Members {
		s.Know(m.Name)
		var c Condition
		switch m.Name {
		case "and", "or":
			var of []Condition
			for _, sub := range s.Sections(m.Name) {
				if c := readCondition(sub); c != nil {
					of = append(of, c)
				}
			}
			c = allOf(of)
			if m.Name == "or" {
				c = anyOf(of)
			}
		case "not":
			if of := readCondition(s.Sub("not")); of != nil {
				c = func(e *Event) bool { return !of(e) }
			}
		case "has_fields":
			names := s.Texts("has_fields")
			c = func(e *Event) bool {
				for _, n := range names {
					if _, ok := e.Get(n); !ok {
						return false
					}
				}
				return true
			}
		case "equals", "contains", "regexp", "range", "network":
			c = readComparisons(s, m)
		default:
			s.Say(filebeat.Wrong, m.Name, "expected a condition: equals, contains, regexp, range, network, has_fields, and, or, not", "")
			continue
		}
		if c == nil {
			return nil
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		s.Say(filebeat.Wrong, "", "expected a condition: equals, contains, regexp, range, network, has_fields, and, or, not", "")
		return nil
	}
	return allOf(all)
}

func allOf(of []Condition) Condition {
	return func(e *Event) bool {
		for _, c := range of {
			if !c(e) {
				return false
			}
		}
		return true
	}
}

func anyOf(of []Condition) Condition {
	return func(e *Event) bool {
		for _, c := range of {
			if c(e) {
				return true
			}
		}
		return false
	}
}

// leaf is a field's name and what it is compared with.
type leaf struct {
	name string
	node *filebeat.Node
}

// leaves gives the fields of a map of maps, with whole names.
func leaves(n *filebeat.Node, prefix string, out []leaf) []leaf {
	for _, m := range n.Members {
		if m.Value.Kind == filebeat.Map {
			out = leaves(m.Value, prefix+m.Name+".", out)
			continue
		}
		out = append(out, leaf{prefix + m.Name, m.Value})
	}
	return out
}

func readComparisons(s *filebeat.Section, m filebeat.Member) Condition {
	if m.Value.Kind != filebeat.Map || len(m.Value.Members) == 0 {
		s.Say(filebeat.Wrong, m.Name, "expected names of fields and what they are compared with", "")
		return nil
	}
	var all []Condition
	for _, l := range leaves(m.Value, "", nil) {
		var c Condition
		var err error
		switch m.Name {
		case "equals":
			c = equals(l)
		case "contains":
			c, err = contains(l)
		case "regexp":
			c, err = matches(l)
		case "range":
			c, err = inRange(l)
		case "network":
			c, err = inNetwork(l)
		}
		if err != nil {
			s.Doc.Say(filebeat.Problem{Place: l.node.Place, Level: filebeat.Wrong, Setting: m.Name + "." + l.name, Text: err.Error()})
			return nil
		}
		all = append(all, c)
	}
	return allOf(all)
}

func equals(l leaf) Condition {
	want := l.node.Value()
	return func(e *Event) bool {
		v, ok := e.Get(l.name)
		if !ok {
			return false
		}
		switch want := want.(type) {
		case bool:
			return v == want || tree.Text(v) == fmt.Sprint(want)
		case string:
			return tree.Text(v) == want
		}
		a, okA := number(want)
		b, okB := number(v)
		return okA && okB && a == b
	}
}

// texts gives a field as texts: one, or those of a list.
func texts(e *Event, name string, yield func(string) bool) bool {
	v, ok := e.Get(name)
	if !ok {
		return false
	}
	if list, ok := v.([]any); ok {
		for _, v := range list {
			if s, ok := v.(string); ok && yield(s) {
				return true
			}
		}
		return false
	}
	switch v.(type) {
	case tree.Object, nil:
		return false
	}
	return yield(tree.Text(v))
}

func contains(l leaf) (Condition, error) {
	want, ok := l.node.Texts()
	if !ok || len(want) == 0 {
		return nil, fmt.Errorf("expected a text")
	}
	return func(e *Event) bool {
		return texts(e, l.name, func(s string) bool {
			for _, w := range want {
				if strings.Contains(s, w) {
					return true
				}
			}
			return false
		})
	}, nil
}

func matches(l leaf) (Condition, error) {
	want, ok := l.node.Texts()
	if !ok || len(want) != 1 {
		return nil, fmt.Errorf("expected one regular expression")
	}
	re, err := regexp.Compile(want[0])
	if err != nil {
		return nil, err
	}
	return func(e *Event) bool { return texts(e, l.name, re.MatchString) }, nil
}

func inRange(l leaf) (Condition, error) {
	dot := strings.LastIndexByte(l.name, '.')
	bound, ok := number(l.node.Value())
	if dot < 0 || !ok {
		return nil, fmt.Errorf("expected gte, gt, lte or lt with a number")
	}
	name, op := l.name[:dot], l.name[dot+1:]
	var holds func(v float64) bool
	switch op {
	case "gte":
		holds = func(v float64) bool { return v >= bound }
	case "gt":
		holds = func(v float64) bool { return v > bound }
	case "lte":
		holds = func(v float64) bool { return v <= bound }
	case "lt":
		holds = func(v float64) bool { return v < bound }
	default:
		return nil, fmt.Errorf("expected gte, gt, lte or lt, found %q", op)
	}
	return func(e *Event) bool {
		v, _ := e.Get(name)
		f, ok := number(v)
		return ok && holds(f)
	}, nil
}

// networks are those that conditions have names for.
var networks = map[string]func(netip.Addr) bool{
	"loopback":           netip.Addr.IsLoopback,
	"private":            netip.Addr.IsPrivate,
	"unspecified":        netip.Addr.IsUnspecified,
	"link_local_unicast": netip.Addr.IsLinkLocalUnicast,
	"multicast":          netip.Addr.IsMulticast,
	"global_unicast":     netip.Addr.IsGlobalUnicast,
	"unicast":            netip.Addr.IsGlobalUnicast,
	"public":             func(a netip.Addr) bool { return a.IsGlobalUnicast() && !a.IsPrivate() },
}

func inNetwork(l leaf) (Condition, error) {
	names, ok := l.node.Texts()
	if !ok || len(names) == 0 {
		return nil, fmt.Errorf("expected a network, as 192.0.2.0/24 or private")
	}
	var of []func(netip.Addr) bool
	for _, n := range names {
		if f, ok := networks[n]; ok {
			of = append(of, f)
			continue
		}
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, err
		}
		of = append(of, p.Contains)
	}
	return func(e *Event) bool {
		return texts(e, l.name, func(s string) bool {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return false
			}
			for _, f := range of {
				if f(a.Unmap()) {
					return true
				}
			}
			return false
		})
	}, nil
}
