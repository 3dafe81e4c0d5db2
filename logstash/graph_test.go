package logstash

import (
	"encoding/xml"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/narudata/naru/logstash/syntax"
)

const drawnConfig = `input { beats { port => 5044 password => "hidden" } kafka { topics => ["a"] } http { url => "http://me:hidden@host/" } }
filter {
  if [type] == "a" {
    grok { id => "first" match => { "message" => "%{A} <&> \"x\"" } }
    if [b] { drop { } } else if [c] =~ /^5/ and [a-long-name] in ["a-very-long-name.example.org", "another-very-long-name"] {
      mutate { add_field => { "a" => "1" } rename => { "b" => "c" } strip => ["c"] lowercase => ["a"] uppercase => ["b"] }
      if [deep] { if [deeper] { prune { } } else { split { } } mutate { } }
    } else { }
    date { match => ["t", "ISO8601"] }
  } else if [type] == "日本語日本語日本語日本語日本語日本語日本語日本語" { json { source => "m" } }
  if [x] { drop { } } else { drop { } }
}
output { if [alarm] { email { } } else { elasticsearch { hosts => ["h"] } } if [z] { null { } } }`

func graphOf(t *testing.T, text string) *Graph {
	t.Helper()
	c, err := syntax.Parse("a.conf", []byte(text))
	if err != nil {
		t.Skip(err)
	}
	return NewGraph(c)
}

// svgNode is an element of a picture.
type svgNode struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Nodes   []svgNode  `xml:",any"`
	Text    string     `xml:",chardata"`
}

func (n *svgNode) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (n *svgNode) number(t *testing.T, name string) int {
	t.Helper()
	v, err := strconv.Atoi(n.attr(name))
	if err != nil {
		t.Fatalf("%s of %s: %v", name, n.XMLName.Local, err)
	}
	return v
}

type rectangle struct{ x, y, w, h int }

var pathPoint = regexp.MustCompile(`[ML](-?\d+) (-?\d+)`)

// checkPicture checks that a picture is XML, that no boxes overlap, that texts are inside of their boxes, and that ways go
// around boxes and do not leave the picture.
func checkPicture(t *testing.T, svg string) {
	t.Helper()
	var root svgNode
	if err := xml.Unmarshal([]byte(svg), &root); err != nil {
		t.Fatal(err)
	}
	width, height := root.number(t, "width"), root.number(t, "height")
	var boxes []rectangle
	for _, g := range root.Nodes {
		if g.XMLName.Local != "g" || g.attr("class") == "bands" || g.attr("class") == "ways" {
			continue
		}
		var box rectangle
		for _, n := range g.Nodes {
			switch n.XMLName.Local {
			case "rect":
				box = rectangle{n.number(t, "x"), n.number(t, "y"), n.number(t, "width"), n.number(t, "height")}
				boxes = append(boxes, box)
			case "text":
				x, y := n.number(t, "x"), n.number(t, "y")
				if x < box.x || y < box.y || y > box.y+box.h || x+columnsOf(n.Text)*73/10 > box.x+box.w {
					t.Errorf("%q does not fit into its box", n.Text)
				}
			}
		}
	}
	for i, a := range boxes {
		if a.x < 0 || a.y < 0 || a.x+a.w > width || a.y+a.h > height {
			t.Errorf("box %v is outside of the picture", a)
		}
		for _, b := range boxes[:i] {
			if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
				t.Errorf("boxes %v and %v overlap", a, b)
			}
		}
	}
	for _, g := range root.Nodes {
		if g.attr("class") != "ways" {
			continue
		}
		for _, n := range g.Nodes {
			points := pathPoint.FindAllStringSubmatch(n.attr("d"), -1)
			for i := 1; i < len(points); i++ {
				var c [4]int
				for j, s := range []string{points[i-1][1], points[i-1][2], points[i][1], points[i][2]} {
					c[j], _ = strconv.Atoi(s)
				}
				if max(c[0], c[2]) > width || max(c[1], c[3]) > height {
					t.Errorf("way %v leaves the picture", c)
				}
				for _, b := range boxes {
					if max(c[0], c[2]) > b.x && min(c[0], c[2]) < b.x+b.w && max(c[1], c[3]) > b.y && min(c[1], c[3]) < b.y+b.h {
						t.Errorf("way %v runs through box %v", c, b)
					}
				}
			}
		}
	}
}

func TestPicturesHaveNothingThatOverlaps(t *testing.T) {
	checkPicture(t, graphOf(t, drawnConfig).SVG())
	pictures := 0
	err := filepath.WalkDir("testdata/cases", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".txt" {
			return err
		}
		config := readCase(t, path).config
		t.Run(d.Name(), func(t *testing.T) {
			checkPicture(t, graphOf(t, config).SVG())
			pictures++
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if pictures < 100 {
		t.Errorf("%d pictures of recorded cases, want more", pictures)
	}
}

func TestGraphsKeepSecrets(t *testing.T) {
	g := graphOf(t, drawnConfig)
	for name, text := range map[string]string{"mermaid": g.Mermaid(), "svg": g.SVG()} {
		if strings.Contains(text, "hidden") || !strings.Contains(text, "password =") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func TestMermaidHasEveryWay(t *testing.T) {
	got := graphOf(t, `filter { if [a] { drop { } } else if [b] { mutate { } } json { } if [c] { drop { } } else { drop { } } }
		output { stdout { } }`).Mermaid()
	for _, want := range []string{
		`n1{{"if [a]"}}:::condition`, `n2["<b>drop</b>"]:::ends`, "n1 -->|yes| n2\n", "n1 -->|no| n3\n", "n3 -->|yes| n4\n", "n4 --> n5\n",
		"n3 -->|no| n5\n", "n5 --> n6\n", "n6 -->|yes| n7\n", "n6 -->|no| n8\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, not := range []string{"n2 -->", "n7 -->", "n8 -->"} {
		if strings.Contains(got, not) {
			t.Errorf("%q: no event goes on behind drop\n%s", not, got)
		}
	}
}

func TestMermaidTextsCannotEndTheirQuotes(t *testing.T) {
	got := graphOf(t, `filter { mutate { replace => { "a" => 'say "x" <b> & #1; `+"`y`"+`' } } }`).Mermaid()
	if !strings.Contains(got, "say #quot;x#quot; #lt;b#gt; #amp; #35;1; #96;y#96;") {
		t.Error(got)
	}
}

func FuzzPictures(f *testing.F) {
	f.Add(drawnConfig)
	f.Add("filter { if [a] { } }")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4000 {
			t.Skip()
		}
		g := graphOf(t, text)
		checkPicture(t, g.SVG())
		g.Mermaid()
	})
}
