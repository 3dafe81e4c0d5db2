package clone

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/document"
)

// fields are the leaves of an index's mapping.
type fields struct {
	types map[string]string // by path
	// open are the objects whose documents may have fields that the mapping does not name; "" is the document itself.
	open []string
}

// fieldsOf reads a mapping ({"properties": …}).
func fieldsOf(mapping map[string]any) *fields {
	f := &fields{types: map[string]string{}}
	f.object(mapping, "", "true")
	return f
}

func (f *fields) object(m map[string]any, path, dynamic string) {
	if d, ok := m["dynamic"]; ok {
		dynamic = fmt.Sprint(d)
	}
	if fmt.Sprint(m["enabled"]) == "false" {
		f.open = append(f.open, path)
		return
	}
	if dynamic == "false" || dynamic == "runtime" || dynamic == "false_allow_templates" {
		f.open = append(f.open, path)
	}
	properties, _ := m["properties"].(map[string]any)
	for name, v := range properties {
		field, ok := v.(map[string]any)
		if !ok {
			continue
		}
		below := name
		if path != "" {
			below = path + "." + name
		}
		typ, _ := field["type"].(string)
		switch typ {
		case "alias": // another name of a field
		case "flat_object", "flattened":
			f.types[below] = typ
			f.open = append(f.open, below)
		case "", "object", "nested":
			f.object(field, below, dynamic)
		default:
			f.types[below] = typ
		}
	}
}

// has reports that documents may have the field, or fields below it, as the mapping has it; hidden, that they may have it
// although the mapping does not name it.
func (f *fields) has(path string) (named, hidden bool) {
	for p := range f.types {
		named = named || p == path || strings.HasPrefix(p, path+".")
	}
	return named, slices.ContainsFunc(f.open, func(o string) bool {
		return o == "" || o == path || strings.HasPrefix(path, o+".") || strings.HasPrefix(o, path+".")
	})
}

// Masked is a field that is to be masked, and what it is in the indices.
type Masked struct {
	Field   string   `json:"field"`
	Fields  []string `json:"fields,omitempty"`  // that the mappings have at it or below it
	Indices int      `json:"indices"`           // that have one of them
	Unnamed int      `json:"unnamed,omitempty"` // that may have it in documents though their mappings do not name it
}

// checkMask says what the fields are, and what is wrong with them: one that no index has, one of a type that does not take
// masks.
func checkMask(mask []string, all map[string]*fields) (masked []Masked, problems []string) {
	for _, field := range mask {
		paths, err := document.ParsePaths([]string{field})
		if err != nil {
			return nil, []string{err.Error()}
		}
		m := Masked{Field: field}
		found, wrong := map[string]bool{}, map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			f, hit := all[name], false
			for path, typ := range f.types {
				if !paths.Has([]byte(path)) {
					continue
				}
				hit, found[path] = true, true
				if why := untakable(typ); why != "" && wrong[path] == "" {
					wrong[path] = fmt.Sprintf("%s is a %s in %s: %s", path, typ, name, why)
				}
			}
			if hit {
				m.Indices++
			} else if _, hidden := f.has(strings.TrimRight(strings.ReplaceAll(field, "*", ""), ".")); hidden {
				m.Unnamed++
			}
		}
		m.Fields = slices.Sorted(maps.Keys(found))
		for _, path := range slices.Sorted(maps.Keys(wrong)) {
			problems = append(problems, wrong[path])
		}
		near := nearest(field, all)
		switch {
		case m.Indices > 0, m.Unnamed > 0 && !slip(field, all):
		case m.Unnamed > 0: // most likely a slip, and what was meant would stay as it is
			problems = append(problems, fmt.Sprintf("no mapping has the field %s that is to be masked%s To mask it in those indices that have fields without a mapping: %s*", field, near, field))
		default:
			problems = append(problems, fmt.Sprintf("no mapping has the field %s that is to be masked%s", field, near))
		}
		masked = append(masked, m)
	}
	return masked, problems
}

