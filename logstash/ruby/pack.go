package ruby

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
)

// A packing is one directive of pack and unpack: a letter with a count.
type packing struct {
	letter byte
	big    bool // > : the highest byte first
	count  int
	star   bool
	given  bool
}

func (x *exec) packings(f string) []packing {
	var out []packing
	for i := 0; i < len(f); i++ {
		if strings.IndexByte(space, f[i]) >= 0 {
			continue
		}
		p := packing{letter: f[i], count: 1}
		for ; i+1 < len(f) && strings.IndexByte("<>_!", f[i+1]) >= 0; i++ {
			p.big = p.big || f[i+1] == '>'
		}
		if i+1 < len(f) && f[i+1] == '*' {
			p.star = true
			i++
		} else {
			from := i + 1
			for i+1 < len(f) && f[i+1] >= '0' && f[i+1] <= '9' {
				i++
			}
			if i+1 > from {
				n, err := strconv.Atoi(f[from : i+1])
				if err != nil || n > mostWidth {
					x.raise(classRangeError, "pack length too big")
				}
				p.count, p.given = n, true
			}
		}
		switch p.letter {
		case 'n', 'N':
			p.big = true
		}
		if strings.IndexByte("aAZHhBbCcSsLlQqnNvVUmxw", p.letter) < 0 {
			x.raise(classArgumentError, "the directive "+string(p.letter)+" of pack is not known")
		}
		out = append(out, p)
	}
	return out
}

// size is the bytes of an integer; 0 if the letter is for none.
func (p packing) size() int {
	switch p.letter {
	case 'C', 'c':
		return 1
	case 'S', 's', 'n', 'v':
		return 2
	case 'L', 'l', 'N', 'V':
		return 4
	case 'Q', 'q':
		return 8
	}
	return 0
}

func (p packing) order() binary.ByteOrder {
	if p.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (x *exec) pack(v []any, f string) string {
	var out []byte
	next := func() any {
		if len(v) == 0 {
			x.raise(classArgumentError, "too few arguments")
		}
		first := v[0]
		v = v[1:]
		return first
	}
	for _, p := range x.packings(f) {
		n := p.count
		if p.star {
			n = len(v)
		}
		x.alloc(n * 8)
		switch p.letter {
		case 'a', 'A', 'Z':
			s := x.text(next())
			if p.star {
				out = append(out, s...)
				continue
			}
			fill := byte(0)
			if p.letter == 'A' {
				fill = ' '
			}
			for i := range n {
				if i < len(s) {
					out = append(out, s[i])
				} else {
					out = append(out, fill)
				}
			}
		case 'H', 'h', 'B', 'b':
			out = append(out, p.fromDigits(x.text(next()))...)
		case 'U':
			for range n {
				out = append(out, string(rune(x.integer(next())))...)
			}
		case 'm':
			s := x.text(next())
			if p.given && p.count == 0 {
				out = append(out, strings.ReplaceAll(encode64(s), "\n", "")...)
			} else {
				out = append(out, encode64(s)...)
			}
		case 'x':
			out = append(out, make([]byte, p.count)...)
		default:
			for range n {
				b := make([]byte, 8)
				i := bigOf(x.toInteger(x.number(next(), int64(0))))
				value := i.Uint64()
				if i.Sign() < 0 {
					value = uint64(i.Int64())
				}
				switch p.size() {
				case 1:
					b[0] = byte(value)
				case 2:
					p.order().PutUint16(b, uint16(value))
				case 4:
					p.order().PutUint32(b, uint32(value))
				default:
					p.order().PutUint64(b, value)
				}
				out = append(out, b[:max(1, p.size())]...)
			}
		}
	}
	return string(out)
}

// fromDigits reads hexadecimal (H, h) or binary (B, b) digits.
func (p packing) fromDigits(s string) []byte {
	per := 2
	if p.letter == 'B' || p.letter == 'b' {
		per = 8
	}
	if !p.star {
		if !p.given {
			p.count = 1
		}
		s = s[:min(len(s), p.count)]
	}
	var out []byte
	for i := 0; i < len(s); i += per {
		var b byte
		for j := range per {
			d := byte(0)
			if i+j < len(s) {
				d = s[i+j] & 1
				if per == 2 {
					d = byte(digitValue(s[i+j]) & 15)
				}
			}
			bits := 8 / per
			shift := 8 - bits*(j+1)
			if p.letter == 'h' || p.letter == 'b' {
				shift = bits * j
			}
			b |= d << shift
		}
		out = append(out, b)
	}
	return out
}

func (x *exec) unpack(s, f string) *array {
	out := &array{}
	add := func(v any) {
		x.alloc(24)
		out.v = append(out.v, v)
	}
	for _, p := range x.packings(f) {
		n := p.count
		switch p.letter {
		case 'a', 'A', 'Z':
			if p.star || n > len(s) {
				n = len(s)
			}
			text := s[:n]
			s = s[n:]
			switch p.letter {
			case 'A':
				text = strings.TrimRight(text, " \x00")
			case 'Z':
				text, _, _ = strings.Cut(text, "\x00")
			}
			add(x.str(text))
		case 'H', 'h', 'B', 'b':
			per := 2
			if p.letter == 'B' || p.letter == 'b' {
				per = 8
			}
			if p.star || n > len(s)*per {
				n = len(s) * per
			}
			digits := digitsOf(s[:(n+per-1)/per], p.letter)
			s = s[(n+per-1)/per:]
			add(x.str(digits[:n]))
		case 'U':
			for i := 0; (p.star || i < n) && len(s) > 0; i++ {
				add(int64(firstRune(s)))
				s = s[width(s, 0):]
			}
		case 'm':
			add(x.str(decode64(s)))
			s = ""
		case 'x':
			s = s[min(len(s), n):]
		default:
			size := max(1, p.size())
			for i := 0; p.star || i < n; i++ {
				if len(s) < size {
					if !p.star {
						add(nil)
						continue
					}
					break
				}
				add(p.integer(bytesOf(s[:size])))
				s = s[size:]
			}
		}
	}
	return out
}

func (p packing) integer(b []byte) any {
	signed := p.letter >= 'a' && p.letter != 'n' && p.letter != 'v'
	var v uint64
	switch len(b) {
	case 1:
		if v = uint64(b[0]); signed {
			return int64(int8(b[0]))
		}
	case 2:
		if v = uint64(p.order().Uint16(b)); signed {
			return int64(int16(v))
		}
	case 4:
		if v = uint64(p.order().Uint32(b)); signed {
			return int64(int32(v))
		}
	default:
		if v = p.order().Uint64(b); signed {
			return int64(v)
		}
	}
	if v > math.MaxInt64 {
		return normal(bigOf(int64(0)).SetUint64(v))
	}
	return int64(v)
}

func digitsOf(s string, letter byte) string {
	if letter == 'H' {
		return hex.EncodeToString([]byte(s))
	}
	var b strings.Builder
	for i := range len(s) {
		switch letter {
		case 'h':
			b.WriteString(strconv.FormatUint(uint64(s[i]&15), 16) + strconv.FormatUint(uint64(s[i]>>4), 16))
		default:
			for j := range 8 {
				shift := 7 - j
				if letter == 'b' {
					shift = j
				}
				b.WriteByte('0' + s[i]>>shift&1)
			}
		}
	}
	return b.String()
}
