package testbed

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// A writer makes random documents and ids: whatever a server accepts and a careless reader gets wrong.
type writer struct {
	rng  *rand.Rand
	buf  []byte
	line bool // no line breaks between tokens: the document goes into a _bulk request
}

var (
	words  = strings.Fields("error timeout connection reset user login payment order cart shipping index shard merge flush replica snapshot")
	korean = strings.Fields("오픈서치 스냅샷 마이그레이션 로그 검색 색인 문서 삭제 갱신 서울 부산 압축 세그먼트 복구")
	odd    = []string{"😀", "👩‍👩‍👧‍👦", "é", "\u2028", `\"`, `\\`, `\/`, `\n`, `\t`, `\u0000`, `\u001f`, `\ud83d\ude80`, `\u00e9`, "\x7f"}
)

func (w *writer) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (w *writer) pick(from []string) string { return from[w.rng.IntN(len(from))] }

// document makes a document with the fields of properties, of about size bytes at most when size is not zero.
func (w *writer) document(n int, nested bool, size int) []byte {
	w.buf = append(w.buf[:0], '{')
	w.field(true, "n", strconv.Itoa(n*37%1000))
	w.field(false, "k", `"`+w.pick(words)+`"`)
	w.field(false, "d", fmt.Sprintf(`"20%02d-%02d-%02dT%02d:00:00.%03dZ"`, w.rng.IntN(26), 1+w.rng.IntN(12), 1+w.rng.IntN(28), w.rng.IntN(24), w.rng.IntN(1000)))
	if w.chance(60) {
		w.field(false, "t", "")
		w.text(w.rng.IntN(12))
	}
	if w.chance(50) {
		w.field(false, "secret", `"s`+strconv.Itoa(n)+`"`)
	}
	if nested && w.chance(70) {
		w.field(false, "items", "[")
		for i := range w.rng.IntN(5) {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.buf = fmt.Appendf(w.buf, `{"by":%q,"stars":%d}`, w.pick(korean), w.rng.IntN(6))
		}
		w.buf = append(w.buf, ']')
	}
	w.field(false, "free", "{")
	for i := range w.rng.IntN(6) {
		w.field(i == 0, w.pick(words)+strconv.Itoa(i), "")
		w.value(3)
	}
	if size > 0 {
		w.field(w.buf[len(w.buf)-1] == '{', "long", `"`)
		w.filling(size)
		w.buf = append(w.buf, '"')
	}
	w.space()
	w.buf = append(w.buf, '}')
	w.space()
	return append(w.buf, '}')
}

// properties is the mapping of document's fields.
func properties(text string) map[string]any {
	return map[string]any{
		"n": map[string]any{"type": "integer"}, "k": map[string]any{"type": "keyword"}, "d": map[string]any{"type": "date"},
		"t": map[string]any{"type": text}, "secret": map[string]any{"type": "keyword"},
		"free": map[string]any{"type": "object", "enabled": false},
	}
}

func (w *writer) field(first bool, name, value string) {
	if !first {
		w.buf = append(w.buf, ',')
	}
	w.space()
	w.buf = append(append(append(w.buf, '"'), name...), '"')
	w.space()
	w.buf = append(w.buf, ':')
	w.space()
	w.buf = append(w.buf, value...)
}

func (w *writer) space() {
	if w.chance(90) {
		return
	}
	kinds := []string{" ", "  ", "\t", "\n", "\n  ", "\r\n"}
	if w.line {
		kinds = kinds[:3]
	}
	w.buf = append(w.buf, w.pick(kinds)...)
}

// text appends a string of n pieces.
func (w *writer) text(n int) {
	w.buf = append(w.buf, '"')
	for i := range n {
		if i > 0 {
			w.buf = append(w.buf, ' ')
		}
		switch w.rng.IntN(5) {
		case 0:
			w.buf = append(w.buf, w.pick(korean)...)
		case 1:
			w.buf = append(w.buf, w.pick(odd)...)
		default:
			w.buf = append(w.buf, w.pick(words)...)
		}
	}
	w.buf = append(w.buf, '"')
}

func (w *writer) value(depth int) {
	switch kind := w.rng.IntN(11); {
	case kind == 0:
		w.buf = append(w.buf, "null"...)
	case kind == 1:
		w.buf = strconv.AppendBool(w.buf, w.chance(50))
	case kind <= 5:
		w.buf = append(w.buf, w.number()...)
	case kind <= 8 || depth == 0:
		w.text(w.rng.IntN(5))
	case kind == 9:
		w.buf = append(w.buf, '[')
		for i := range w.rng.IntN(4) {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.space()
			w.value(depth - 1)
		}
		w.buf = append(w.buf, ']')
	default:
		w.buf = append(w.buf, '{')
		for i := range w.rng.IntN(4) {
			w.field(i == 0, w.pick(korean)+strconv.Itoa(i), "")
			w.value(depth - 1)
		}
		w.buf = append(w.buf, '}')
	}
}

func (w *writer) number() string {
	switch w.rng.IntN(6) {
	case 0:
		return w.pick([]string{"0", "-0", "-0.0", "1.0", "1e3", "1E+3", "2.50", "1.0E-7", "9223372036854775807", "-9223372036854775808",
			"18446744073709551615", "123456789012345678901234567890", "0.1", "1.7976931348623157E308", "4.9E-324"})
	case 1:
		return strconv.FormatFloat(w.rng.NormFloat64()*math.Pow(10, float64(w.rng.IntN(20)-8)), 'g', -1, 64)
	default:
		return strconv.FormatInt(w.rng.Int64()>>w.rng.IntN(63), 10)
	}
}

