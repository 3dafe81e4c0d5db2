package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/narudata/naru/flow"
)

// Indices are created before the load with what the target accepts of their mappings, settings and aliases, without
// replicas and refreshes, and get those when all is done. What they are to get stands in the mapping's _meta.naru
// from the moment the index exists, so that any later run finds it, whenever naru died.

// preparation is what a sink did to indices before the load.
type preparation struct {
	mu      sync.Mutex
	indices map[string]*Prepared // guarded by mu
}

// Prepared says what was done for an index before the load.
type Prepared struct {
	Index   string   `json:"index"`
	Created bool     `json:"created"`
	LeftOut []string `json:"leftOut,omitempty"` // what the target did not accept, each with its reason
	promise *promise // what it gets when all is done; nil: it is not naru's
	types   int      // mapping types of its documents in the source
}

// promise is what an index gets when it is loaded: its _meta.naru.
type promise struct {
	Replicas string `json:"number_of_replicas"`
	Refresh  string `json:"refresh_interval,omitempty"` // "": the default
}

// Prepared gives what was done before the load, by name.
func (s *Sink) Prepared() []Prepared {
	s.prepare.mu.Lock()
	defer s.prepare.mu.Unlock()
	var all []Prepared
	for _, name := range slices.Sorted(maps.Keys(s.prepare.indices)) {
		all = append(all, *s.prepare.indices[name])
	}
	return all
}

// Prepare implements flow.Preparer.
func (s *Sink) Prepare(ctx context.Context, groups []flow.Group) error {
	s.prepare.mu.Lock()
	defer s.prepare.mu.Unlock()
	s.prepare.indices = map[string]*Prepared{}
	for _, g := range groups {
		p, err := s.prepareIndex(ctx, &g)
		if err != nil {
			return fmt.Errorf("index %s: %w", g.Name, err)
		}
		s.prepare.indices[g.Name] = p
	}
	return nil
}

func (s *Sink) prepareIndex(ctx context.Context, g *flow.Group) (*Prepared, error) {
	var meta sourceMeta
	if len(g.Meta) > 0 {
		if err := json.Unmarshal(g.Meta, &meta); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
	}
	p := &Prepared{Index: g.Name, types: len(typesOf(meta.Mappings))}
	promised, exists, err := s.promised(ctx, g.Name)
	if err != nil {
		return nil, err
	}
	if !exists {
		if err := s.createIndex(ctx, g.Name, &meta, p); err != nil {
			if typ := typeOf(err); typ != "resource_already_exists_exception" {
				return nil, err
			}
			// Another worker was quicker.
			if promised, _, err = s.promised(ctx, g.Name); err != nil {
				return nil, err
			}
		}
	}
	if p.promise == nil {
		p.promise = promised
	}
	if exists && promised != nil {
		load := map[string]any{"index.number_of_replicas": "0", "index.refresh_interval": "-1"}
		return p, s.insist(ctx, http.MethodPut, "/"+url.PathEscape(g.Name)+"/_settings", load, nil)
	}
	return p, nil
}

