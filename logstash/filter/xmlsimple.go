package filter

import (
	"strings"

	"github.com/antchfx/xpath"

	"github.com/narudata/naru/logstash/event"
)

// xmlSimple says how elements become values.
//
//	attributes, elements     members of a map; several of a name, and with forceArray all elements, are a list
//	text only                the text; with attributes, or forceContent, the member "content"
//	text between elements    the member "content": a text, or a list of texts as they are in the source
//
// Source: XmlSimple 1.1 (xml_in), with KeyAttr empty.
type xmlSimple struct {
	forceArray, forceContent, suppressEmpty bool
}

const (
	xmlContent   = "content"
	xmlAnonymous = "anon"
)

// value gives the value of an element.
func (s xmlSimple) value(element *xmlNode) event.Value {
	result := event.MapValue()
	m := result.Map()
	for _, a := range element.attrs {
		m.Set(a.name(), event.StringValue(a.value))
	}
	switch elements, texts := element.content(); {
	case elements:
		for c := element.first; c != nil; c = c.next {
			if c.kind != xpath.ElementNode {
				continue
			}
			v := s.value(c)
			if s.suppressEmpty && len(element.attrs) == 0 && emptyXML(v) {
				continue
			}
			s.merge(m, c.local, v)
		}
		if strings.TrimSpace(strings.Join(texts, "")) != "" {
			content := event.StringsValue(texts...)
			if len(texts) == 1 {
				content = event.StringValue(texts[0])
			}
			m.Set(xmlContent, content)
		}
	case texts != nil:
		text := event.StringValue(string(element.appendText(nil)))
		switch {
		case emptyXML(text) && len(element.attrs) == 0:
			return event.MapValue()
		case len(element.attrs) == 0 && !s.forceContent:
			return text
		}
		s.merge(m, xmlContent, text)
		return result
	}
	lists := 0
	for _, e := range m.Entries() {
		if e.Value.Kind() == event.List {
			lists++
		}
	}
	if anonymous := m.Get(xmlAnonymous); lists == 1 && anonymous.Kind() == event.List {
		return anonymous
	}
	if m.Len() == 0 && s.suppressEmpty {
		return event.NullValue
	}
	return result
}

// content reports what is directly in n; texts are as they are in the source.
func (n *xmlNode) content() (elements bool, texts []string) {
	for c := n.first; c != nil; c = c.next {
		switch c.kind {
		case xpath.ElementNode:
			elements = true
		case xpath.TextNode:
			texts = append(texts, c.raw)
		default:
		}
	}
	return elements, texts
}

// emptyXML is XmlSimple's empty: a map without members, a text of white space, nothing.
func emptyXML(v event.Value) bool {
	switch v.Kind() {
	case event.Map:
		return v.Map().Len() == 0
	case event.String:
		return strings.Trim(v.Str(), " \t\n\v\f\r") == ""
	case event.Null:
		return true
	default:
		return false
	}
}

// merge adds a member.
func (s xmlSimple) merge(m *event.Fields, key string, v event.Value) {
	old := m.At(key)
	switch {
	case old != nil && old.Kind() == event.List:
		old.Append(v)
	case old != nil:
		*old = event.ListValue([]event.Value{*old, v})
	case v.Kind() == event.List, s.forceArray && key != xmlContent:
		m.Set(key, event.ListValue([]event.Value{v}))
	default:
		m.Set(key, v)
	}
}
