package estate

import (
	"maps"
	"slices"
)

// references says which objects name which: those that are declared as they are declared, others as the cluster has them.
type references struct {
	pipelines  map[string][]string // who names a pipeline: "index template web", sorted
	components map[string][]string // the index templates that are composed of a component, sorted
	patterns   map[string][]string // of index templates
}

// references gathers them once for all changes of a plan.
func (o *Observed) references(d *Desired) *references {
	if o.refs != nil {
		return o.refs
	}
	r := &references{pipelines: map[string][]string{}, components: map[string][]string{}, patterns: map[string][]string{}}
	use := func(what string, body Body) {
		all := indexSettings(object(body, "template", "settings"))
		named := map[string]bool{}
		for _, setting := range []string{"index.default_pipeline", "index.final_pipeline"} {
			if name, ok := all[setting].(string); ok {
				named[name] = true
			}
		}
		for name := range named {
			r.pipelines[name] = append(r.pipelines[name], what)
		}
	}
	template := func(name string, body Body) {
		r.patterns[name] = texts(body["index_patterns"])
		for _, c := range slices.Compact(slices.Sorted(slices.Values(texts(body["composed_of"])))) {
			r.components[c] = append(r.components[c], name)
		}
		use("index template "+name, body)
	}
	for name, live := range o.live[IndexTemplates] {
		if d.Objects[Key{IndexTemplates, name}] == nil {
			template(name, live.Body)
		}
	}
	for key, obj := range d.Objects {
		switch key.Kind {
		case IndexTemplates:
			template(key.Name, obj.Body)
		case ComponentTemplates:
			use("component template "+key.Name, obj.Body)
		case IngestPipelines:
			for _, called := range slices.Compact(slices.Sorted(slices.Values(pipelinesIn(obj.Body)))) {
				r.pipelines[called] = append(r.pipelines[called], "pipeline "+key.Name)
			}
		default:
		}
	}
	for _, m := range []map[string][]string{r.pipelines, r.components} {
		for list := range maps.Values(m) {
			slices.Sort(list)
		}
	}
	o.refs = r
	return r
}
