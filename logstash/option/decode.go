package option

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/syntax"
)

// Decode fills into, a pointer to a plugin's struct, with the options of p and the defaults, and gives all that is wrong
// with them, in the order of the text. What is wrong is left as it was.
func Decode(p *syntax.Plugin, into any, env Env) []Problem {
	if env.Section == "" {
		env.Section = syntax.Filter
	}
	if env.Title == "" {
		env.Title = p.Name + " " + string(env.Section)
	}
	d := &decoder{reader: reader{env: env}, into: reflect.ValueOf(into).Elem(), options: Describe(into)}
	d.decode(p)
	for _, o := range d.options {
		if !d.done[o.Name] && o.HasDefault {
			d.setDefault(o)
		}
	}
	if c, ok := into.(interface{ Compile(event.EscapeStyle) }); ok {
		c.Compile(env.Style)
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int { return a.Pos.Offset - b.Pos.Offset })
	return d.problems
}

type decoder struct {
	reader
	into    reflect.Value
	options []*Description
	done    map[string]bool
}

func (d *decoder) decode(p *syntax.Plugin) {
	d.done = map[string]bool{}
	obsolete := map[string]string{}
	if o, ok := d.into.Addr().Interface().(interface{ Obsolete() map[string]string }); ok {
		obsolete = o.Obsolete()
	}
	for _, g := range d.attributes(p) {
		i := slices.IndexFunc(d.options, func(o *Description) bool { return o.Name == g.at.Name })
		if i < 0 {
			d.unknown(g.at, obsolete)
			continue
		}
		o := d.options[i]
		if o.Deprecated {
			message := fmt.Sprintf("%s of %s is deprecated", o.Name, d.env.Title)
			if o.Instead != "" {
				message += ": " + o.Instead
			}
			d.warn(g.at.Pos, message)
		}
		d.done[o.Name] = true
		if g.wrong {
			continue // that is said
		}
		d.set(o, g.at.Value.At(), g.value)
	}
	for _, o := range d.options {
		if o.Required && !d.done[o.Name] {
			d.problem(p.Pos, fmt.Sprintf("%s needs the option %s (a %s)", d.env.Title, o.Name, o.Type))
		}
	}
}

// unknown says of an option that is not there what was meant, or what replaced it.
func (d *decoder) unknown(a *syntax.Attribute, obsolete map[string]string) {
	name := a.Name
	if instead, ok := obsolete[name]; ok {
		d.problem(a.Pos, obsoleteMessage(name, d.env.Title, instead))
		return
	}
	if instead, ok := commonObsolete(d.env.Section)[name]; ok {
		d.problem(a.Pos, obsoleteMessage(name, d.env.Title, instead))
		return
	}
	names := make([]string, len(d.options))
	for i, o := range d.options {
		names[i] = o.Name
	}
	message := fmt.Sprintf("%s has no option %q", d.env.Title, name)
	if near := connect.Nearest(name, names); near != "" {
		message += fmt.Sprintf(": did you mean %q?", near)
	} else if others := commonOf(name, d.env.Section); others != "" {
		message += ": it is one of " + others
	} else {
		message += ": it has " + strings.Join(names, ", ")
	}
	d.problem(a.Pos, message)
}

func obsoleteMessage(name, title, instead string) string {
	message := fmt.Sprintf("%s of %s is obsolete and does nothing any more", name, title)
	if instead != "" {
		message += ": " + instead
	}
	return message
}

// commonObsolete are the options that all plugins of a section had once.
func commonObsolete(section syntax.Kind) map[string]string {
	switch section {
	case syntax.Filter:
		return map[string]string{
			"type":         `put the filter into if [type] == "sometype" { … }`,
			"tags":         `put the filter into if "sometag" in [tags] { … }`,
			"exclude_tags": `put the filter into if "sometag" not in [tags] { … }`,
		}
	case syntax.Output:
		return map[string]string{
			"type":         `put the output into if [type] == "sometype" { … }`,
			"tags":         `put the output into if "sometag" in [tags] { … }`,
			"exclude_tags": `put the output into if "sometag" not in [tags] { … }`,
		}
	default:
		return map[string]string{
			"debug":          "use --log-level debug",
			"format":         "use codec",
			"charset":        "give the codec a charset",
			"message_format": "use the codec's format",
		}
	}
}

