package filter

import (
	"fmt"
	"strings"

	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/pattern/number"
)

// addConversion adds the conversion of a field.
func (m *mutation) addConversion(s *Setup, c option.Pair) {
	convert := converters[option.Text(c.Value)]
	m.addField(s, "convert", c.Key, func(m *mutation, x *Context, e *event.Event, r *event.Ref) error {
		v := e.Get(r)
		switch v.Kind() {
		case event.Absent, event.Null, event.Map:
			return nil
		case event.List:
			list := make([]event.Value, len(v.List()))
			for i, element := range v.List() {
				if element.Nil() {
					list[i] = event.NullValue
					continue
				}
				var err error
				if list[i], err = convert(m, x, element); err != nil {
					return fmt.Errorf("convert %s: %w", r, err)
				}
			}
			return e.Set(r, event.ListValue(list))
		}
		v, err := convert(m, x, v)
		if err != nil {
			return fmt.Errorf("convert %s: %w", r, err)
		}
		return e.Set(r, v)
	})
}

// A converter converts a value that is not null.
type converter func(m *mutation, x *Context, v event.Value) (event.Value, error)

var converters = map[string]converter{
	"string":  toString,
	"boolean": toBoolean,
	"integer": func(_ *mutation, _ *Context, v event.Value) (event.Value, error) { return toInteger(v) },
	"float":   func(_ *mutation, _ *Context, v event.Value) (event.Value, error) { return toFloat(v) },
	"integer_eu": func(_ *mutation, _ *Context, v event.Value) (event.Value, error) {
		return toInteger(fromEuropean(v))
	},
	"float_eu": func(_ *mutation, _ *Context, v event.Value) (event.Value, error) { return toFloat(fromEuropean(v)) },
}

func toString(m *mutation, x *Context, v event.Value) (event.Value, error) {
	if v.Kind() == event.String {
		return v, nil
	}
	x.Buf = appendInspected(x.Buf[:0], v)
	return event.StringValue(m.own.room.keep(x.Buf)), nil
}

// toBoolean takes the words for true and false, in any line of the text; the point of 1.0 and 0.0 may be any character.
func toBoolean(m *mutation, x *Context, v event.Value) (event.Value, error) {
	switch v.Kind() {
	case event.Bool:
		return v, nil
	case event.Int:
		if n := v.Int(); n == 0 || n == 1 {
			return event.BoolValue(n == 1), nil
		}
	}
	text := rubyText(v)
	switch {
	case anyLine(text, '1', "true", "t", "yes", "y", "1"):
		return event.BoolValue(true), nil
	case text == "" || anyLine(text, '0', "false", "f", "no", "n", "0"):
		return event.BoolValue(false), nil
	}
	x.Log.Warn("mutate cannot make a boolean of a value", "filter", m.where, "value", v.Kind().String())
	return v, nil
}

// anyLine reports that a line of s is one of the words, whatever its case, or the digit, any character, and 0.
func anyLine(s string, digit byte, words ...string) bool {
	if len(s) > 8 && strings.IndexByte(s, '\n') < 0 {
		return false
	}
	for line := range strings.SplitSeq(s, "\n") {
		for _, w := range words {
			if strings.EqualFold(line, w) {
				return true
			}
		}
		if len(line) >= 3 && line[0] == digit && line[len(line)-1] == '0' && len([]rune(line)) == 3 {
			return true
		}
	}
	return false
}

// fromEuropean writes a text with points and commas the other way round.
func fromEuropean(v event.Value) event.Value {
	if v.Kind() != event.String || !strings.ContainsAny(v.Str(), ",.") {
		return v
	}
	return event.StringValue(strings.Map(func(r rune) rune {
		switch r {
		case ',':
			return '.'
		case '.':
			return ','
		}
		return r
	}, v.Str()))
}

// plainNumber gives a number in a text as the conversions look at it: without blanks around and without commas.
func plainNumber(s string) string { return strings.ReplaceAll(rubyStrip(s), ",", "") }

// toInteger of a text: 0x1a and what has an e in it (1e3, but also twelve) must be a number as a whole; of other texts the
// number at the start counts, 0 if there is none.
func toInteger(v event.Value) (event.Value, error) {
	switch v.Kind() {
	case event.Int, event.BigInt:
		return v, nil
	case event.Bool:
		if v.Bool() {
			return event.IntValue(1), nil
		}
		return event.IntValue(0), nil
	case event.Float:
		return floatInt(v.Float())
	case event.Decimal:
		d, ok := parseDecimal(v.Text())
		if !ok {
			return v, fmt.Errorf("%.60q is no number", v.Text())
		}
		n, ok := d.integer()
		if !ok {
			return v, fmt.Errorf("%.60q has too many digits", v.Text())
		}
		return event.BigValue(n), nil
	case event.Time:
		return event.IntValue(v.Time().Unix()), nil
	case event.String:
		return textToInteger(plainNumber(v.Str()))
	}
	return v, fmt.Errorf("cannot make an integer of %s", v.Kind())
}

func textToInteger(s string) (event.Value, error) {
	switch {
	case number.IsHex(s):
		f, err := number.Hex(s)
		switch {
		case err != nil:
			return event.Value{}, err
		case strings.Contains(s, "."):
			return floatInt(f)
		}
		return number.Integer(s)
	case strings.ContainsAny(s, "eE"):
		return scientificInt(s)
	}
	return rubyInt(withoutBase(s)), nil
}

// withoutBase cuts the prefix 0d off, which String#to_i takes.
func withoutBase(s string) string {
	rest, negative := signed(s)
	if len(rest) < 3 || rest[0] != '0' || rest[1]|0x20 != 'd' || rest[2] < '0' || rest[2] > '9' {
		return s
	}
	if negative {
		return "-" + rest[2:]
	}
	return rest[2:]
}

// toFloat of a text: it must be a number as a whole.
func toFloat(v event.Value) (event.Value, error) {
	switch v.Kind() {
	case event.Float:
		return v, nil
	case event.Int, event.BigInt, event.Decimal:
		return event.FloatValue(number.Approximate(v)), nil
	case event.Bool:
		if v.Bool() {
			return event.FloatValue(1), nil
		}
		return event.FloatValue(0), nil
	case event.Time:
		return event.FloatValue(float64(v.Time().Unix()) + float64(v.Time().Nanosecond())/1e9), nil
	case event.String:
		f, err := number.Float(plainNumber(v.Str()))
		return event.FloatValue(f), err
	}
	return v, fmt.Errorf("cannot make a float of %s", v.Kind())
}
