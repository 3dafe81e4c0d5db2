package filter

import (
	"strings"
	"testing"

	"github.com/antchfx/xpath"
)

type xmlCase struct{ name, options, in, want string }

func runXML(t *testing.T, cases []xmlCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			options := c.options + ` source => "raw" remove_field => "raw" add_tag => "ok"`
			if got := filtered(t, mustFilter(t, "xml", options, ECSv8), c.in); got != c.want {
				t.Errorf("%s of %s:\n got %s\nwant %s", c.options, c.in, got, c.want)
			}
		})
	}
}

func TestXMLBecomesTheMapThatXmlSimpleMakes(t *testing.T) {
	const store = `target => "d"`
	runXML(t, []xmlCase{
		{"an attribute", store, `{"raw":"<foo key='value'/>"}`, `{"d":{"key":"value"},"tags":["ok"]}`},
		{"elements of a name are a list", store, `{"raw":"<foo><key>1</key><key>2</key></foo>"}`, `{"d":{"key":["1","2"]},"tags":["ok"]}`},
		{"elements in elements", store, `{"raw":"<foo><a><b>v</b></a></foo>"}`, `{"d":{"a":[{"b":["v"]}]},"tags":["ok"]}`},
		{"a list of one text", store, `{"raw":["<foo bar='baz'/>"]}`, `{"d":{"bar":"baz"},"tags":["ok"]}`},
		{"lists only where needed", store + ` force_array => false`, `{"raw":"<o><x>1</x><y>2</y><y>3</y></o>"}`, `{"d":{"x":"1","y":["2","3"]},"tags":["ok"]}`},
		{"an attribute and elements of the same name", store, `{"raw":"<o a='1'><a>2</a></o>"}`, `{"d":{"a":["1","2"]},"tags":["ok"]}`},
		{"text beside attributes", store + ` force_array => false`, `{"raw":"<o><x>t</x><y a='2'>u</y></o>"}`, `{"d":{"x":"t","y":{"a":"2","content":"u"}},"tags":["ok"]}`},
		{"force_content", store + ` force_array => false force_content => true`, `{"raw":"<o><x>t</x><y a='2'>u</y></o>"}`, `{"d":{"x":{"content":"t"},"y":{"a":"2","content":"u"}},"tags":["ok"]}`},
		{"empty elements are left out", store, `{"raw":"<f><k>v</k><k></k><l/></f>"}`, `{"d":{"k":["v"]},"tags":["ok"]}`},
		{"empty elements stay beside attributes of their parent", store, `{"raw":"<f a='1'><k/></f>"}`, `{"d":{"a":"1","k":[null]},"tags":["ok"]}`},
		{"suppress_empty => false", store + ` suppress_empty => false`, `{"raw":"<f><k>v</k><k></k></f>"}`, `{"d":{"k":["v",{}]},"tags":["ok"]}`},
		{"text between elements", store, `{"raw":"<p>one <b>two</b> three &amp; four</p>"}`, `{"d":{"b":["two"],"content":["one "," three &amp; four"]},"tags":["ok"]}`},
		{"one text beside elements", store, `{"raw":"<p><b>two</b> three</p>"}`, `{"d":{"b":["two"],"content":" three"},"tags":["ok"]}`},
		{"white space between elements is nothing", store, "{\"raw\":\"<p>\\n <b>two</b>\\n</p>\"}", `{"d":{"b":["two"]},"tags":["ok"]}`},
		{"only a text", store, `{"raw":"<p>a&lt;b &#228;</p>"}`, `{"d":"a<b ä","tags":["ok"]}`},
		{"CDATA and text are one", store, `{"raw":"<p>a<![CDATA[<b>]]>c</p>"}`, `{"d":"a<b>c","tags":["ok"]}`},
		{"an empty document", store, `{"raw":"<p/>"}`, `{"d":null,"tags":["ok"]}`},
		{"prefixes of elements go, those of attributes stay", store, `{"raw":"<f xmlns:h='u'><h:x h:a='1'/></f>"}`, `{"d":{"xmlns:h":"u","x":[{"h:a":"1"}]},"tags":["ok"]}`},
		{"anon is the list itself", store, `{"raw":"<f><r><anon>1</anon><anon>2</anon></r></f>"}`, `{"d":{"r":[["1","2"]]},"tags":["ok"]}`},
		{"comments, instructions and a DTD", store, `{"raw":"<?xml version='1.0' encoding='ISO-8859-1'?><!DOCTYPE f [<!ELEMENT f ANY>]><!-- c --><f><a>ä<!-- d -->ö</a></f>"}`, `{"d":{"a":["äö"]},"tags":["ok"]}`},
	})
}