// commonOf says which plugins have an option that those of a section do not have.
func commonOf(name string, section syntax.Kind) string {
	filters := []string{"add_tag", "remove_tag", "add_field", "remove_field", "periodic_flush"}
	switch {
	case section != syntax.Filter && slices.Contains(filters, name):
		return "filters: use mutate"
	case section == syntax.Filter && name == "codec":
		return "inputs and outputs"
	case section != syntax.Output && name == "workers":
		return "outputs, or a setting of the pipeline: -w"
	}
	return ""
}

// set gives an option its value.
func (d *decoder) set(o *Description, pos syntax.Pos, raw any) {
	f := d.into.FieldByIndex(o.index)
	if f.Kind() == reflect.Slice && o.kind != typeHash && f.Type() != typeHash {
		d.setList(o, pos, f, raw)
		return
	}
	v, ok := d.coerce(o, pos, raw)
	if !ok || !v.IsValid() {
		return
	}
	if f.Kind() == reflect.Pointer && f.Type() != v.Type() {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		v = p
	}
	f.Set(v)
}

func (d *decoder) setList(o *Description, pos syntax.Pos, f reflect.Value, raw any) {
	list, ok := raw.([]any)
	if !ok {
		if _, isHash := raw.(Hash); isHash {
			d.wrong(o, pos, "a list", raw)
			return
		}
		list = []any{raw}
	}
	if o.Required && len(list) == 0 {
		d.problem(pos, fmt.Sprintf("%s of %s must not be empty", o.Name, d.env.Title))
		return
	}
	if o.uri {
		var split []any
		for _, e := range list {
			for s := range strings.FieldsSeq(Text(e)) {
				split = append(split, s)
			}
		}
		list = split
	}
	out := reflect.MakeSlice(f.Type(), 0, len(list))
	for _, e := range list {
		if inner, isList := e.([]any); isList {
			e = inspect(inner) // Ruby prints it
		}
		v, ok := d.coerce(o, pos, e)
		if !ok {
			return
		}
		if !v.IsValid() {
			continue
		}
		out = reflect.Append(out, v)
	}
	f.Set(out)
}

// setDefault gives an option the default of its tag.
func (d *decoder) setDefault(o *Description) {
	var raw any = o.Default
	if o.list {
		list := []any{}
		if o.Default != "" {
			for e := range strings.SplitSeq(o.Default, ",") {
				list = append(list, e)
			}
		}
		raw = list
	}
	before := len(d.problems)
	required := o.Required
	d.set(o, syntax.Pos{}, raw)
	if len(d.problems) > before || required {
		panic(fmt.Sprintf("BUG: the default %q of %s is wrong", o.Default, o.Name))
	}
}

func (d *decoder) wrong(o *Description, pos syntax.Pos, want string, got any) {
	d.problem(pos, fmt.Sprintf("%s of %s must be %s, not %s", o.Name, d.env.Title, want, shortly(got)))
}

// shortly prints what was given, cut if it is long.
func shortly(raw any) string {
	s := inspect(raw)
	if c, ok := raw.(Codec); ok {
		s = "the plugin " + c.Name
	}
	if runes := []rune(s); len(runes) > 60 {
		s = string(runes[:60]) + "…"
	}
	return s
}

// coerce makes a value of an option's type, or of its elements' type. It is not valid where nothing was given.
func (d *decoder) coerce(o *Description, pos syntax.Pos, raw any) (v reflect.Value, ok bool) {
	switch o.kind {
	case typeAny:
		if raw == nil {
			return reflect.Value{}, true
		}
		return reflect.ValueOf(raw), true
	case typeHash:
		return d.hash(o, pos, raw)
	}
	if list, isList := raw.([]any); isList {
		switch len(list) {
		case 0:
			return reflect.Value{}, true
		case 1:
			raw = list[0]
		default:
			d.wrong(o, pos, "one value ("+o.Type+")", raw)
			return reflect.Value{}, false
		}
	}
	if o.kind == typeCodec {
		switch raw := raw.(type) {
		case Codec:
			return reflect.ValueOf(raw), true
		case string:
			return reflect.ValueOf(Codec{Name: raw, Pos: pos}), true
		}
		d.wrong(o, pos, "a codec", raw)
		return reflect.Value{}, false
	}
	switch raw.(type) {
	case Hash, []any, Codec:
		d.wrong(o, pos, "a "+typeNames[o.kind], raw)
		return reflect.Value{}, false
	}
	if o.Enum != nil && !slices.Contains(o.Enum, Text(raw)) {
		d.notOneOf(o, pos, Text(raw))
		return reflect.Value{}, false
	}
	return d.scalar(o, pos, raw)
}