// promised gives what an index was promised, and whether there is such an index.
func (s *Sink) promised(ctx context.Context, index string) (*promise, bool, error) {
	var answer map[string]struct {
		Mappings struct {
			Meta struct {
				Naru *promise `json:"naru"`
			} `json:"_meta"`
		} `json:"mappings"`
	}
	err := s.insist(ctx, http.MethodGet, "/"+url.PathEscape(index)+"/_mapping", nil, &answer)
	if statusOf(err) == http.StatusNotFound {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	for _, m := range answer {
		return m.Mappings.Meta.Naru, true, nil
	}
	return nil, true, nil
}

func typeOf(err error) string {
	if e, ok := errors.AsType[*StatusError](err); ok {
		return e.Type
	}
	return ""
}

// insist is Client.JSON, tried again as long as writing is while the target cannot be reached or says that it will be
// able to later.
func (s *Sink) insist(ctx context.Context, method, path string, in, out any) error {
	w := writing{sink: s, since: time.Now()}
	for {
		err := s.client.JSON(ctx, method, path, in, out)
		if err == nil || ctx.Err() != nil {
			return err
		}
		status, refused := errors.AsType[*StatusError](err)
		_, syntax := errors.AsType[*json.SyntaxError](err)
		_, typ := errors.AsType[*json.UnmarshalTypeError](err)
		if refused && !status.Temporary() || syntax || typ {
			return err
		}
		if err := w.wait(ctx, err); err != nil {
			return err
		}
	}
}

// sourceMeta is what a group's Meta holds.
type sourceMeta struct {
	Mappings map[string]any            `json:"mappings"`
	Settings map[string]any            `json:"settings"`
	Aliases  map[string]map[string]any `json:"aliases"`
}

// createIndex creates an index, leaving out what the target does not accept, one thing after the other.
func (s *Sink) createIndex(ctx context.Context, name string, meta *sourceMeta, p *Prepared) error {
	leave := func(format string, args ...any) { p.LeftOut = append(p.LeftOut, fmt.Sprintf(format, args...)) }
	if strings.HasPrefix(name, ".ds-") {
		leave("the data stream; what was behind it is an index of its own")
	}
	settings := loadSettings(meta.Settings, leave)
	promise := &promise{Replicas: "1"}
	if v, ok := meta.Settings["index.number_of_replicas"]; ok {
		promise.Replicas = fmt.Sprint(v)
	}
	if v, ok := meta.Settings["index.refresh_interval"]; ok {
		promise.Refresh = fmt.Sprint(v)
	}
	settings["index.number_of_replicas"], settings["index.refresh_interval"] = "0", "-1"
	mappings := oneMapping(meta.Mappings, leave)
	own, _ := mappings["_meta"].(map[string]any)
	own = maps.Clone(own)
	if own == nil {
		own = map[string]any{}
	}
	own["naru"] = promise
	mappings["_meta"] = own
	aliases := map[string]any{}
	for alias, a := range meta.Aliases {
		aliases[alias] = loadAlias(a)
	}

	body := map[string]any{"settings": settings, "mappings": mappings, "aliases": aliases}
	const mostLeftOut = 200
	for range mostLeftOut {
		err := s.insist(ctx, http.MethodPut, "/"+url.PathEscape(name), body, nil)
		if err == nil {
			p.Created, p.promise = true, promise
			return nil
		}
		status, ok := errors.AsType[*StatusError](err)
		if !ok || status.Status != http.StatusBadRequest || status.Type == "resource_already_exists_exception" || status.Type == "invalid_index_name_exception" {
			return err
		}
		what := leaveOut(body, status.Reason)
		if what == "" {
			return fmt.Errorf("the target does not accept the index's mapping or settings: %w; create the index yourself and run the same command again", err)
		}
		leave("%s: %s", what, status.Reason)
	}
	return fmt.Errorf("the target does not accept more than %d things of the index; create it yourself and run the same command again", mostLeftOut)
}

// kept are the settings that an index keeps on its new cluster; all others are about where it was.
var kept = []string{
	"index.number_of_shards", "index.analysis.", "index.mapping.", "index.sort.", "index.codec", "index.similarity.",
	"index.max_", "index.query.default_field", "index.routing_partition_size", "index.number_of_routing_shards",
}

// notKept are exceptions among kept.
var notKept = []string{"index.mapping.single_type", "index.mapping.source.mode", "index.mapping.synthetic_source_keep", "index.max_slices_per_pit"}

// loadSettings picks the settings that the index is created with.
func loadSettings(from map[string]any, leave func(string, ...any)) map[string]any {
	to := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(from)) {
		keep := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
		switch {
		case slices.ContainsFunc(notKept, keep), !slices.ContainsFunc(kept, keep):
			if !internal(key) {
				leave("setting %s: it is not carried", key)
			}
		default:
			to[key] = from[key]
		}
	}
	return to
}

// internal reports settings that every index has and nobody misses.
func internal(key string) bool {
	for _, known := range []string{
		"index.creation_date", "index.uuid", "index.version.", "index.provided_name", "index.number_of_replicas", "index.refresh_interval",
		"index.routing.allocation.", "index.resize.", "index.shrink.", "index.history.", "index.verified_before_close",
		"index.soft_deletes.", "index.replication.type", "index.mapping.single_type",
	} {
		if strings.HasPrefix(key, known) {
			return true
		}
	}
	return false
}

// typesOf names the mapping types.
func typesOf(types map[string]any) []string {
	var names []string
	for _, typ := range slices.Sorted(maps.Keys(types)) {
		if _, ok := types[typ].(map[string]any); ok && typ != "_default_" {
			names = append(names, typ)
		}
	}
	return names
}