func TestXMLThatIsNoneIsTagged(t *testing.T) {
	for in, want := range map[string]string{
		`"<foo /"`:                              "_xmlparsefailure",
		`"no markup"`:                           "_xmlparsefailure",
		`"<a><b></a>"`:                          "_xmlparsefailure",
		`"<a>"`:                                 "_xmlparsefailure",
		`"<a/><b/>"`:                            "_xmlparsefailure",
		`"<a/>text"`:                            "_xmlparsefailure",
		`"<a x='1' x='2'/>"`:                    "_xmlparsefailure",
		`"<h:a/>"`:                              "_xmlparsefailure",
		`"<a h:x='1'/>"`:                        "_xmlparsefailure",
		`"<a>&unknown;</a>"`:                    "_xmlparsefailure",
		`"<!-- only a comment -->"`:             "_xmlparsefailure",
		`["<a/>","<b/>"]`:                       "_xmlparsefailure",
		`[]`:                                    "_xmlparsefailure",
		`{"foo":"bar"}`:                         "_xmlparsefailure",
		`[{"foo":"bar"}]`:                       "_xmlparsefailure",
		`17`:                                    "_xmlparsefailure",
		`""`:                                    "",
		`" \n "`:                                "",
		`null`:                                  "",
		`false`:                                 "",
		`"` + strings.Repeat("<a>", 2000) + `"`: "_xmlparsefailure",
	} {
		e := filteredEvent(t, mustFilter(t, "xml", `source => "raw" target => "d" add_tag => "ok"`, ECSv8), `{"raw":`+in+`}`)
		if got := strings.Join(e.Tags(), ","); got != want {
			t.Errorf("%.60s has the tags %q, not %q", in, got, want)
		}
		if e.GetField("d").Is() {
			t.Errorf("%.60s has a map", in)
		}
	}
}

func TestXPathFindsNodesAttributesTextsAndValues(t *testing.T) {
	const path = `store_xml => false `
	runXML(t, []xmlCase{
		{"texts", path + `xpath => ["/f/k/text()", "x"]`, `{"raw":"<f><k>1</k><k>2 &amp; Français</k></f>"}`, `{"x":["1","2 &amp; Français"],"tags":["ok"]}`},
		{"one text without force_array", path + `xpath => ["/f/k/text()", "x"] force_array => false`, `{"raw":"<f><k>1</k></f>"}`, `{"x":"1","tags":["ok"]}`},
		{"nothing", path + `xpath => ["/f/z", "x"]`, `{"raw":"<f/>"}`, `{"raw":"<f/>"}`},
		{"an element is XML again", path + `xpath => ["/f/k", "x"]`, `{"raw":"<f><k a='&quot;'>1<!--c--><![CDATA[<]]></k></f>"}`, `{"x":["<k a=\"&quot;\">1<!--c--><![CDATA[<]]></k>"],"tags":["ok"]}`},
		{"elements without text are in lines", path + `xpath => ["/f", "x"]`, `{"raw":"<f><k><l/></k><m>1</m></f>"}`, `{"x":["<f>\n  <k>\n    <l/>\n  </k>\n  <m>1</m>\n</f>"],"tags":["ok"]}`},
		{"attributes", path + `xpath => ["//@a", "x"]`, `{"raw":"<f a='1'><k b='2' a='3'/></f>"}`, `{"x":["1","3"],"tags":["ok"]}`},
		{"a predicate, into a field in another", path + `xpath => { "//k[@n='b']/text()" => "[x][y]" }`, `{"raw":"<f><k n='a'>1</k><k n='b'>2</k></f>"}`, `{"x":{"y":["2"]},"tags":["ok"]}`},
		{"a number", path + `xpath => ["count(//k)", "x"]`, `{"raw":"<f><k/><k/></f>"}`, `{"x":["2.0"],"tags":["ok"]}`},
		{"a text", path + `xpath => ["string(/f/k[last()])", "x"]`, `{"raw":"<f><k>1</k><k>2</k></f>"}`, `{"x":["2"],"tags":["ok"]}`},
		{"true", path + `xpath => ["count(//k) > 1", "x"]`, `{"raw":"<f><k/><k/></f>"}`, `{"x":["true"],"tags":["ok"]}`},
		{"false is nothing", path + `xpath => ["count(//k) > 2", "x"]`, `{"raw":"<f><k/><k/></f>"}`, `{"raw":"<f><k/><k/></f>"}`},
		{"axes", path + `xpath => ["//b/preceding-sibling::a/following-sibling::*[1]/parent::f/@i", "x"]`, `{"raw":"<f i='9'><a/><b/></f>"}`, `{"x":["9"],"tags":["ok"]}`},
		{"elements that do not end", path + `xpath => ["/e/a/text()", "x"]`, `{"raw":"<e><a>1</a><b>2<b></e>"}`, `{"x":["1"],"tags":["ok"]}`},
		{"what stands before an error", path + `xpath => ["/e/a/text()", "x"]`, `{"raw":"<e><a>1</a><b"}`, `{"x":["1"],"tags":["ok"]}`},
		{"both the map and the finds", `target => "d" xpath => ["/f/k/text()", "x"]`, `{"raw":"<f><k>1</k></f>"}`, `{"x":["1"],"d":{"k":["1"]},"tags":["ok"]}`},
		{"noblanks", path + `parse_options => "recover|no_blanks" xpath => ["count(/f/node())", "x"]`, `{"raw":"<f> <k/> </f>"}`, `{"x":["1.0"],"tags":["ok"]}`},
	})
}