// filling appends size bytes that go into a JSON string: of words, or such that no compression makes them shorter.
func (w *writer) filling(size int) {
	if w.chance(50) {
		raw := make([]byte, size*3/4)
		for i := range raw {
			raw[i] = byte(w.rng.Uint32())
		}
		w.buf = base64.StdEncoding.AppendEncode(w.buf, raw)
		return
	}
	for end := len(w.buf) + size; len(w.buf) < end; {
		w.buf = append(append(w.buf, w.pick(words)...), ' ')
		if w.chance(5) {
			w.buf = append(w.buf, w.pick(korean)...)
		}
	}
}

// id makes an id. The servers store ids in three binary forms (digits, URL-safe base64, else UTF-8; see Uid.java), and
// the shortest and oddest of each are likely here.
func (w *writer) id(n int) string {
	s := strconv.Itoa(n)
	switch w.rng.IntN(9) {
	case 0:
		return s
	case 1:
		return "0" + s
	case 2:
		return s + s + s + s
	case 3:
		return "doc-" + s
	case 4:
		return w.pick(korean) + "/" + s + "?&#%"
	case 5: // valid base64, often of bytes that need the escape (0xfd and above)
		raw := make([]byte, 1+w.rng.IntN(20))
		for i := range raw {
			raw[i] = byte(w.rng.Uint32())
		}
		if w.chance(40) {
			raw[0] = byte(0xfd + w.rng.IntN(3))
		}
		return base64.RawURLEncoding.EncodeToString(append(raw, s...))
	case 6: // alphabet of base64, but not canonical
		return "A" + s + w.pick([]string{"_", "-", "B", "_9"})
	case 7:
		return strings.Repeat("x", 512-len(s)) + s
	default:
		return w.pick([]string{"😀", " ", "type#", "\"\\", "a\tb", "Å"}) + s
	}
}

// foreign makes a flat document in another content type than JSON, as servers accept them.
func (w *writer) foreign() (contentType string, doc []byte) {
	type field struct {
		name  string
		value any
	}
	fields := []field{{"n", w.rng.IntN(1000)}, {"k", w.pick(words)}}
	for i := range w.rng.IntN(5) {
		values := []any{w.rng.Int64() >> w.rng.IntN(63), w.chance(50), strings.Join([]string{w.pick(words), w.pick(words)}, " "),
			math.Float64frombits(w.rng.Uint64()&^(0x7ff<<52) | uint64(1000+w.rng.IntN(60))<<52), float64(w.rng.IntN(1000)), nil}
		fields = append(fields, field{"x" + strconv.Itoa(i), values[w.rng.IntN(len(values))]})
	}
	switch w.rng.IntN(3) {
	case 0:
		doc = []byte("---\n")
		for _, f := range fields {
			value, err := json.Marshal(f.value)
			if err != nil {
				panic("BUG: " + err.Error())
			}
			doc = fmt.Appendf(doc, "%s: %s\n", f.name, value)
		}
		return "application/yaml", doc
	case 1:
		doc = []byte{0xbf}
		for _, f := range fields {
			doc = appendCBOR(appendCBOR(doc, f.name), f.value)
		}
		return "application/cbor", append(doc, 0xff)
	default:
		doc = []byte(":)\n\x00\xfa")
		for _, f := range fields {
			doc = append(append(doc, byte(0x80+len(f.name)-1)), f.name...)
			doc = appendSmile(doc, f.value)
		}
		return "application/smile", append(doc, 0xfb)
	}
}

// appendCBOR writes a value as RFC 8949 has it.
func appendCBOR(b []byte, value any) []byte {
	head := func(major byte, n uint64) []byte {
		if n < 24 {
			return append(b, major<<5|byte(n))
		}
		return binary.BigEndian.AppendUint64(append(b, major<<5|27), n)
	}
	switch v := value.(type) {
	case string:
		return append(head(3, uint64(len(v))), v...)
	case int:
		return appendCBOR(b, int64(v))
	case int64:
		if v < 0 {
			return head(1, uint64(-1-v))
		}
		return head(0, uint64(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 0xfb), math.Float64bits(v))
	case bool:
		if v {
			return append(b, 0xf5)
		}
		return append(b, 0xf4)
	default:
		return append(b, 0xf6)
	}
}

// appendSmile writes a value as the SMILE format has it; a string must be ASCII of 1 to 32 bytes.
func appendSmile(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return append(append(b, byte(0x40+len(v)-1)), v...)
	case int:
		return appendSmile(b, int64(v))
	case int64:
		kind := byte(0x24)
		if int64(int32(v)) != v {
			kind = 0x25
		}
		zigzag := uint64(v<<1) ^ uint64(v>>63)
		groups := []byte{byte(zigzag&0x3f) | 0x80} // the last byte has six bits, those before it seven
		for zigzag >>= 6; zigzag > 0; zigzag >>= 7 {
			groups = append(groups, byte(zigzag&0x7f))
		}
		b = append(b, kind)
		for i := len(groups) - 1; i >= 0; i-- {
			b = append(b, groups[i])
		}
		return b
	case float64: // ten groups of seven bits
		b = append(b, 0x29)
		for shift := 63; shift >= 0; shift -= 7 {
			b = append(b, byte(math.Float64bits(v)>>shift&0x7f))
		}
		return b
	case bool:
		if v {
			return append(b, 0x23)
		}
		return append(b, 0x22)
	default:
		return append(b, 0x21)
	}
}
