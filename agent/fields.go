package agent

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/narudata/naru/format/filebeat"
	"github.com/narudata/naru/format/tree"
)

// fieldsOf gives a section's settings as fields: names with dots are fields within fields.
func fieldsOf(s *filebeat.Section, key string) tree.Object {
	n := s.Get(key)
	if n == nil {
		return nil
	}
	if n.Kind != filebeat.Map {
		s.Say(filebeat.Wrong, key, "expected names and values", "")
		return nil
	}
	o, _ := toTree(n.Value()).(tree.Object)
	return o
}

func addFields(s *filebeat.Section, _ *environment) Processor {
	target := s.Text("target", "fields")
	fields := fieldsOf(s, "fields")
	return func(e *Event) bool {
		e.putOver(target, fields)
		return true
	}
}

// putOver merges fields into the event, or a field of it; times and metadata have no meaning among them.
func (e *Event) putOver(target string, fields tree.Object) {
	if target == "" {
		e.Fields = merge(e.Fields, fields, true)
		return
	}
	if target == "@metadata" {
		e.Meta = merge(e.Meta, fields, true)
		return
	}
	old, _ := e.Get(target)
	under, _ := old.(tree.Object)
	e.Put(target, merge(under, fields, true))
}

func addLabels(s *filebeat.Section, _ *environment) Processor {
	var flat tree.Object
	var flatten func(prefix string, v any)
	flatten = func(prefix string, v any) {
		switch v := v.(type) {
		case tree.Object:
			for _, m := range v {
				flatten(strings.TrimPrefix(prefix+"."+m.Name, "."), m.Value)
			}
		case []any:
			for i := range v {
				flatten(prefix+"."+strconv.Itoa(i), v[i])
			}
		default:
			flat = append(flat, tree.Member{Name: prefix, Value: v})
		}
	}
	flatten("", fieldsOf(s, "labels"))
	return func(e *Event) bool {
		e.putOver("labels", flat)
		return true
	}
}

func addTags(s *filebeat.Section, _ *environment) Processor {
	target := s.Text("target", "tags")
	tags := s.Texts("tags")
	return func(e *Event) bool {
		e.addTags(target, tags)
		return true
	}
}

func (e *Event) addTags(field string, tags []string) {
	v, _ := e.Get(field)
	old, _ := v.([]any)
	if one, ok := v.(string); ok {
		old = []any{one}
	}
	list := append([]any{}, old...)
	for _, t := range tags {
		list = append(list, t)
	}
	e.Put(field, list)
}

// addID keeps the id that an event has by where it was read: it is the same each time.
func addID(s *filebeat.Section, _ *environment) Processor {
	target := s.Text("target_field", "@metadata._id")
	s.Know("type")
	return func(e *Event) bool {
		if id := e.Text("@metadata.naru_id"); id != "" {
			e.Put(target, id)
		}
		return true
	}
}

// names gives a list of names of fields; those in slashes are regular expressions of names.
func names(s *filebeat.Section, key string) (plain []string, patterns []*regexp.Regexp) {
	for _, n := range s.Texts(key) {
		if len(n) > 2 && n[0] == '/' && n[len(n)-1] == '/' {
			re, err := regexp.Compile(n[1 : len(n)-1])
			if err != nil {
				s.Say(filebeat.Wrong, key, err.Error(), "")
				continue
			}
			patterns = append(patterns, re)
			continue
		}
		plain = append(plain, n)
	}
	return plain, patterns
}

func dropFields(s *filebeat.Section, _ *environment) Processor {
	plain, patterns := names(s, "fields")
	s.Bool("ignore_missing", false) // what is not there need not be dropped
	return func(e *Event) bool {
		for _, n := range plain {
			e.Delete(n)
		}
		if len(patterns) > 0 {
			var gone []string
			paths(e.Fields, "", func(name string) {
				for _, re := range patterns {
					if re.MatchString(name) {
						gone = append(gone, name)
						return
					}
				}
			})
			for _, n := range gone {
				e.Delete(n)
			}
		}
		return true
	}
}

// paths gives the whole names of all fields.
func paths(o tree.Object, prefix string, yield func(string)) {
	for _, m := range o {
		yield(prefix + m.Name)
		if under, ok := m.Value.(tree.Object); ok {
			paths(under, prefix+m.Name+".", yield)
		}
	}
}