// pathsOf names all fields, and the objects that they are in.
func pathsOf(all map[string]*fields) []string {
	names := map[string]bool{}
	for _, f := range all {
		for path := range f.types {
			names[path] = true
			for i, c := range path {
				if c == '.' {
					names[path[:i]] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// slip reports that the field is most likely another one, with a letter or two wrong in each part of its path.
func slip(field string, all map[string]*fields) bool {
	near := connect.Nearest(field, pathsOf(all))
	is, meant := strings.Split(field, "."), strings.Split(near, ".")
	if near == "" || strings.Contains(field, "*") || len(is) != len(meant) {
		return false
	}
	for i := range is {
		if is[i] != meant[i] && connect.Nearest(is[i], meant[i:i+1]) == "" {
			return false
		}
	}
	return true
}

// nearest is the field that was probably meant.
func nearest(field string, all map[string]*fields) string {
	names := pathsOf(all)
	if near := connect.Nearest(field, names); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	last := field[strings.LastIndexByte(field, '.')+1:]
	for _, name := range names {
		if strings.HasSuffix(name, "."+last) {
			return fmt.Sprintf("; did you mean %s?", name)
		}
	}
	return ""
}

// untakable says why a field of a type cannot have a mask; "": it can.
func untakable(typ string) string {
	switch typ {
	case "date", "date_nanos":
		return "a mask is no date. Leave it out of the mask"
	case "byte", "short", "half_float":
		return "the mask of a number is up to 2147483647, which it does not take"
	case "geo_point", "geo_shape", "point", "shape", "xy_point", "xy_shape", "knn_vector", "dense_vector", "sparse_vector", "rank_feature", "rank_features",
		"integer_range", "long_range", "float_range", "double_range", "date_range", "ip_range", "percolator", "join", "constant_keyword", "histogram":
		return "it does not take a mask"
	}
	return ""
}

// personal are words of names of fields that hold what is about a person. A name is cut into words at . _ - and capitals.
var personal = [][]string{
	{"email"}, {"mail"}, {"phone"}, {"telephone"}, {"tel"}, {"mobile"}, {"msisdn"}, {"fax"}, {"ssn"}, {"passport"}, {"iban"}, {"birth"}, {"birthday"}, {"birthdate"}, {"dob"},
	{"gender"}, {"firstname"}, {"lastname"}, {"surname"}, {"fullname"}, {"nickname"}, {"username"}, {"login"}, {"first", "name"}, {"last", "name"}, {"full", "name"},
	{"user", "name"}, {"customer", "name"}, {"person", "name"}, {"contact", "name"}, {"street"}, {"zip"}, {"zipcode"}, {"postcode"}, {"postal", "code"}, {"home", "address"},
	{"password"}, {"passwd"}, {"secret"}, {"token"}, {"cookie"}, {"cookies"}, {"authorization"}, {"session", "id"}, {"sessionid"}, {"credit", "card"}, {"creditcard"},
	{"card", "number"}, {"account", "number"}, {"license", "plate"}, {"national", "id"}, {"tax", "id"}, {"client", "ip"}, {"source", "ip"}, {"remote", "addr"}, {"user", "id"},
	{"device", "id"}, {"imei"}, {"clientip"}, {"client", "address"}, {"source", "address"},
}

// suspects are the fields that hold texts or addresses, look like personal data by their names, and are not masked; and
// those that hold free text.
func suspects(mask []string, all map[string]*fields) (unmasked, free []string) {
	paths, err := document.ParsePaths(mask)
	if err != nil {
		return nil, nil // said elsewhere
	}
	looks, texts := map[string]bool{}, map[string]bool{}
	for _, f := range all {
		for path, typ := range f.types {
			if len(mask) > 0 && paths.Has([]byte(path)) {
				continue
			}
			last := path[strings.LastIndexByte(path, '.')+1:]
			switch typ {
			case "keyword", "text", "match_only_text", "wildcard", "search_as_you_type", "completion", "ip", "flat_object", "flattened", "long", "integer", "unsigned_long":
				if typ == "ip" || aboutPeople(path) {
					looks[path] = true
				} else if typ == "text" && (last == "message" || last == "body" || last == "log" || last == "original") {
					texts[path] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(looks)), slices.Sorted(maps.Keys(texts))
}

func aboutPeople(path string) bool {
	words := wordsOf(path)
	return slices.ContainsFunc(personal, func(want []string) bool {
		for i := range words {
			if i+len(want) <= len(words) && slices.Equal(words[i:i+len(want)], want) && i+len(want) >= len(words)-1 {
				return true // near the end: user.email.domain, and not email.queue.size.max
			}
		}
		return false
	})
}

func wordsOf(path string) []string {
	var words []string
	word := ""
	lower := false
	for _, c := range path {
		if c == '.' || c == '_' || c == '-' || unicode.IsUpper(c) && lower {
			if word != "" {
				words = append(words, word)
			}
			word = ""
		}
		lower = unicode.IsLower(c) || unicode.IsDigit(c)
		if c != '.' && c != '_' && c != '-' {
			word += string(unicode.ToLower(c))
		}
	}
	if word != "" {
		words = append(words, word)
	}
	return words
}
