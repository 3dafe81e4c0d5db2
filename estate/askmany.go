package estate

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
)

// Asking about each of many new objects takes a cluster long: it makes an index, or a pipeline, for each. So those that cannot
// have to do with one another are put together into one that the cluster is asked about; if it refuses that one, each half is
// asked about, until the one is found that it refuses, with its reason. What is put together is plain: whatever might be
// right only beside others, or wrong only beside them, is asked about alone.

// Bounds of what is put together: of what an index has by default (1000 fields), and of a request.
const (
	mostFields     = 400
	mostProcessors = 400
)

// A combination is several bodies of a kind as one.
type combination struct {
	kind    Kind
	changes []*Change
	weight  int // fields, processors

	processors []any
	settings   map[string]any
	fields     map[string]any // of the mappings, by their first names
	aliases    map[string]any
	stream     bool
	dynamic    string
}

// combined puts together what can be of the changes; rest are the others.
func combined(changes []*Change) (all []*combination, rest []*Change) {
	open := map[Kind][]*combination{} // that more may go into
	for _, ch := range changes {
		part := partOf(ch)
		if part == nil {
			rest = append(rest, ch)
			continue
		}
		if !slices.ContainsFunc(open[ch.Kind], func(c *combination) bool { return c.take(part) }) {
			all = append(all, part)
			const mostOpen = 8
			if open[ch.Kind] = append(open[ch.Kind], part); len(open[ch.Kind]) > mostOpen {
				open[ch.Kind] = open[ch.Kind][1:]
			}
		}
	}
	return all, rest
}

// partOf is a change as a combination of one; nil: it is to be asked about alone.
func partOf(ch *Change) *combination {
	if ch.Action != Create || ch.Problem != "" {
		return nil
	}
	c := &combination{kind: ch.Kind, changes: []*Change{ch}}
	body := decoded(ch.Body)
	ok := false
	switch ch.Kind {
	case IngestPipelines:
		ok = c.pipeline(body)
	case ComponentTemplates, IndexTemplates:
		ok = c.template(body)
	default:
	}
	if !ok {
		return nil
	}
	return c
}