func includeFields(s *filebeat.Section, _ *environment) Processor {
	plain, patterns := names(s, "fields")
	return func(e *Event) bool {
		kept := &Event{Time: e.Time, Meta: e.Meta}
		for _, n := range plain {
			if v, ok := get(e.Fields, n); ok {
				kept.Put(n, v)
			}
		}
		if len(patterns) > 0 {
			paths(e.Fields, "", func(name string) {
				for _, re := range patterns {
					if re.MatchString(name) {
						v, _ := get(e.Fields, name)
						kept.Put(name, v)
						return
					}
				}
			})
		}
		e.Fields = kept.Fields
		return true
	}
}

func dropEvent(*filebeat.Section, *environment) Processor {
	return func(*Event) bool { return false }
}

type pair struct{ from, to string }

func pairs(s *filebeat.Section) []pair {
	var out []pair
	for _, f := range s.Sections("fields") {
		p := pair{f.Text("from", ""), f.Text("to", "")}
		f.Done()
		if p.from == "" || p.to == "" {
			f.Say(filebeat.Wrong, "", "expected from and to", "")
			continue
		}
		out = append(out, p)
	}
	return out
}

// fail says of an event what a processor could not do; the event is as it was before it.
func (e *Event) fail(before Event, err string) bool {
	*e = before
	e.Put("error.message", err)
	return true
}

func renameFields(move bool) builderOf {
	return func(s *filebeat.Section, _ *environment) Processor {
		all := pairs(s)
		ignoreMissing, failOnError := s.Bool("ignore_missing", false), s.Bool("fail_on_error", true)
		return func(e *Event) bool {
			before := *e
			for _, p := range all {
				v, ok := e.Get(p.from)
				if !ok {
					if !ignoreMissing && failOnError {
						return e.fail(before, fmt.Sprintf("no field %s to take for %s", p.from, p.to))
					}
					continue
				}
				if _, taken := e.Get(p.to); taken {
					if failOnError {
						return e.fail(before, fmt.Sprintf("the field %s is there already: %s does not become it", p.to, p.from))
					}
					continue
				}
				if move {
					e.Delete(p.from)
				}
				e.Put(p.to, v)
			}
			return true
		}
	}
}

func convert(v any, to string) (any, error) {
	text := tree.Text(v)
	switch to {
	case "string":
		return text, nil
	case "integer", "long":
		if n, err := strconv.ParseInt(text, 0, 64); err == nil && (to == "long" || n == int64(int32(n))) { //nolint:gosec // that it fits is what is asked
			return n, nil
		}
		if f, ok := number(v); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return int64(f), nil
		}
	case "float", "double":
		if f, ok := number(v); ok {
			return f, nil
		}
	case "boolean":
		if b, err := strconv.ParseBool(text); err == nil {
			return b, nil
		}
	case "ip":
		if _, err := netip.ParseAddr(text); err == nil {
			return text, nil
		}
	}
	return nil, fmt.Errorf("%.100q is no %s", text, to)
}

func convertFields(s *filebeat.Section, _ *environment) Processor {
	type conversion struct{ from, to, kind string }
	var all []conversion
	for _, f := range s.Sections("fields") {
		c := conversion{f.Text("from", ""), f.Text("to", ""), f.Choice("type", "", conversions...)}
		f.Done()
		if c.to == "" {
			c.to = c.from
		}
		all = append(all, c)
	}
	tag, mode := s.Text("tag", ""), s.Choice("mode", "copy", "copy", "rename")
	ignoreMissing, failOnError, ignoreFailure := s.Bool("ignore_missing", false), s.Bool("fail_on_error", true), s.Bool("ignore_failure", false)
	_ = tag // it is of log messages
	return func(e *Event) bool {
		before := *e
		for _, c := range all {
			v, ok := e.Get(c.from)
			if !ok {
				if !ignoreMissing && failOnError && !ignoreFailure {
					return e.fail(before, "no field "+c.from+" to convert")
				}
				continue
			}
			if c.kind != "" {
				w, err := convert(v, c.kind)
				if err != nil {
					if failOnError && !ignoreFailure {
						return e.fail(before, c.from+": "+err.Error())
					}
					continue
				}
				v = w
			}
			if mode == "rename" && c.to != c.from {
				e.Delete(c.from)
			}
			e.Put(c.to, v)
		}
		return true
	}
}

func replaceFields(s *filebeat.Section, _ *environment) Processor {
	type replacement struct {
		field string
		re    *regexp.Regexp
		with  string
	}
	var all []replacement
	for _, f := range s.Sections("fields") {
		r := replacement{field: f.Text("field", ""), with: f.Text("replacement", "")}
		if re := f.Regexps("pattern"); len(re) == 1 {
			r.re = re[0]
			all = append(all, r)
		}
		f.Done()
	}
	ignoreMissing, failOnError := s.Bool("ignore_missing", false), s.Bool("fail_on_error", true)
	return func(e *Event) bool {
		before := *e
		for _, r := range all {
			v, _ := e.Get(r.field)
			text, ok := v.(string)
			if !ok {
				if !ignoreMissing && failOnError {
					return e.fail(before, "no text in the field "+r.field)
				}
				continue
			}
			e.Put(r.field, r.re.ReplaceAllString(text, r.with))
		}
		return true
	}
}

