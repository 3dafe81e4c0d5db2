package option

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/narudata/naru/logstash/event"
)

// A Description is what is known of an option.
type Description struct {
	Name       string
	Type       string // for the reference: "string", "list of strings", "hash" …
	Required   bool
	Deprecated bool
	Instead    string // what to use for it, if it is deprecated
	Default    string
	HasDefault bool
	Enum       []string
	Doc        string

	index         []int // of the field
	list          bool
	path, uri     bool
	kind          reflect.Type
	belongsCommon bool
}

var described sync.Map // reflect.Type of a plugin's struct → []*Description

var (
	typeFormat   = reflect.TypeFor[*event.Format]()
	typeRef      = reflect.TypeFor[*event.Ref]()
	typeHash     = reflect.TypeFor[Hash]()
	typeCodec    = reflect.TypeFor[Codec]()
	typeBytes    = reflect.TypeFor[Bytes]()
	typePassword = reflect.TypeFor[Password]()
	typeAny      = reflect.TypeFor[any]()
	typeCommon   = reflect.TypeFor[Common]()
)

// typeNames are what types are called in messages and in the reference.
var typeNames = map[reflect.Type]string{
	reflect.TypeFor[string]():  "string",
	reflect.TypeFor[bool]():    "boolean",
	reflect.TypeFor[int64]():   "number",
	reflect.TypeFor[float64](): "number",
	typeFormat:                 "string",
	typeRef:                    "field reference",
	typeHash:                   "hash",
	typeCodec:                  "codec",
	typeBytes:                  "bytes",
	typePassword:               "password",
	typeAny:                    "value",
}

// Describe lists the options of a plugin, which is a pointer to a struct, in the order of its fields; Common comes last.
func Describe(plugin any) []*Description {
	t := reflect.TypeOf(plugin).Elem()
	if known, ok := described.Load(t); ok {
		list, _ := known.([]*Description)
		return list
	}
	list := describe(t, nil)
	slices.SortStableFunc(list, func(a, b *Description) int {
		switch {
		case a.belongsCommon == b.belongsCommon:
			return 0
		case a.belongsCommon:
			return 1
		}
		return -1
	})
	described.Store(t, list)
	return list
}

func describe(t reflect.Type, index []int) []*Description {
	var list []*Description
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(slices.Clone(index), i)
		tag, ok := f.Tag.Lookup("ls")
		if !ok {
			if f.Anonymous && f.Type.Kind() == reflect.Struct {
				inner := describe(f.Type, at)
				for _, d := range inner {
					d.belongsCommon = d.belongsCommon || f.Type == typeCommon
				}
				list = append(list, inner...)
			}
			continue
		}
		list = append(list, describeField(t, f, tag, at))
	}
	return list
}

func describeField(t reflect.Type, f reflect.StructField, tag string, at []int) *Description {
	name, flags, _ := strings.Cut(tag, ",")
	d := &Description{Name: name, Doc: f.Tag.Get("doc"), Instead: f.Tag.Get("instead"), index: at, kind: f.Type}
	for flag := range strings.SplitSeq(flags, ",") {
		switch flag {
		case "":
		case "required":
			d.Required = true
		case "deprecated":
			d.Deprecated = true
		case "list":
			d.list = true
		case "path":
			d.path = true
		case "uri":
			d.uri = true
		default:
			panic(fmt.Sprintf("BUG: %s.%s has the unknown flag %q", t, f.Name, flag))
		}
	}
	d.Default, d.HasDefault = f.Tag.Lookup("default")
	if enum := f.Tag.Get("enum"); enum != "" {
		d.Enum = strings.Split(enum, "|")
	}
	switch k := d.kind; {
	case k == typeHash, k == typeFormat, k == typeRef:
	case k.Kind() == reflect.Pointer:
		d.kind = k.Elem()
	case k.Kind() == reflect.Slice:
		d.kind, d.list = k.Elem(), true
	}
	known, ok := typeNames[d.kind]
	if !ok {
		panic(fmt.Sprintf("BUG: %s.%s has a type that options cannot have", t, f.Name))
	}
	d.Type = known
	if d.list {
		d.Type = "list of " + known + "s"
	}
	return d
}
