package rules

import (
	"fmt"
	"slices"

	"github.com/narudata/naru/format/tree"
)

// A processor of ingest pipelines: the parameters that it takes in all targets, and the plugin that has it.
type processor struct {
	params map[string]bool
	plugin string
}

// anyProcessor are the parameters that every processor takes.
var anyProcessor = set("tag description if ignore_failure on_failure")

// processors are those that mean the same in both. Source: the factories in ingest-common and the server of OpenSearch 1.3.14, 2.19.5
// and 3.8.0. OpenSearch's fingerprint and community_id are others than Elasticsearch's of the same name.
var processors = map[string]processor{
	"append":          {params: set("field value allow_duplicates")},
	"bytes":           {params: set("field target_field ignore_missing")},
	"convert":         {params: set("field target_field ignore_missing type")},
	"csv":             {params: set("field target_fields separator quote ignore_missing trim empty_value")},
	"date":            {params: set("field target_field formats timezone locale output_format")},
	"date_index_name": {params: set("field date_formats date_rounding index_name_format index_name_prefix locale timezone")},
	"dissect":         {params: set("field pattern append_separator ignore_missing")},
	"dot_expander":    {params: set("field path")},
	"drop":            {},
	"fail":            {params: set("message")},
	"foreach":         {params: set("field processor ignore_missing")},
	"grok":            {params: set("field patterns pattern_definitions trace_match ignore_missing")},
	"gsub":            {params: set("field pattern replacement target_field ignore_missing")},
	"html_strip":      {params: set("field target_field ignore_missing")},
	"join":            {params: set("field separator target_field")},
	"json":            {params: set("field target_field add_to_root")},
	"kv":              {params: set("field field_split value_split target_field include_keys exclude_keys ignore_missing prefix strip_brackets trim_key trim_value")},
	"lowercase":       {params: set("field target_field ignore_missing")},
	"pipeline":        {params: set("name")},
	"remove":          {params: set("field ignore_missing")},
	"rename":          {params: set("field target_field ignore_missing")},
	"script":          {params: set("lang id source params options")},
	"set":             {params: set("field value override ignore_empty_value")},
	"sort":            {params: set("field order target_field")},
	"split":           {params: set("field separator target_field ignore_missing preserve_trailing")},
	"trim":            {params: set("field target_field ignore_missing")},
	"uppercase":       {params: set("field target_field ignore_missing")},
	"urldecode":       {params: set("field target_field ignore_missing")},
	"user_agent":      {params: set("field target_field regex_file properties ignore_missing")},
	"geoip":           {params: set("field target_field database_file properties ignore_missing first_only")},
	"attachment":      {params: set("field target_field indexed_chars indexed_chars_field properties ignore_missing resource_name"), plugin: "ingest-attachment"},
}

// pipelines keeps the ingest pipelines that OpenSearch takes.
func (t Target) pipelines(all []any, v *Verdict) []any {
	out := make([]any, 0, len(all))
	for _, p := range all {
		o, _ := p.(tree.Object)
		where := "pipeline " + o.Text("id")
		config, ok := o.Get("config")
		own, object := config.(tree.Object)
		if !ok || !object {
			v.change("pipeline-processor", where, "dropped", "its configuration is no object")
			continue
		}
		if own.Object("_meta").Text("managed") == "true" {
			v.change("template-managed", where, "dropped", "it belongs to Elasticsearch itself")
			continue
		}
		var plugins Verdict
		if why := judge(own.List("processors"), &plugins); why != "" {
			v.change("pipeline-processor", where, "dropped", why+"; indices whose default pipeline it is take no documents until they get another")
			continue
		}
		if why := judge(own.List("on_failure"), &plugins); why != "" {
			v.change("pipeline-processor", where, "dropped", why)
			continue
		}
		for _, name := range plugins.Plugins {
			v.plugin(name)
		}
		o = slices.Clone(o)
		o.Set("config", only(slices.Clone(own), "description processors on_failure version", where, "pipeline-key", v))
		out = append(out, o)
	}
	return out
}

// judge gives why OpenSearch does not take processors, "" if it does.
func judge(list []any, plugins *Verdict) string {
	for _, e := range list {
		o, ok := e.(tree.Object)
		if !ok {
			return "a processor is no object"
		}
		for _, m := range o {
			known, ok := processors[m.Name]
			if !ok {
				return fmt.Sprintf("OpenSearch has no processor %q, or another of that name", m.Name)
			}
			if known.plugin != "" {
				plugins.plugin(known.plugin)
			}
			own, _ := m.Value.(tree.Object)
			for _, p := range own {
				if !known.params[p.Name] && !anyProcessor[p.Name] {
					return fmt.Sprintf("OpenSearch's processor %s does not know %q", m.Name, p.Name)
				}
				switch {
				case p.Name == "on_failure":
					nested, _ := p.Value.([]any)
					if why := judge(nested, plugins); why != "" {
						return why
					}
				case m.Name == "foreach" && p.Name == "processor":
					if why := judge([]any{p.Value}, plugins); why != "" {
						return why
					}
				}
			}
		}
	}
	return ""
}
