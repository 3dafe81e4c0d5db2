package filter

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/antchfx/xpath"
)

// An xmlPath is an XPath expression.
type xmlPath struct {
	source     string
	expr       *xpath.Expr
	namespaces map[string]string // nil: those that the top element declares
	prefixes   []string          // those in the expression, if there are no namespaces
}

// newXMLPath compiles an expression. Without namespaces, prefixes are those that the top element of a document declares,
// and "xmlns" is its default namespace.
func newXMLPath(source string, namespaces map[string]string) (*xmlPath, error) {
	p := &xmlPath{source: source, namespaces: namespaces}
	var err error
	if namespaces != nil {
		p.expr, err = xpath.CompileWithNS(source, namespaces)
	} else {
		p.prefixes = prefixesOf(source)
		p.expr, err = xpath.Compile(source)
	}
	if err != nil {
		return nil, fmt.Errorf("the XPath expression %s: %w", source, err)
	}
	return p, nil
}

// prefixesOf gives the prefixes of names in an expression.
func prefixesOf(source string) []string {
	var out []string
	name := -1 // where a name begins
	for i := 0; i < len(source); i++ {
		c := source[i]
		switch {
		case c == '\'' || c == '"':
			end := strings.IndexByte(source[i+1:], c)
			if end < 0 {
				return out
			}
			i += end + 1
			name = -1
		case c == ':' && i+1 < len(source) && source[i+1] == ':':
			i++
			name = -1
		case c == ':':
			if name >= 0 {
				out = append(out, source[name:i])
			}
			name = -1
		case c == '_' || c >= 0x80 || c|0x20 >= 'a' && c|0x20 <= 'z':
			if name < 0 {
				name = i
			}
		case name >= 0 && (c == '-' || c == '.' || c >= '0' && c <= '9'):
		default:
			name = -1
		}
	}
	return out
}

// find gives what the expression finds as texts: nodes as XML, attributes and texts as they are written there. A false is
// nothing.
func (p *xmlPath) find(document *xmlNode) (texts []string, err error) {
	defer func() {
		if r := recover(); r != nil { // what the types of a function's arguments turn out to be
			err = fmt.Errorf("the XPath expression %s: %v", p.source, r)
		}
	}()
	nav := &xmlNavigator{node: document, attr: -1, document: document}
	if p.namespaces == nil {
		nav.names = map[string]string{"": ""}
		declared := map[string]bool{"xml": true}
		if top := document.firstElement(); top != nil {
			for _, a := range top.attrs {
				if a.declares() {
					if _, known := nav.names[a.value]; !known {
						nav.names[a.value] = a.local
					}
					declared[a.local] = true
				}
			}
		}
		for _, prefix := range p.prefixes {
			if !declared[prefix] {
				return nil, fmt.Errorf("the XPath expression %s: the prefix %s is not declared at the top of the document", p.source, prefix)
			}
		}
	}
	switch found := p.expr.Evaluate(nav).(type) {
	case bool:
		if found {
			texts = append(texts, "true")
		}
	case float64:
		texts = append(texts, string(appendRubyFloat(nil, found)))
	case string:
		texts = append(texts, found)
	case *xpath.NodeIterator:
		for found.MoveNext() {
			if n, ok := found.Current().(*xmlNavigator); ok {
				texts = append(texts, n.xml())
			}
		}
	default:
		return nil, fmt.Errorf("the XPath expression %s gives a %T", p.source, found)
	}
	return texts, nil
}

// An xmlNavigator is a place in a document.
type xmlNavigator struct {
	document *xmlNode
	node     *xmlNode
	attr     int               // which attribute of the node; -1: the node itself
	names    map[string]string // prefixes of namespaces; nil if the expression knows the namespaces
}

var _ xpath.NodeNavigator = (*xmlNavigator)(nil)

func (n *xmlNavigator) xml() string {
	if n.attr >= 0 {
		return n.node.attrs[n.attr].value
	}
	return string(n.node.appendXML(nil, 0, true))
}

// NodeType implements xpath.NodeNavigator.
func (n *xmlNavigator) NodeType() xpath.NodeType {
	if n.attr >= 0 {
		return xpath.AttributeNode
	}
	return n.node.kind
}

// LocalName implements xpath.NodeNavigator.
func (n *xmlNavigator) LocalName() string {
	if n.attr >= 0 {
		return n.node.attrs[n.attr].local
	}
	return n.node.local
}

// Prefix implements xpath.NodeNavigator: it is empty only for what is in no namespace, so that a name without a prefix
// finds nothing else.
func (n *xmlNavigator) Prefix() string {
	url := n.NamespaceURL()
	if url == "" {
		return ""
	}
	if prefix, ok := n.names[url]; ok {
		return prefix
	}
	return "\x00" + strconv.Quote(url) // no prefix that an expression can have
}

// NamespaceURL gives the namespace of a node.
func (n *xmlNavigator) NamespaceURL() string {
	if n.attr >= 0 {
		return n.node.attrs[n.attr].url
	}
	return n.node.url
}

// Value implements xpath.NodeNavigator.
func (n *xmlNavigator) Value() string {
	if n.attr >= 0 {
		return n.node.attrs[n.attr].value
	}
	return string(n.node.appendText(nil))
}

// Copy implements xpath.NodeNavigator.
func (n *xmlNavigator) Copy() xpath.NodeNavigator {
	c := *n
	return &c
}

// MoveToRoot implements xpath.NodeNavigator.
func (n *xmlNavigator) MoveToRoot() { n.node, n.attr = n.document, -1 }

// MoveToParent implements xpath.NodeNavigator.
func (n *xmlNavigator) MoveToParent() bool {
	if n.attr >= 0 {
		n.attr = -1
		return true
	}
	return n.move(n.node.parent)
}

// MoveToNextAttribute implements xpath.NodeNavigator. Declarations of namespaces are no attributes.
func (n *xmlNavigator) MoveToNextAttribute() bool {
	for i := n.attr + 1; i < len(n.node.attrs); i++ {
		if !n.node.attrs[i].declares() {
			n.attr = i
			return true
		}
	}
	return false
}

// MoveToChild implements xpath.NodeNavigator.
func (n *xmlNavigator) MoveToChild() bool { return n.attr < 0 && n.move(n.node.first) }

// MoveToFirst implements xpath.NodeNavigator.
func (n *xmlNavigator) MoveToFirst() bool {
	if n.attr >= 0 || n.node.prev == nil {
		return false
	}
	return n.move(n.node.parent.first)
}

// MoveToNext implements xpath.NodeNavigator.
func (n *xmlNavigator) MoveToNext() bool { return n.attr < 0 && n.move(n.node.next) }

// MoveToPrevious implements xpath.NodeNavigator.
func (n *xmlNavigator) MoveToPrevious() bool { return n.attr < 0 && n.move(n.node.prev) }

func (n *xmlNavigator) move(to *xmlNode) bool {
	if to == nil {
		return false
	}
	n.node = to
	return true
}

// MoveTo implements xpath.NodeNavigator.
func (n *xmlNavigator) MoveTo(other xpath.NodeNavigator) bool {
	o, ok := other.(*xmlNavigator)
	if !ok || o.document != n.document {
		return false
	}
	n.node, n.attr = o.node, o.attr
	return true
}
