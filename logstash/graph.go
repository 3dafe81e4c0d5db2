package logstash

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/narudata/naru/logstash/syntax"
)

// A Graph is a picture of a configuration: its plugins and conditions, and the ways that events take. It is made of the text
// alone, so plugins need not be built into naru.
type Graph struct {
	inputs, filters, outputs []graphNode
}

// A graphNode is a plugin, or a branch if it has arms.
type graphNode struct {
	name    string
	options []string // one a line, secrets left out
	at      string
	ends    bool // no event goes on behind it
	last    bool // nothing stands behind it

	arms []graphArm
}

// A graphArm is one way of a branch; cond is "" for the else.
type graphArm struct {
	cond string
	word string // if, else if, else
	at   string
	body []graphNode
}

// NewGraph makes the graph of a configuration.
func NewGraph(c *syntax.Config) *Graph {
	g := &Graph{filters: graphNodes(c.Statements(syntax.Filter)), outputs: graphNodes(c.Statements(syntax.Output))}
	if n := len(g.outputs); n > 0 {
		g.outputs[n-1].last = true
	}
	for p := range syntax.Plugins(c.Statements(syntax.Input)) {
		g.inputs = append(g.inputs, pluginNode(p))
	}
	return g
}

func graphNodes(body []syntax.Statement) []graphNode {
	var out []graphNode
	for _, s := range body {
		switch s := s.(type) {
		case *syntax.Plugin:
			out = append(out, pluginNode(s))
		case *syntax.Branch:
			n := graphNode{at: s.Pos.String()}
			for i, arm := range s.Arms {
				word := "if"
				if i > 0 {
					word = "else if"
				}
				n.arms = append(n.arms, graphArm{cond: oneLine(syntax.Print(arm.Cond)), word: word, at: arm.Pos.String(), body: graphNodes(arm.Body)})
			}
			n.ends = s.Else != nil
			if s.Else != nil {
				n.arms = append(n.arms, graphArm{word: "else", at: s.Else.Pos.String(), body: graphNodes(s.Else.Body)})
			}
			for _, arm := range n.arms {
				n.ends = n.ends && bodyEnds(arm.body)
			}
			out = append(out, n)
		}
	}
	return out
}

// bodyEnds reports that no event comes out of a body.
func bodyEnds(body []graphNode) bool {
	for _, n := range body {
		if n.ends {
			return true
		}
	}
	return false
}

func pluginNode(p *syntax.Plugin) graphNode {
	n := graphNode{name: p.Name, at: p.Pos.String(), ends: p.Name == "drop" && p.Attribute("percentage") == nil}
	for _, a := range p.Attributes {
		if a.Value == nil {
			continue
		}
		if a.Name == "id" {
			n.name += " " + strings.Trim(syntax.Print(a.Value), `"'`)
			continue
		}
		text := "***"
		if !secretOption(a.Name) {
			text = userinfo.ReplaceAllString(oneLine(syntax.Print(a.Value)), "://***@")
		}
		n.options = append(n.options, a.Name+" => "+text)
	}
	return n
}

// userinfo is a name and a password in an address.
var userinfo = regexp.MustCompile(`://[^/@\s"']+@`)

// secretOption reports that an option's value is nothing for a picture.
func secretOption(name string) bool {
	for _, word := range []string{"password", "passphrase", "secret", "token", "api_key", "apikey", "access_key", "cloud_auth", "jaas", "key"} {
		if name == word || word != "key" && strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// Mermaid gives the graph as a flowchart of Mermaid, which many wikis and forges show as a picture.
func (g *Graph) Mermaid() string {
	m := mermaid{}
	m.WriteString("flowchart TD\n")
	var ways []way
	if len(g.inputs) > 0 {
		m.section("input", func() {
			for _, n := range g.inputs {
				ways = append(ways, way{m.node(`(["`, mermaidLabel(&n), `"])`, "input"), ""})
			}
		})
	}
	if len(g.filters) > 0 {
		m.section("filter", func() { ways = m.body(g.filters, ways, `["`, `"]`) })
	}
	if len(g.outputs) > 0 {
		m.section("output", func() { m.body(g.outputs, ways, `(["`, `"])`) })
	}
	for _, e := range m.edges {
		m.WriteString(e)
	}
	m.WriteString("  classDef condition fill:#fff4d6,stroke:#b58900\n")
	m.WriteString("  classDef plugin fill:#eef4fb,stroke:#4a78a8\n")
	m.WriteString("  classDef input fill:#eef7ee,stroke:#4c8a4c\n")
	m.WriteString("  classDef ends fill:#fbeaea,stroke:#a84a4a\n")
	return m.String()
}

type mermaid struct {
	strings.Builder
	nodes int
	edges []string
}

// A way leads from a node to the next one.
type way struct {
	from  string
	label string
}

func (m *mermaid) section(name string, inside func()) {
	fmt.Fprintf(m, "  subgraph %ss[%q]\n", name, name)
	inside()
	m.WriteString("  end\n")
}

// node writes a node, and gives its name.
func (m *mermaid) node(open, label, end, class string) string {
	m.nodes++
	name := fmt.Sprintf("n%d", m.nodes)
	fmt.Fprintf(m, "    %s%s%s%s:::%s\n", name, open, label, end, class)
	return name
}

func (m *mermaid) connect(ways []way, to string) {
	for _, w := range ways {
		arrow := " --> "
		if w.label != "" {
			arrow = " -->|" + w.label + "| "
		}
		m.edges = append(m.edges, "  "+w.from+arrow+to+"\n")
	}
}

// body writes nodes one after the other, and gives the ways that lead out.
func (m *mermaid) body(body []graphNode, ways []way, open, end string) []way {
	for i := range body {
		n := &body[i]
		if n.arms == nil {
			class := "plugin"
			if n.ends {
				class = "ends"
			}
			name := m.node(open, mermaidLabel(n), end, class)
			m.connect(ways, name)
			ways = []way{{name, ""}}
			if n.ends {
				ways = nil
			}
			continue
		}
		var out []way
		for _, arm := range n.arms {
			if arm.cond == "" {
				out, ways = append(out, m.body(arm.body, ways, open, end)...), nil
				break
			}
			name := m.node(`{{"`, mermaidText(arm.word+" "+clip(arm.cond, 120)), `"}}`, "condition")
			m.connect(ways, name)
			out = append(out, m.body(arm.body, []way{{name, "yes"}}, open, end)...)
			ways = []way{{name, "no"}}
		}
		ways = append(out, ways...)
	}
	return ways
}

// mostOptions is how many options of a plugin a graph shows.
const mostOptions = 4

func mermaidLabel(n *graphNode) string {
	lines := []string{"<b>" + mermaidText(n.name) + "</b>"}
	for i, o := range n.options {
		if i == mostOptions {
			lines = append(lines, fmt.Sprintf("… %d more", len(n.options)-i))
			break
		}
		lines = append(lines, mermaidText(clip(o, 60)))
	}
	return strings.Join(lines, "<br/>")
}

// mermaidText makes text safe inside of quotes. Mermaid has entities like HTML, with # instead of &.
var mermaidText = strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;", "\\", "#92;").Replace

// clip shortens a text to n characters.
func clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}