// oneMapping gives the mapping without types: that of the only type, or of all types put together. Of several types
// only those parameters stay on which all agree: a routing that one of them requires would keep the others out.
func oneMapping(types map[string]any, leave func(string, ...any)) map[string]any {
	all := map[string]any{}
	names := typesOf(types)
	if len(names) > 1 {
		leave("mapping types: %s are one", strings.Join(names, ", "))
	}
	for _, typ := range names {
		for key, v := range types[typ].(map[string]any) {
			switch key {
			case "properties":
				merge(all, typ, v, leave)
			case "_source":
				// Excluding again what is not there would only hide it; a source that was not kept is none.
			case "_parent", "_all", "_timestamp", "_ttl", "_field_names", "_size", "include_in_all":
				leave("mapping parameter %s of type %s", key, typ)
			default:
				agreed := !slices.ContainsFunc(names, func(other string) bool {
					return !reflect.DeepEqual(types[other].(map[string]any)[key], v)
				})
				if !agreed {
					leave("mapping parameter %s of type %s: other types of the index have another", key, typ)
					continue
				}
				all[key] = v
			}
		}
	}
	return all
}

func merge(all map[string]any, typ string, properties any, leave func(string, ...any)) {
	from, ok := properties.(map[string]any)
	if !ok {
		return
	}
	to, _ := all["properties"].(map[string]any)
	if to == nil {
		to = map[string]any{}
	}
	for field, v := range from {
		if first, twice := to[field]; twice {
			if !reflect.DeepEqual(first, v) {
				leave("mapping of field %s of type %s: another type of the index has another", field, typ)
			}
			continue
		}
		to[field] = v
	}
	all["properties"] = to
}

// loadAlias gives an alias as the API takes it, out of how metadata keep it.
func loadAlias(a map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range a {
		switch key {
		case "filter", "index_routing", "search_routing", "routing", "is_hidden":
			out[key] = v
		case "is_write_index":
			out[key] = v
		}
	}
	return out
}

var (
	unknownSetting = regexp.MustCompile(`unknown setting \[([^\]]+)\]`)
	noHandler      = regexp.MustCompile(`(?:No handler for type \[[^\]]*\] declared on field|The mapper type \[[^\]]*\] declared on field|unknown parameter \[[^\]]*\] on mapper|Mapper for|Field|field|mapper) \[([^\]]+)\]`)
	declared       = regexp.MustCompile(`(?:handler for|mapper) type \[([^\]]*)\] declared on field`)
	unsupported    = regexp.MustCompile(`unsupported parameters: +(.*)`)
	badParameter   = regexp.MustCompile(`(?:unknown parameter|Unknown parameter|unknown param) \[([^\]]+)\]|parameter \[([^\]]+)\]`)
	inBrackets     = regexp.MustCompile(`\[([^\[\]]+?) ?:`)
	settingInIt    = regexp.MustCompile(`\[(index\.[a-z0-9_.]+)\]`)
)

// leaveOut removes from an index's body what the target's reason names, and says what that was.
func leaveOut(body map[string]any, reason string) string {
	settings := body["settings"].(map[string]any)
	if m := unknownSetting.FindStringSubmatch(reason); m != nil {
		if _, ok := settings[m[1]]; ok {
			delete(settings, m[1])
			return "setting " + m[1]
		}
	}
	mappings := body["mappings"].(map[string]any)
	if m := noHandler.FindStringSubmatch(reason); m != nil {
		var why blame
		if t := declared.FindStringSubmatch(reason); t != nil {
			why.typ = t[1]
		}
		if p := badParameter.FindStringSubmatch(reason); p != nil {
			why.parameter = p[1:]
		}
		if what := dropField(mappings, m[1], "", &why); what != "" {
			return what
		}
	}
	if m := unsupported.FindStringSubmatch(reason); m != nil {
		for _, key := range inBrackets.FindAllStringSubmatch(m[1], -1) {
			if name := strings.TrimSpace(key[1]); name != "_meta" {
				if _, ok := mappings[name]; ok {
					delete(mappings, name)
					return "mapping parameter " + name
				}
			}
		}
	}
	if m := settingInIt.FindStringSubmatch(reason); m != nil {
		if _, ok := settings[m[1]]; ok {
			delete(settings, m[1])
			return "setting " + m[1]
		}
	}
	return ""
}

