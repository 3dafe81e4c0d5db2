package event

import (
	"fmt"
	"strings"
	"testing"
)

// webLine is an event of 15 fields, as an access log gives them.
const webLine = `{"message":"83.149.9.216 - - [17/May/2015:10:05:03 +0000] \"GET /presentations/logstash-monitorama-2013/images/kibana-search.png HTTP/1.1\" 200 203023",` +
	`"clientip":"83.149.9.216","ident":"-","auth":"frank","timestamp":"17/May/2015:10:05:03 +0000","verb":"GET","request":"/presentations/logstash-monitorama-2013/images/kibana-search.png",` +
	`"httpversion":"1.1","response":"200","bytes":"203023","referrer":"http://semicomplete.com/presentations/","agent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1)","host":"web-17",` +
	`"@version":"1","type":"access"}`

func webFields(b *testing.B) (refs []*Ref, texts []string) {
	v := read(b, webLine)
	for _, e := range v.Map().Entries() {
		refs = append(refs, ref(b, "["+e.Key+"]"))
		texts = append(texts, e.Value.Str())
	}
	return refs, texts
}

func BenchmarkSetFifteenFields(b *testing.B) {
	refs, texts := webFields(b)
	e := &Event{}
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		for i, r := range refs {
			if err := e.Set(r, StringValue(texts[i])); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkGetFifteenFields(b *testing.B) {
	refs, _ := webFields(b)
	e := decoded(b, webLine)
	n := 0
	for b.Loop() {
		for _, r := range refs {
			n += len(e.Get(r).Str())
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	e := decoded(b, strings.ReplaceAll(webLine, `\"`, "'"))
	dst := e.AppendJSON(nil)
	b.SetBytes(int64(len(dst)))
	b.ReportAllocs()
	for b.Loop() {
		dst = e.AppendJSON(dst[:0])
	}
}

func BenchmarkParseJSON(b *testing.B) {
	for _, escapes := range []bool{false, true} {
		line := []byte(webLine)
		if !escapes {
			line = []byte(strings.ReplaceAll(webLine, `\"`, "'"))
		}
		b.Run(fmt.Sprintf("escapes=%t", escapes), func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseJSON(line, JSONOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseJSONIntoAnEvent(b *testing.B) {
	line := []byte(strings.ReplaceAll(webLine, `\"`, "'"))
	e := &Event{}
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		if err := e.Fields().ParseJSON(line, JSONOptions{}); err != nil {
			b.Fatal(err)
		}
		e.Complete(noon)
	}
}

func BenchmarkFormat(b *testing.B) {
	e := decoded(b, webLine)
	for _, text := range []string{"%{host}", "%{host}-%{verb}/%{[a][b]}", "logs-%{+YYYY.MM.dd}"} {
		f := ParseFormat(text)
		b.Run(text, func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = f.Append(dst[:0], e)
			}
		})
	}
}
