package filter

import (
	"errors"
	"fmt"
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// XML makes a map of XML, and fields of what XPath expressions find in it.
//
// A missing or blank source does nothing. A list of one text counts as the text. XPath looks at what can be read of text
// that is no proper XML; the map (store_xml) needs proper XML.
//
// Source: xml.rb of logstash-filter-xml 4.3, XmlSimple 1.1, REXML 3.
//
// Differences:
//   - Entities of a document's own DTD are an error; nothing outside of the text is ever read.
//   - The text is UTF-8, whatever encoding it names.
//   - XPath is 1.0 without variables, id() and lang(); an expression that is none, and a prefix that namespaces does not
//     have, are errors of the configuration instead of a tag on each event.
//   - Of text that is no proper XML, what XPath sees may differ: after an error of syntax it is what stands before.
//   - Elements may be nested 1,000 deep.
//   - parse_options are checked; only strict, recover and noblanks have an effect.
type XML struct {
	option.Common
	Source           *event.Ref  `ls:"source,required" doc:"the field with the XML"`
	Target           *event.Ref  `ls:"target" doc:"the field that gets the map; needed by store_xml"`
	StoreXML         bool        `ls:"store_xml" default:"true" doc:"whether to make a map of the XML"`
	XPath            option.Hash `ls:"xpath" doc:"which expression's finds go to which field, as a list of texts"`
	ParseOptions     *string     `ls:"parse_options" doc:"how XPath's parser reads, names of Nokogiri's options separated by commas: strict refuses what is no proper XML, noblanks leaves out texts of white space"`
	ForceArray       bool        `ls:"force_array" default:"true" doc:"whether elements in the map, and what XPath finds, are always lists"`
	ForceContent     bool        `ls:"force_content" default:"false" doc:"whether the text of an element without attributes is in a map, too: under content"`
	Namespaces       option.Hash `ls:"namespaces" doc:"prefixes that the expressions use, with their namespaces; without it, those that the top element declares"`
	RemoveNamespaces bool        `ls:"remove_namespaces" default:"false" doc:"whether XPath sees names without their prefixes and namespaces"`
	SuppressEmpty    bool        `ls:"suppress_empty" default:"true" doc:"whether empty elements are left out of the map"`
}

type xmlFilter struct {
	*XML
	paths   []xmlTarget
	parsing xmlParsing
	simple  xmlSimple
	where   string
}

type xmlTarget struct {
	path *xmlPath
	to   *event.Ref
}

const xmlFailure = "_xmlparsefailure"

// xmlParseOptions are the names of Nokogiri's options, and whether they forgive errors.
var xmlParseOptions = map[string]bool{
	"STRICT": false, "RECOVER": true, "NOENT": false, "DTDLOAD": false, "DTDATTR": false, "DTDVALID": false, "NOERROR": false,
	"NOWARNING": false, "PEDANTIC": false, "NOBLANKS": false, "SAX1": false, "XINCLUDE": false, "NONET": false, "NODICT": false,
	"NSCLEAN": false, "NOCDATA": false, "NOXINCNODE": false, "COMPACT": false, "OLD10": false, "NOBASEFIX": false, "HUGE": false,
	"BIGLINES": false, "DEFAULTXML": true, "DEFAULTXSLT": true, "DEFAULTHTML": true, "DEFAULTSCHEMA": false,
}

// Setup implements Plugin.
func (p *XML) Setup(s *Setup) (Filter, error) {
	f := &xmlFilter{XML: p, where: s.Where, parsing: xmlParsing{recover: true}}
	f.simple = xmlSimple{p.ForceArray, p.ForceContent, p.SuppressEmpty}
	var problems []error
	if p.StoreXML && p.Target == nil {
		problems = append(problems, errors.New("store_xml, which is true unless set, needs a target: set target, or store_xml => false"))
	}
	if p.ParseOptions != nil {
		f.parsing.recover = false
		for name := range strings.FieldsFuncSeq(*p.ParseOptions, func(r rune) bool { return r == ',' || r == '|' }) {
			upper := strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(name), "_", ""))
			forgives, known := xmlParseOptions[upper]
			if !known && upper != "" {
				problems = append(problems, option.Errorf("parse_options", "there is no %q", name))
			}
			f.parsing.recover = f.parsing.recover || forgives
			f.parsing.noBlanks = f.parsing.noBlanks || upper == "NOBLANKS"
		}
	}
	var err error
	for _, x := range p.XPath {
		t := xmlTarget{}
		if t.path, err = newXMLPath(x.Key, p.namespaces()); err != nil {
			problems = append(problems, option.Errorf("xpath", "%w", err))
		}
		if t.to, err = s.Style.Parse(option.Text(x.Value)); err != nil {
			problems = append(problems, option.Errorf("xpath", "%s: %w", x.Key, err))
		}
		f.paths = append(f.paths, t)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return f, nil
}

func (p *XML) namespaces() map[string]string {
	if len(p.Namespaces) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, n := range p.Namespaces {
		m[n.Key] = option.Text(n.Value)
	}
	return m
}

// Fork implements Forker: an expression keeps what it has found so far.
func (f *xmlFilter) Fork() Filter {
	own := *f
	own.paths = make([]xmlTarget, len(f.paths))
	for i, t := range f.paths {
		path, err := newXMLPath(t.path.source, f.namespaces())
		if err != nil {
			panic("BUG: an expression that was compiled before: " + err.Error())
		}
		own.paths[i] = xmlTarget{path, t.to}
	}
	return &own
}

// Filter implements Filter.
func (f *xmlFilter) Filter(x *Context, e *event.Event) {
	if err := f.filter(e); err != nil {
		x.Log.Warn("the xml filter cannot read a field", "filter", f.where, "field", f.Source.String(), "error", err)
		e.Tag(xmlFailure)
	}
}

func (f *xmlFilter) filter(e *event.Event) error {
	v := e.Get(f.Source)
	if v.Nil() || v.Kind() == event.Bool && !v.Bool() {
		return nil
	}
	if list := v.List(); v.Kind() == event.List {
		if len(list) != 1 {
			return fmt.Errorf("expected one text, found a list of %d", len(list))
		}
		v = list[0]
	}
	if v.Kind() != event.String {
		return fmt.Errorf("expected a text, found a value of type %s", v.Kind())
	}
	text := v.Str()
	if strings.Trim(text, " \t\n\v\f\r\x00") == "" {
		return nil
	}
	matched := false
	if len(f.paths) > 0 || !f.parsing.recover {
		document, err := parseXML(text, f.parsing)
		if err != nil && !f.parsing.recover {
			return err
		}
		if f.RemoveNamespaces {
			document.removeNamespaces()
		}
		if matched, err = f.find(e, document); err != nil {
			return err
		}
	}
	if f.StoreXML {
		document, err := parseXML(text, xmlParsing{})
		if err != nil {
			return err
		}
		if err := e.Set(f.Target, f.simple.value(document.firstElement())); err != nil {
			return err
		}
		matched = true
	}
	if !matched {
		return nil
	}
	return f.Matched(e)
}

// find sets the fields of the expressions. It reports that there was something to set.
func (f *xmlFilter) find(e *event.Event, document *xmlNode) (found bool, err error) {
	for _, t := range f.paths {
		texts, err := t.path.find(document)
		if err != nil {
			return found, err
		}
		if len(texts) == 0 {
			continue
		}
		found = true
		v := event.StringsValue(texts...)
		if len(texts) == 1 && !f.ForceArray {
			v = event.StringValue(texts[0])
		}
		if err := e.Set(t.to, v); err != nil {
			return found, err
		}
	}
	return found, nil
}