func truncateFields(s *filebeat.Section, _ *environment) Processor {
	fields := s.Texts("fields")
	bytes, characters := s.Int("max_bytes", 0, 0, math.MaxInt32), s.Int("max_characters", 0, 0, math.MaxInt32)
	ignoreMissing, failOnError := s.Bool("ignore_missing", false), s.Bool("fail_on_error", true)
	return func(e *Event) bool {
		before := *e
		for _, f := range fields {
			v, _ := e.Get(f)
			text, ok := v.(string)
			if !ok {
				if !ignoreMissing && failOnError {
					return e.fail(before, "no text in the field "+f)
				}
				continue
			}
			short := text
			if bytes > 0 && int64(len(short)) > bytes {
				short = short[:bytes]
				for len(short) > 0 && !utf8.ValidString(short) {
					short = short[:len(short)-1]
				}
			}
			if characters > 0 && int64(utf8.RuneCountInString(short)) > characters {
				n := int64(0)
				for i := range short {
					if n == characters {
						short = short[:i]
						break
					}
					n++
				}
			}
			if short != text {
				e.Put(f, short)
				e.addTags("log.flags", []string{"truncated"})
			}
		}
		return true
	}
}

func changeCase(change func(string) string) builderOf {
	return func(s *filebeat.Section, _ *environment) Processor {
		fields, values := s.Texts("fields"), s.Texts("values")
		s.Know("ignore_missing", "fail_on_error", "alter_full_field", "ignore_failure")
		return func(e *Event) bool {
			for _, f := range values {
				if v, _ := e.Get(f); v != nil {
					if text, ok := v.(string); ok {
						e.Put(f, change(text))
					}
				}
			}
			for _, f := range fields {
				if v, ok := e.Get(f); ok {
					e.Delete(f)
					e.Put(change(f), v)
				}
			}
			return true
		}
	}
}

func addLocale(s *filebeat.Section, _ *environment) Processor {
	format := s.Choice("format", "offset", "offset", "abbreviation")
	return func(e *Event) bool {
		name, seconds := time.Now().Zone()
		if format == "offset" {
			name = fmt.Sprintf("%+03d:%02d", seconds/3600, max(seconds, -seconds)/60%60)
		}
		e.Put("event.timezone", name)
		return true
	}
}

func decodeJSON(s *filebeat.Section, _ *environment) Processor {
	fields, target, hasTarget := s.Texts("fields"), s.Text("target", ""), s.Has("target")
	over, expands, addError := s.Bool("overwrite_keys", false), s.Bool("expand_keys", false), s.Bool("add_error_key", false)
	arrays, depth, id := s.Bool("process_array", false), s.Int("max_depth", 1, 0, 1000), s.Text("document_id", "")
	return func(e *Event) bool {
		for _, f := range fields {
			v, _ := e.Get(f)
			text, ok := v.(string)
			if !ok {
				continue
			}
			decoded, err := tree.FromJSON([]byte(text))
			if err != nil {
				if addError {
					e.Put("error.message", "no JSON in "+f+": "+err.Error())
					e.Put("error.type", "json")
				}
				continue
			}
			decoded = deeper(decoded, int(depth)-1)
			o, isObject := decoded.(tree.Object)
			if !isObject {
				if _, isList := decoded.([]any); isList && !arrays {
					continue
				}
			}
			if expands {
				o = expand(o)
			}
			if isObject && id != "" {
				if v, ok := get(o, id); ok && tree.Text(v) != "" {
					e.Put("@metadata._id", tree.Text(v))
					o, _ = remove(o, id)
				}
			}
			switch {
			case !hasTarget && isObject:
				e.Put(f, o)
			case !hasTarget:
				e.Put(f, decoded)
			case isObject:
				e.put(target, o, over)
			case target != "":
				e.Put(target, decoded)
			}
		}
		return true
	}
}

// deeper decodes texts in a value that are objects themselves.
func deeper(v any, levels int) any {
	if levels <= 0 {
		return v
	}
	switch v := v.(type) {
	case tree.Object:
		for i := range v {
			v[i].Value = deeper(v[i].Value, levels)
		}
	case []any:
		for i := range v {
			v[i] = deeper(v[i], levels)
		}
	case string:
		if strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[") {
			if inner, err := tree.FromJSON([]byte(v)); err == nil {
				return deeper(inner, levels-1)
			}
		}
	}
	return v
}

