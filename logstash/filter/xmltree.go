package filter

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/antchfx/xpath"
)

// An xmlNode is a node of a document: the document itself, an element, a text or a comment.
type xmlNode struct {
	kind                            xpath.NodeType // RootNode, ElementNode, TextNode or CommentNode
	prefix, local                   string
	url                             string // of the namespace
	text                            string
	raw                             string // a text as it stands in the source
	cdata                           bool
	attrs                           []xmlAttr
	parent, first, last, next, prev *xmlNode
}

// An xmlAttr is an attribute. Declarations of namespaces are attributes with the prefix xmlns, or the name.
type xmlAttr struct {
	prefix, local, url, value string
}

// name gives the name with its prefix, as it is written.
func (a *xmlAttr) name() string { return qualified(a.prefix, a.local) }

// declares reports that a declares a namespace.
func (a *xmlAttr) declares() bool { return a.prefix == "xmlns" || a.prefix == "" && a.local == "xmlns" }

func qualified(prefix, local string) string {
	if prefix == "" {
		return local
	}
	return prefix + ":" + local
}

func (n *xmlNode) add(child *xmlNode) {
	child.parent, child.prev = n, n.last
	if n.last == nil {
		n.first = child
	} else {
		n.last.next = child
	}
	n.last = child
}

// deepestXML is how many elements may be inside of each other.
const deepestXML = 1000

// xmlParsing says how much is forgiven.
type xmlParsing struct {
	recover  bool // what follows an error is left away, end tags that are missing are put in
	noBlanks bool // texts of white space only are left away
}

// errNoElement says that a text has no element.
var errNoElement = errors.New("no element")

// parseXML reads a document. What it gives refers to text. With recover there is no error but for nothing at all.
//
// Source: Extensible Markup Language 1.0, Namespaces in XML 1.0.
func parseXML(text string, p xmlParsing) (*xmlNode, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = !p.recover
	// The text is UTF-8 by now, whatever it says of itself.
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	b := &xmlBuilder{xmlParsing: p, document: &xmlNode{kind: xpath.RootNode}}
	b.open = b.document
	for {
		from := d.InputOffset()
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) && b.open == b.document {
			break
		} else if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the element %s does not end", qualified(b.open.prefix, b.open.local))
		} else if err == nil {
			err = b.token(token, text[from:min(d.InputOffset(), int64(len(text)))])
		}
		if err != nil && !p.recover {
			return nil, err
		} else if err != nil {
			break
		}
	}
	if b.document.firstElement() == nil {
		return b.document, errNoElement
	}
	return b.document, nil
}

func (n *xmlNode) firstElement() *xmlNode {
	for c := n.first; c != nil; c = c.next {
		if c.kind == xpath.ElementNode {
			return c
		}
	}
	return nil
}

type xmlBuilder struct {
	xmlParsing
	document *xmlNode
	open     *xmlNode
	depth    int
}

func (b *xmlBuilder) token(token xml.Token, raw string) error {
	switch t := token.(type) {
	case xml.StartElement:
		return b.start(t)
	case xml.EndElement:
		return b.end(t.Name)
	case xml.CharData:
		return b.chars(string(t), raw)
	case xml.Comment:
		b.open.add(&xmlNode{kind: xpath.CommentNode, text: string(t)})
	}
	return nil
}

func (b *xmlBuilder) start(t xml.StartElement) error {
	if b.open == b.document && b.document.firstElement() != nil {
		return fmt.Errorf("a second element at the top: %s", qualified(t.Name.Space, t.Name.Local))
	}
	if b.depth++; b.depth > deepestXML {
		return fmt.Errorf("more than %d elements inside of each other", deepestXML)
	}
	n := &xmlNode{kind: xpath.ElementNode, prefix: t.Name.Space, local: t.Name.Local}
	for _, a := range t.Attr {
		same := func(o xmlAttr) bool { return o.prefix == a.Name.Space && o.local == a.Name.Local }
		if slices.ContainsFunc(n.attrs, same) {
			if !b.recover {
				return fmt.Errorf("the attribute %s stands twice", qualified(a.Name.Space, a.Name.Local))
			}
			continue
		}
		n.attrs = append(n.attrs, xmlAttr{prefix: a.Name.Space, local: a.Name.Local, value: a.Value})
	}
	b.open.add(n)
	var known bool
	if n.url, known = n.namespace(n.prefix); !known {
		if !b.recover {
			return fmt.Errorf("the prefix %s is not declared", n.prefix)
		}
		n.prefix, n.local = "", qualified(n.prefix, n.local)
	}
	for i := range n.attrs {
		a := &n.attrs[i]
		if a.prefix == "" || a.declares() {
			continue
		}
		if a.url, known = n.namespace(a.prefix); !known {
			if !b.recover {
				return fmt.Errorf("the prefix %s is not declared", a.prefix)
			}
			a.prefix, a.local = "", qualified(a.prefix, a.local)
		}
	}
	b.open = n
	return nil
}