// A blame is what the target names as the reason why it does not accept a mapping.
type blame struct {
	typ       string   // of the field; "": not said
	parameter []string // of the field
}

// dropField removes one parameter of a field's mapping if that is what is not accepted, or has the field not be indexed at
// all. Without any mapping the target would make one up from the first document, and refuse others for it. The path may be
// the field's last name alone, as some servers give it.
func dropField(mapping map[string]any, path, parent string, why *blame) string {
	properties, _ := mapping["properties"].(map[string]any)
	name, rest, deeper := strings.Cut(path, ".")
	if what := dropHere(properties, path, parent, why); what != "" {
		return what
	}
	if field, ok := properties[name].(map[string]any); ok && deeper {
		if what := dropField(field, rest, parent+name+".", why); what != "" {
			return what
		}
		if what := dropSubfield(field, rest, parent+name+".", why); what != "" {
			return what
		}
	}
	if deeper {
		return ""
	}
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		if field, ok := properties[key].(map[string]any); ok {
			if what := dropField(field, path, parent+key+".", why); what != "" {
				return what
			}
			if what := dropSubfield(field, path, parent+key+".", why); what != "" {
				return what
			}
		}
	}
	return ""
}

// dropHere is dropField for a field among properties.
func dropHere(properties map[string]any, name, parent string, why *blame) string {
	field, ok := properties[name].(map[string]any)
	if !ok || why.typ != "" && field["type"] != why.typ || field["enabled"] == false {
		return "" // with enabled false it can hardly be accepted less
	}
	for _, p := range why.parameter {
		if _, has := field[p]; p != "" && p != "type" && has {
			delete(field, p)
			return "parameter " + p + " of field " + parent + name
		}
	}
	properties[name] = map[string]any{"type": "object", "enabled": false}
	return "index of field " + parent + name + ", which is kept in the documents and cannot be searched"
}

// dropSubfield removes another way in which a field is indexed.
func dropSubfield(field map[string]any, name, parent string, why *blame) string {
	fields, _ := field["fields"].(map[string]any)
	sub, ok := fields[name].(map[string]any)
	if !ok || why.typ != "" && sub["type"] != why.typ {
		return ""
	}
	delete(fields, name)
	if len(fields) == 0 {
		delete(field, "fields")
	}
	return "field " + parent + name
}

// Finish implements flow.Finisher: every index gets what it was promised, and is refreshed.
func (s *Sink) Finish(ctx context.Context) error { return s.restore(ctx, true) }

// restore gives indices their settings. When all is done the promise is kept, and forgotten.
func (s *Sink) restore(ctx context.Context, done bool) error {
	s.prepare.mu.Lock()
	defer s.prepare.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.prepare.indices)) {
		p := s.prepare.indices[name]
		if p.promise == nil {
			continue
		}
		if err := s.restoreIndex(ctx, p, done); err != nil {
			errs = append(errs, fmt.Errorf("restore the settings of index %s: %w", name, err))
			continue
		}
		if done {
			p.promise = nil
		}
	}
	return errors.Join(errs...)
}

func (s *Sink) restoreIndex(ctx context.Context, p *Prepared, done bool) error {
	call := s.client.JSON // who ends early does not wait; a later run restores
	if done {
		call = s.insist
	}
	path := "/" + url.PathEscape(p.Index)
	var refresh any
	if p.promise.Refresh != "" {
		refresh = p.promise.Refresh
	}
	settings := map[string]any{"index.number_of_replicas": p.promise.Replicas, "index.refresh_interval": refresh}
	err := call(ctx, http.MethodPut, path+"/_settings", settings, nil)
	if err == nil {
		err = call(ctx, http.MethodPost, path+"/_refresh", nil, nil)
	}
	if err != nil || !done {
		return err
	}
	var answer map[string]struct {
		Mappings struct {
			Meta map[string]any `json:"_meta"`
		} `json:"mappings"`
	}
	if err := call(ctx, http.MethodGet, path+"/_mapping", nil, &answer); err != nil {
		return err
	}
	for _, m := range answer {
		delete(m.Mappings.Meta, "naru")
		meta := m.Mappings.Meta
		if meta == nil {
			meta = map[string]any{}
		}
		return call(ctx, http.MethodPut, path+"/_mapping", map[string]any{"_meta": meta}, nil)
	}
	return nil
}