func (d *decoder) notOneOf(o *Description, pos syntax.Pos, got string) {
	message := fmt.Sprintf("%s of %s must be one of %s, not %q", o.Name, d.env.Title, strings.Join(o.Enum, ", "), got)
	if near := connect.Nearest(got, o.Enum); near != "" {
		message += fmt.Sprintf(": did you mean %q?", near)
	}
	d.problem(pos, message)
}

// scalar makes a value of a text or a number.
func (d *decoder) scalar(o *Description, pos syntax.Pos, raw any) (reflect.Value, bool) {
	text := Text(raw)
	switch o.kind {
	case typeFormat:
		f := d.env.Style.ParseFormat(text)
		if err := f.Err(); err != nil {
			d.warn(pos, fmt.Sprintf("%s of %s fails for every event: %v", o.Name, d.env.Title, err))
		}
		return reflect.ValueOf(f), true
	case typeRef:
		if text == "" {
			return reflect.Value{}, true
		}
		r, err := d.env.Style.Parse(text)
		if err != nil {
			d.problem(pos, fmt.Sprintf("%s of %s must be a field: %v", o.Name, d.env.Title, err))
			return reflect.Value{}, false
		}
		return reflect.ValueOf(r), true
	case typeBytes:
		n, ok := size(text)
		if !ok {
			d.wrong(o, pos, `a size, such as "10 MiB"`, raw)
			return reflect.Value{}, false
		}
		return reflect.ValueOf(Bytes(n)), true
	case typePassword:
		return reflect.ValueOf(Password(text)), true
	}
	switch o.kind.Kind() {
	case reflect.String:
		if o.path && !d.isFile(o, pos, text) {
			return reflect.Value{}, false
		}
		return reflect.ValueOf(text), true
	case reflect.Bool:
		if text != "true" && text != "false" {
			d.wrong(o, pos, "a boolean (true or false)", raw)
			return reflect.Value{}, false
		}
		return reflect.ValueOf(text == "true"), true
	}
	return d.number(o, pos, raw)
}

func (d *decoder) number(o *Description, pos syntax.Pos, raw any) (reflect.Value, bool) {
	n := raw
	if s, ok := raw.(string); ok {
		if n, ok = number(s); !ok {
			d.wrong(o, pos, "a number", raw)
			return reflect.Value{}, false
		}
	}
	whole := o.kind.Kind() == reflect.Int64
	switch n := n.(type) {
	case int64:
		if whole {
			return reflect.ValueOf(n), true
		}
		return reflect.ValueOf(float64(n)), true
	case float64:
		if !whole {
			return reflect.ValueOf(n), true
		}
		if i := int64(n); float64(i) == n {
			return reflect.ValueOf(i), true
		}
	}
	d.wrong(o, pos, "a number without a fraction", raw)
	return reflect.Value{}, false
}

// hash makes a hash of a hash or of a list of keys and values. Values of equal keys become a list.
func (d *decoder) hash(o *Description, pos syntax.Pos, raw any) (reflect.Value, bool) {
	list, ok := raw.([]any)
	if h, isHash := raw.(Hash); isHash {
		return reflect.ValueOf(h), true
	} else if !ok {
		d.wrong(o, pos, "a hash", raw)
		return reflect.Value{}, false
	}
	if len(list)%2 == 1 {
		d.problem(pos, fmt.Sprintf("%s of %s must be a hash, or a list of keys and values: this list has %d elements", o.Name, d.env.Title, len(list)))
		return reflect.Value{}, false
	}
	h := make(Hash, 0, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		key := Text(list[i])
		old, ok := h.Get(key)
		if !ok {
			h = append(h, Pair{key, list[i+1]})
			continue
		}
		if oldList, isList := old.([]any); isList {
			h = h.set(key, append(oldList, list[i+1]))
		} else {
			h = h.set(key, []any{old, list[i+1]})
		}
	}
	return reflect.ValueOf(h), true
}

func (d *decoder) isFile(o *Description, pos syntax.Pos, name string) bool {
	full := name
	if !filepath.IsAbs(full) {
		full = filepath.Join(d.env.Dir, full)
	}
	_, err := os.Stat(full)
	if errors.Is(err, fs.ErrNotExist) {
		d.problem(pos, fmt.Sprintf("%s of %s: there is no file %s", o.Name, d.env.Title, name))
		return false
	} else if err != nil {
		d.problem(pos, fmt.Sprintf("%s of %s: %v", o.Name, d.env.Title, err))
		return false
	}
	return true
}