func dissectField(s *filebeat.Section, _ *environment) Processor {
	field, prefix := s.Text("field", "message"), s.Text("target_prefix", "dissect")
	text := s.Text("tokenizer", "")
	trim, chars := s.Choice("trim_values", "none", "none", "left", "right", "all"), s.Text("trim_chars", " ")
	ignore, over := s.Bool("ignore_failure", false), s.Bool("overwrite_keys", false)
	t, err := compileDissect(text)
	if err != nil {
		s.Say(filebeat.Wrong, "tokenizer", err.Error(), "")
		return nil
	}
	failed := func(e *Event, why string) bool {
		if !ignore {
			e.addTags("log.flags", []string{"dissect_parsing_error"})
			e.Put("error.message", "dissect: "+why)
		}
		return true
	}
	return func(e *Event) bool {
		v, _ := e.Get(field)
		value, ok := v.(string)
		if !ok {
			return failed(e, "no text in the field "+field)
		}
		out, ok := t.cut(value, trim, chars)
		if !ok {
			return failed(e, "the field "+field+" is of another shape")
		}
		for _, m := range out {
			name := m.Name
			if prefix != "" {
				name = prefix + "." + name
			}
			if _, taken := e.Get(name); taken && !over && !(prefix == "" && name == field) {
				return failed(e, "the field "+name+" is there already")
			}
		}
		for _, m := range out {
			name := m.Name
			if prefix != "" {
				name = prefix + "." + name
			}
			e.Put(name, m.Value)
		}
		return true
	}
}

// layouts are those of timestamp that have names.
var layouts = map[string]string{
	"ANSIC": time.ANSIC, "UnixDate": time.UnixDate, "RubyDate": time.RubyDate, "RFC822": time.RFC822, "RFC822Z": time.RFC822Z, "RFC850": time.RFC850,
	"RFC1123": time.RFC1123, "RFC1123Z": time.RFC1123Z, "RFC3339": time.RFC3339, "RFC3339Nano": time.RFC3339Nano, "Kitchen": time.Kitchen,
}

func timestampField(s *filebeat.Section, env *environment) Processor {
	field, target, zone := s.Text("field", ""), s.Text("target_field", "@timestamp"), s.Text("timezone", "UTC")
	formats, tests := s.Texts("layouts"), s.Texts("test")
	ignoreMissing, ignore := s.Bool("ignore_missing", false), s.Bool("ignore_failure", false)
	s.Know("id")
	if field == "" {
		s.Say(filebeat.Wrong, "", "expected field: the name of the field with the time", "")
	}
	at, err := time.LoadLocation(zone)
	if err != nil {
		offset, err2 := time.Parse("-07:00", zone)
		if err2 != nil {
			s.Say(filebeat.Wrong, "timezone", err.Error(), "")
			return nil
		}
		at = offset.Location()
	}
	for i := range formats {
		if l, ok := layouts[formats[i]]; ok {
			formats[i] = l
		}
	}
	parse := func(v any) (time.Time, bool) {
		text := tree.Text(v)
		for _, f := range formats {
			if f == "UNIX" || f == "UNIX_MS" {
				n, ok := number(v)
				if !ok {
					continue
				}
				if f == "UNIX_MS" {
					return time.UnixMilli(int64(n)), true
				}
				return time.Unix(0, int64(n*1e9)), true
			}
			t, err := time.ParseInLocation(f, text, at)
			if err != nil {
				continue
			}
			if t.Year() == 0 { // of the year that makes it lie nearest to now
				now := env.now().In(at)
				t = t.AddDate(now.Year(), 0, 0)
				if t.Sub(now) > 24*time.Hour {
					t = t.AddDate(-1, 0, 0)
				}
			}
			return t, true
		}
		return time.Time{}, false
	}
	for _, text := range tests {
		if _, ok := parse(text); !ok {
			s.Say(filebeat.Wrong, "test", fmt.Sprintf("%q fits none of the layouts", text), "")
		}
	}
	return func(e *Event) bool {
		v, ok := e.Get(field)
		if !ok {
			if !ignoreMissing && !ignore {
				e.Put("error.message", "timestamp: no field "+field)
			}
			return true
		}
		t, ok := parse(v)
		if !ok {
			if !ignore {
				e.Put("error.message", fmt.Sprintf("timestamp: %.100q fits none of the layouts", tree.Text(v)))
			}
			return true
		}
		if target == "@timestamp" {
			e.Time = t
		} else {
			e.Put(target, stamp(t))
		}
		return true
	}
}