// namespace gives the namespace of a prefix; known is false if it is not declared.
func (n *xmlNode) namespace(prefix string) (url string, known bool) {
	if prefix == "xml" {
		return "http://www.w3.org/XML/1998/namespace", true
	}
	for e := n; e != nil; e = e.parent {
		for i := range e.attrs {
			a := &e.attrs[i]
			if prefix == "" && a.prefix == "" && a.local == "xmlns" || prefix != "" && a.prefix == "xmlns" && a.local == prefix {
				return a.value, true
			}
		}
	}
	return "", prefix == ""
}

func (b *xmlBuilder) end(name xml.Name) error {
	matches := func(n *xmlNode) bool {
		return qualified(n.prefix, n.local) == qualified(name.Space, name.Local)
	}
	for n := b.open; n != b.document; n = n.parent {
		if !matches(n) {
			if !b.recover {
				return fmt.Errorf("the element %s ends as %s", qualified(n.prefix, n.local), qualified(name.Space, name.Local))
			}
			continue
		}
		for b.open != n {
			b.open = b.open.parent
			b.depth--
		}
		b.open = n.parent
		b.depth--
		return nil
	}
	if !b.recover {
		return fmt.Errorf("the element %s ends and has not begun", qualified(name.Space, name.Local))
	}
	return nil
}

func (b *xmlBuilder) chars(text, raw string) error {
	blank := strings.TrimSpace(text) == ""
	if b.open == b.document {
		if !blank {
			return errors.New("a text outside of the element at the top")
		}
		return nil
	}
	if blank && b.noBlanks {
		return nil
	}
	n := &xmlNode{kind: xpath.TextNode, text: text, raw: raw}
	if inner, ok := strings.CutPrefix(raw, "<![CDATA["); ok {
		n.cdata, n.raw = true, strings.TrimSuffix(inner, "]]>")
	}
	if strings.Contains(n.raw, "\r") {
		n.raw = strings.ReplaceAll(strings.ReplaceAll(n.raw, "\r\n", "\n"), "\r", "\n")
	}
	b.open.add(n)
	return nil
}

// removeNamespaces takes all namespaces away, and the attributes that declare them.
func (n *xmlNode) removeNamespaces() {
	n.prefix, n.url = "", ""
	n.attrs = slices.DeleteFunc(n.attrs, func(a xmlAttr) bool { return a.declares() })
	for i := range n.attrs {
		n.attrs[i].prefix, n.attrs[i].url = "", ""
	}
	for c := n.first; c != nil; c = c.next {
		c.removeNamespaces()
	}
}

// appendText appends the texts of n and of all that is inside of it.
func (n *xmlNode) appendText(dst []byte) []byte {
	if n.kind == xpath.TextNode || n.kind == xpath.CommentNode {
		return append(dst, n.text...)
	}
	for c := n.first; c != nil; c = c.next {
		if c.kind != xpath.CommentNode {
			dst = c.appendText(dst)
		}
	}
	return dst
}

var (
	xmlTextEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")
	xmlAttrEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\n", "&#10;", "\t", "&#9;", "\r", "&#13;")
)

// appendXML appends n as XML. An element that has no text directly has its children in lines of their own, two blanks
// farther in, as libxml2 writes them.
func (n *xmlNode) appendXML(dst []byte, level int, lines bool) []byte {
	switch n.kind {
	case xpath.TextNode:
		if n.cdata {
			return append(append(append(dst, "<![CDATA["...), n.text...), "]]>"...)
		}
		return append(dst, xmlTextEscapes.Replace(n.text)...)
	case xpath.CommentNode:
		return append(append(append(dst, "<!--"...), n.text...), "-->"...)
	case xpath.RootNode:
		for c := n.first; c != nil; c = c.next {
			dst = append(c.appendXML(dst, level, lines), '\n')
		}
		return dst
	default:
	}
	dst = append(append(dst, '<'), qualified(n.prefix, n.local)...)
	for _, declarations := range []bool{true, false} {
		for i := range n.attrs {
			if a := &n.attrs[i]; a.declares() == declarations {
				dst = append(append(append(dst, ' '), a.name()...), `="`...)
				dst = append(append(dst, xmlAttrEscapes.Replace(a.value)...), '"')
			}
		}
	}
	if n.first == nil {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for c := n.first; c != nil; c = c.next {
		lines = lines && c.kind != xpath.TextNode
	}
	for c := n.first; c != nil; c = c.next {
		if lines {
			dst = appendIndent(dst, level+1)
		}
		dst = c.appendXML(dst, level+1, lines)
	}
	if lines {
		dst = appendIndent(dst, level)
	}
	return append(append(append(dst, "</"...), qualified(n.prefix, n.local)...), '>')
}

func appendIndent(dst []byte, level int) []byte {
	dst = append(dst, '\n')
	for range level {
		dst = append(dst, "  "...)
	}
	return dst
}