func TestXPathKnowsNamespaces(t *testing.T) {
	const doc = `{"raw":"<f xmlns:h='urn:h'><h:d>1</h:d><d>2</d></f>"}`
	const path = `store_xml => false `
	runXML(t, []xmlCase{
		{"of the top element", path + `xpath => ["/f/h:d", "x"]`, doc, `{"x":["<h:d>1</h:d>"],"tags":["ok"]}`},
		{"as they are given", path + `xpath => ["/f/g:d/text()", "x"] namespaces => { "g" => "urn:h" }`, doc, `{"x":["1"],"tags":["ok"]}`},
		{"no prefix is no namespace", path + `xpath => ["/f/d/text()", "x"]`, doc, `{"x":["2"],"tags":["ok"]}`},
		{"the default namespace is none", path + `xpath => ["/f", "x"]`, `{"raw":"<f xmlns='urn:d'/>"}`, `{"raw":"<f xmlns='urn:d'/>"}`},
		{"the default namespace is called xmlns", path + `xpath => ["/xmlns:f/@a", "x"]`, `{"raw":"<f xmlns='urn:d' a='1'/>"}`, `{"x":["1"],"tags":["ok"]}`},
		{"a declaration farther in", path + `xpath => ["/f/h:d", "x"] namespaces => { "h" => "urn:h" }`, `{"raw":"<f><h:d xmlns:h='urn:h'>1</h:d></f>"}`, `{"x":["<h:d xmlns:h=\"urn:h\">1</h:d>"],"tags":["ok"]}`},
		{"declarations are no attributes", path + `xpath => ["count(/f/@*)", "x"]`, `{"raw":"<f xmlns:h='urn:h' a='1'/>"}`, `{"x":["1.0"],"tags":["ok"]}`},
		{"a prefix that is not declared", path + `xpath => ["/f/z:d", "x"]`, `{"raw":"<f/>"}`, `{"raw":"<f/>","tags":["_xmlparsefailure"]}`},
		{"no prefix in quotes, and no axis", path + `xpath => ["child::f[@a='z:y']/@a", "x"]`, `{"raw":"<f a='z:y'/>"}`, `{"x":["z:y"],"tags":["ok"]}`},
		{"remove_namespaces", path + `xpath => ["/f/d[1]", "x"] remove_namespaces => true`, doc, `{"x":["<d>1</d>"],"tags":["ok"]}`},
	})
}

func TestStrictXPathTagsWhatIsNoProperXML(t *testing.T) {
	const in = `{"raw":"<x> <s a='1' a='2'> <i> </s> </x>"}`
	for options, want := range map[string]string{
		``:                                      "",
		`parse_options => "strict"`:             "_xmlparsefailure",
		`parse_options => "no_error|recover"`:   "",
		`parse_options => "no_error,NOWARNING"`: "_xmlparsefailure",
	} {
		e := filteredEvent(t, mustFilter(t, "xml", options+` source => "raw" store_xml => false`, ECSv8), in)
		if got := strings.Join(e.Tags(), ","); got != want {
			t.Errorf("%s: tags %q, not %q", options, got, want)
		}
	}
}

func TestXMLRefusesOptionsThatCannotWork(t *testing.T) {
	refused(t, "xml", `source => "raw"`, ECSv8, "store_xml", "target")
	refused(t, "xml", `source => "raw" store_xml => false parse_options => "strict,invalid0"`, ECSv8, "parse_options", "invalid0")
	refused(t, "xml", `source => "raw" store_xml => false xpath => ["/a[", "x"]`, ECSv8, "xpath", "/a[")
	refused(t, "xml", `source => "raw" store_xml => false xpath => ["/z:a", "x"] namespaces => { "h" => "urn:h" }`, ECSv8, "xpath", "z")
	refused(t, "xml", `source => "raw" store_xml => false xpath => ["/a", "[x"]`, ECSv8, "xpath", "[x")
	refused(t, "xml", `target => "d"`, ECSv8, "source")
}

func FuzzXMLIsReadOrRefused(f *testing.F) {
	for _, seed := range []string{"<foo key='value'/>", "<a>b<c d='e'/>f<![CDATA[g]]></a>", "<a:b xmlns:a='c'/>", "<foo /", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<a><b></a>"} {
		f.Add(seed)
	}
	path, err := newXMLPath("//*[@a or position() = 2]/following::node()", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if document, err := parseXML(text, xmlParsing{}); err == nil {
			xmlSimple{forceArray: true}.value(document.firstElement())
			again, err := parseXML(string(document.firstElement().appendXML(nil, 0, false)), xmlParsing{})
			if err != nil {
				t.Fatalf("what is written cannot be read: %v", err)
			}
			if got, want := string(again.appendText(nil)), string(document.appendText(nil)); got != want {
				t.Fatalf("the text %q is %q when written and read", want, got)
			}
		}
		document, _ := parseXML(text, xmlParsing{recover: true})
		if document.kind != xpath.RootNode {
			t.Fatal("no document")
		}
		if len(text) < 1000 {
			if _, err := path.find(document); err != nil {
				t.Fatal(err)
			}
		}
	})
}
