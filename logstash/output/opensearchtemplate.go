package output

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
)

// A template is what is installed for the indices that are made.
//
// Source: template_manager.rb of logstash-output-opensearch and -elasticsearch. The mappings have the effect of the templates
// that come with them; with ECS, keywords are not listed one by one, as every text becomes one.
type template struct {
	*Bulk
	ecs        string
	name       string
	composable func(opensearch.Info) bool
	shaped     bool // a template of a file is of the kind that it has the form of
	lenient    bool // a target that refuses it is written to without it
	dir        string
	log        *slog.Logger
	prefix     string // of the template's name and of what it matches
	alias      string // of a rollover alias that is a plain index here
	mark       shadowMark
}

// install puts the template where it is not yet, or where it is to be replaced.
func (t *template) install(ctx context.Context, c *opensearch.Client, info opensearch.Info, l *lifetime) error {
	composable := t.composable(info)
	body, err := t.read(composable)
	if err != nil {
		return flow.Permanent(err)
	}
	if t.Template != "" && t.shaped {
		composable = kindOf(body, composable)
	}
	name := t.name
	if l != nil {
		if t.TemplateName == "" {
			name = l.alias
		}
		l.amend(body, info, composable)
	}
	if t.prefix != "" {
		name = t.prefix + name
		t.besides(body)
		mark := t.mark
		mark.Name = name
		mark.marked(body, composable)
	}
	at := "/_template/"
	if composable {
		at = "/_index_template/"
	}
	at += url.PathEscape(name)
	there, err := exists(ctx, c, at)
	if err == nil && there && !is(t.TemplateOverwrite) {
		return nil
	}
	if err == nil {
		t.log.Info("installing the template", "name", name)
		if err = c.JSON(ctx, http.MethodPut, at, body, nil); statusOf(err) == http.StatusNotFound {
			err = nil // a target without templates
		}
	}
	return refused(err, t.lenient, t.log, "install the template "+name)
}

// besides makes a template one for indices with a prefix.
func (t *template) besides(body object) {
	patterns := []string{}
	add := func(p string) { patterns = append(patterns, t.prefix+p) }
	switch of := body["index_patterns"].(type) {
	case []string:
		for _, p := range of {
			add(p)
		}
	case []any:
		for _, p := range of {
			if s, ok := p.(string); ok {
				add(s)
			}
		}
	case string:
		add(of)
	}
	if t.alias != "" {
		patterns = []string{t.prefix + t.alias + "*"}
	}
	body["index_patterns"] = patterns
	delete(body, "data_stream")
}

// refused says what to do about a target that does not take what is to be there before the events: what may pass is tried again,
// other refusals stop the pipeline unless it is lenient.
func refused(err error, lenient bool, log *slog.Logger, what string) error {
	s, ok := errors.AsType[*opensearch.StatusError](err)
	switch {
	case err == nil:
		return nil
	case !ok || s.Temporary() || s.Status >= 500 || s.Status == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w", what, err)
	case lenient:
		log.Error("the target does not take it, events are written without it", "what", what, "error", err)
		return nil
	}
	return flow.Permanent(fmt.Errorf("%s: %w; manage_template => false writes without it", what, err))
}

func statusOf(err error) int {
	if s, ok := errors.AsType[*opensearch.StatusError](err); ok {
		return s.Status
	}
	return 0
}

func exists(ctx context.Context, c *opensearch.Client, path string) (bool, error) {
	_, err := c.Do(ctx, opensearch.Request{Method: http.MethodHead, Path: path})
	if statusOf(err) == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// kindOf reports whether a template is composable, by members that only one kind has; usual is for those that have neither.
func kindOf(body object, usual bool) (composable bool) {
	_, inner := body["template"].(object)
	if _, composed := body["composed_of"]; inner || composed {
		return true
	}
	for _, outer := range []string{"mappings", "settings", "aliases", "order"} {
		if _, ok := body[outer]; ok {
			return false
		}
	}
	return usual
}

// object is a part of a JSON document.
type object = map[string]any

// read gives the template of the file, or naru's own.
func (t *template) read(composable bool) (object, error) {
	if t.Template == "" {
		return ownTemplate(t.ecs, composable), nil
	}
	name := t.Template
	if !filepath.IsAbs(name) {
		name = filepath.Join(t.dir, name)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	var body object
	if err := json.Unmarshal(text, &body); err != nil || body == nil {
		return nil, fmt.Errorf("template %s: it is no JSON object: %w", name, err)
	}
	return body, nil
}

func ownTemplate(ecs string, composable bool) object {
	of := object{}
	t := object{"version": 60001}
	if ecs == "disabled" {
		t["index_patterns"] = []string{"logstash-*"}
		of["settings"] = object{"index.refresh_interval": "5s", "number_of_shards": 1}
		of["mappings"] = plainMappings()
	} else {
		t["index_patterns"] = []string{"ecs-logstash-*"}
		of["settings"] = object{"index.refresh_interval": "5s", "index.mapping.total_fields.limit": 10000}
		of["mappings"] = ecsMappings()
	}
	if composable {
		t["template"] = of
		t["priority"] = 10
		return t
	}
	t["order"] = 0
	for k, v := range of {
		t[k] = v
	}
	return t
}

func plainMappings() object {
	text := func(keyword bool) object {
		m := object{"type": "text", "norms": false}
		if keyword {
			m["fields"] = object{"keyword": object{"type": "keyword", "ignore_above": 256}}
		}
		return m
	}
	return object{
		"dynamic_templates": []object{
			{"message_field": object{"path_match": "message", "match_mapping_type": "string", "mapping": text(false)}},
			{"string_fields": object{"match": "*", "match_mapping_type": "string", "mapping": text(true)}},
		},
		"properties": object{
			"@timestamp": object{"type": "date"},
			"@version":   object{"type": "keyword"},
			"geoip": object{"dynamic": true, "properties": object{
				"ip": object{"type": "ip"}, "location": object{"type": "geo_point"},
				"latitude": object{"type": "half_float"}, "longitude": object{"type": "half_float"},
			}},
		},
	}
}

func ecsMappings() object {
	properties := object{}
	var mapping json.RawMessage
	for line := range strings.Lines(ecsTypes) {
		if strings.HasPrefix(line, "{") {
			mapping = json.RawMessage(strings.TrimSpace(line))
			continue
		}
		for field := range strings.FieldsSeq(line) {
			property(properties, field, mapping)
			if below, ok := strings.CutPrefix(field, "threat.indicator."); ok {
				property(properties, "threat.enrichments.indicator."+below, mapping)
			}
		}
	}
	return object{
		"date_detection": false,
		"dynamic_templates": []object{
			{"strings_as_keyword": object{"match_mapping_type": "string", "mapping": object{"type": "keyword", "ignore_above": 1024}}},
		},
		"properties": properties,
	}
}

// property adds a field's mapping to properties, below those of the objects that it is in.
func property(properties object, field string, mapping json.RawMessage) {
	first, rest, inner := strings.Cut(field, ".")
	p, _ := properties[first].(object)
	if p == nil {
		p = object{}
		properties[first] = p
	}
	if inner {
		below, _ := p["properties"].(object)
		if below == nil {
			below = object{}
			p["properties"] = below
		}
		property(below, rest, mapping)
		return
	}
	var own object
	if err := json.Unmarshal(mapping, &own); err != nil {
		panic("BUG: a mapping is not JSON: " + err.Error())
	}
	for k, v := range own {
		p[k] = v
	}
}