func only(body map[string]any, names ...string) bool {
	for name := range body {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}

// pipeline takes a pipeline's processors: each is made by itself.
func (c *combination) pipeline(body Body) bool {
	if !only(body, "description", "version", "processors", "on_failure") {
		return false
	}
	for _, name := range []string{"processors", "on_failure"} {
		list, isList := body[name].([]any)
		if body[name] != nil && !isList || name == "processors" && !isList || name == "on_failure" && isList && len(list) == 0 {
			return false
		}
		c.processors = append(c.processors, list...)
	}
	for _, x := range c.processors {
		if p, ok := x.(map[string]any); !ok || len(p) != 1 {
			return false
		}
	}
	if _, text := body["description"].(string); body["description"] != nil && !text {
		return false
	}
	c.weight = 1 + len(c.processors)
	return natural(body["version"]) && c.weight <= mostProcessors
}

func natural(v any) bool {
	if v == nil {
		return true
	}
	n, ok := v.(json.Number)
	if !ok {
		return false
	}
	i, err := n.Int64()
	return err == nil && i >= 0
}

// plainSettings have nothing to do with each other, nor with mappings.
var plainSettings = []string{"index.number_of_shards", "index.number_of_replicas", "index.refresh_interval", "index.codec", "index.default_pipeline", "index.final_pipeline", "index.priority", "index.auto_expand_replicas"}

// template takes a template's settings, fields and names of aliases.
func (c *combination) template(body Body) bool {
	if !only(body, "template", "index_patterns", "priority", "version", "composed_of", "_meta", "data_stream") || !natural(body["priority"]) || !natural(body["version"]) {
		return false
	}
	if c.kind == IndexTemplates && len(texts(body["index_patterns"])) == 0 || c.kind == ComponentTemplates && body["index_patterns"] != nil {
		return false
	}
	if stream, ok := body["data_stream"].(map[string]any); ok && len(stream) == 0 && c.kind == IndexTemplates {
		c.stream = true
	} else if body["data_stream"] != nil {
		return false
	}
	if _, ok := body["_meta"].(map[string]any); body["_meta"] != nil && !ok {
		return false
	}
	t, ok := body["template"].(map[string]any)
	if body["template"] != nil && !ok || !only(t, "settings", "mappings", "aliases") {
		return false
	}
	settings, ok := t["settings"].(map[string]any)
	if t["settings"] != nil && !ok {
		return false
	}
	c.settings = indexSettings(settings)
	for name := range c.settings {
		if !slices.Contains(plainSettings, name) {
			return false
		}
	}
	aliases, ok := t["aliases"].(map[string]any)
	if t["aliases"] != nil && !ok {
		return false
	}
	for _, a := range aliases {
		if alias, ok := a.(map[string]any); !ok || len(alias) > 0 {
			return false
		}
	}
	c.aliases = maps.Clone(aliases)
	mappings, ok := t["mappings"].(map[string]any)
	if t["mappings"] != nil && !ok || !only(mappings, "properties", "dynamic", "_meta") {
		return false
	}
	if d, has := mappings["dynamic"]; has {
		c.dynamic = scalarText(d).(string) //nolint:errcheck,forcetypeassert // what else it is, is refused below
	}
	fields, ok := mappings["properties"].(map[string]any)
	if mappings["properties"] != nil && !ok {
		return false
	}
	c.fields = maps.Clone(fields)
	n, plain := plainFields(fields)
	c.weight = 1 + n
	return plain && c.weight <= mostFields
}

// plainFields counts fields, and reports that none of them refers to anything outside of itself.
func plainFields(fields map[string]any) (n int, plain bool) {
	for name, v := range fields {
		field, ok := v.(map[string]any)
		if !ok || name == "" || strings.Contains(name, ".") {
			return 0, false
		}
		n++
		for key, v := range field {
			switch key {
			case "type":
				if typ, ok := v.(string); !ok || !slices.Contains(plainTypes, typ) {
					return 0, false
				}
			case "properties", "fields":
				below, ok := v.(map[string]any)
				if !ok {
					return 0, false
				}
				more, plain := plainFields(below)
				if !plain {
					return 0, false
				}
				n += more
			case "analyzer", "search_analyzer", "search_quote_analyzer", "normalizer", "similarity", "copy_to", "path", "eager_global_ordinals":
				return 0, false
			}
		}
	}
	return n, true
}

var plainTypes = []string{
	"keyword", "text", "long", "integer", "short", "byte", "double", "float", "half_float", "scaled_float", "unsigned_long", "date", "date_nanos", "boolean", "binary", "ip",
	"geo_point", "object", "nested", "wildcard", "flat_object", "match_only_text",
}

// take puts part into c if they have nothing that differs.
func (c *combination) take(part *combination) bool {
	most := mostFields
	if c.kind == IngestPipelines {
		most = mostProcessors
	}
	if c.weight+part.weight > most || c.stream != part.stream || c.dynamic != part.dynamic || differ(c.settings, part.settings) || differ(c.fields, part.fields) {
		return false
	}
	c.weight += part.weight
	c.changes = append(c.changes, part.changes...)
	c.processors = append(c.processors, part.processors...)
	for _, x := range []struct {
		to   *map[string]any
		from map[string]any
	}{{&c.settings, part.settings}, {&c.fields, part.fields}, {&c.aliases, part.aliases}} {
		if *x.to == nil {
			*x.to = map[string]any{}
		}
		maps.Copy(*x.to, x.from)
	}
	return true
}

// differ reports that both have something of the same name, and not the same.
func differ(a, b map[string]any) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	for name, v := range a {
		if w, both := b[name]; both && !equal(v, w) {
			return true
		}
	}
	return false
}

// body is what the cluster is asked about.
func (c *combination) body() Body {
	if c.kind == IngestPipelines {
		return Body{"processors": append([]any{}, c.processors...)}
	}
	mappings := map[string]any{"properties": c.fields}
	if c.dynamic != "" {
		mappings["dynamic"] = c.dynamic
	}
	body := Body{"index_patterns": []any{nobodys}, "template": map[string]any{"settings": c.settings, "mappings": mappings, "aliases": c.aliases}}
	if c.stream {
		body["data_stream"] = map[string]any{}
	}
	return body
}

// ask has the cluster say whether it would take all that is put together, and finds those that it would not. left is how
// many questions there may still be; it counts unasked those changes for which there were none left.
func (c *combination) ask(ctx context.Context, t *Target, o *Observed, left, unasked *atomic.Int64) error {
	if left.Add(-1) < 0 {
		unasked.Add(int64(len(c.changes)))
		return nil
	}
	if len(c.changes) == 1 {
		_, err := c.changes[0].ask(ctx, t, o)
		return err
	}
	ask := askTemplate
	if c.kind == IngestPipelines {
		ask = askPipeline
	}
	_, err := ask(ctx, t, c.body())
	if !refuses(err) {
		return err
	}
	half := len(c.changes) / 2
	for _, some := range [][]*Change{c.changes[:half], c.changes[half:]} {
		smaller, rest := combined(some)
		for _, ch := range rest {
			smaller = append(smaller, &combination{kind: ch.Kind, changes: []*Change{ch}})
		}
		for _, s := range smaller {
			if err := s.ask(ctx, t, o, left, unasked); err != nil {
				return err
			}
		}
	}
	return nil
}
