package output

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/logstash/event"
	"github.com/narudata/naru/logstash/option"
)

// target decides what events are written to: a data stream, a rollover alias, or indices by name.
func (o *Elasticsearch) target(b *bulkOutput, s *Setup) error {
	streams, err := o.toStream(b)
	if err != nil {
		return err
	}
	if streams {
		b.streams = &dataStream{
			typ: text(o.DataStreamType, "logs"), dataset: text(o.DataStreamDataset, "generic"), namespace: text(o.DataStreamNamespace, "default"),
			sync: o.DataStreamSyncFields == nil || *o.DataStreamSyncFields, routed: o.DataStreamAutoRouting == nil || *o.DataStreamAutoRouting,
			managed: o.ManageTemplate == nil, log: s.Log,
		}
		for name, part := range map[string]string{"data_stream_dataset": b.streams.dataset, "data_stream_namespace": b.streams.namespace} {
			if part == "" || len(part) > 100 || strings.ContainsAny(part, `\/*?"<>| ,#:`) {
				return option.Errorf(name, `expected up to 100 bytes without any of \ / * ? " < > | space , # :, found %q`, part)
			}
		}
		b.Action = event.ParseFormat("create")
		b.index = event.ParseFormat(b.streams.name())
		b.placed = false
		return nil
	}
	if o.ILMEnabled == "false" || o.ILMEnabled == "auto" && o.ILMRolloverAlias == "" {
		return nil
	}
	defaults := b.Index == nil || b.Index.String() == b.defaultName()+"-%{+yyyy.MM.dd}"
	alias := cmp.Or(o.ILMRolloverAlias, b.defaultName())
	if !defaults && alias == b.defaultName() {
		return nil
	}
	if !defaults {
		s.Log.Warn("index is not used: events are written to ilm_rollover_alias", "at", s.Where, "index", b.Index.String(), "alias", alias)
	}
	b.lifetime = &lifetime{alias: alias, pattern: o.ILMPattern, policy: o.ILMPolicy, log: s.Log}
	b.index = event.ParseFormat(alias)
	b.placed = false
	return nil
}

func text(s *string, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return *s
}

// toStream says whether events go to a data stream.
//
// Source: data_stream_support.rb.
func (o *Elasticsearch) toStream(b *bulkOutput) (bool, error) {
	foreign := o.foreign()
	switch {
	case o.DataStream == "true" && len(foreign) > 0:
		return false, option.Errorf("data_stream", "data streams do not have the options %s", strings.Join(foreign, ", "))
	case o.DataStream == "true" && b.ecs == "disabled":
		return false, option.Errorf("data_stream", "data streams need ECS: ecs_compatibility must not be disabled")
	case o.DataStream == "true":
		return true, nil
	}
	streams := o.DataStream != "false" && b.ecs != "disabled" && len(foreign) == 0
	if given := o.streamOptions(); !streams && len(given) > 0 {
		return false, option.Errorf(given[0], "events go to no data stream (data_stream => %s): set data_stream => true, or leave it out", cmp.Or(o.DataStream, "auto"))
	}
	return streams, nil
}

// streamOptions names the options that are given and are for data streams only.
func (o *Elasticsearch) streamOptions() []string {
	return names(map[string]bool{
		"data_stream_type": o.DataStreamType != nil, "data_stream_dataset": o.DataStreamDataset != nil, "data_stream_namespace": o.DataStreamNamespace != nil,
		"data_stream_sync_fields": o.DataStreamSyncFields != nil, "data_stream_auto_routing": o.DataStreamAutoRouting != nil,
	})
}

// foreign names the options that are given and that data streams do not have.
func (o *Elasticsearch) foreign() []string {
	create := false
	if o.Action != nil {
		text, static := o.Action.Static()
		create = static && text == "create"
	}
	return names(map[string]bool{
		"action": o.Action != nil && !create, "index": o.Index != nil, "document_type": o.DocumentType != nil,
		"manage_template": is(o.ManageTemplate), "template": o.Template != "", "template_name": o.TemplateName != "",
		"template_overwrite": o.TemplateOverwrite != nil, "template_api": o.TemplateAPI != "auto", "version": o.Version != nil,
		"version_type": o.VersionType != "", "parent": o.Parent != nil, "join_field": o.JoinField != nil, "upsert": o.Upsert != nil,
		"doc_as_upsert": o.DocAsUpsert != nil, "script": o.Script != nil, "script_type": len(o.ScriptType) > 0, "script_lang": o.ScriptLang != nil,
		"script_var_name": o.ScriptVarName != nil, "scripted_upsert": o.ScriptedUpsert != nil, "retry_on_conflict": o.RetryOnConflict != nil,
		"ilm_enabled": o.ILMEnabled != "auto", "ilm_rollover_alias": o.ILMRolloverAlias != "", "ilm_pattern": o.ILMPattern != "{now/d}-000001",
		"ilm_policy": o.ILMPolicy != "logstash-policy", "data_stream": o.DataStream == "false",
	})
}

// names gives the keys of what is true, in order.
func names(given map[string]bool) []string {
	var all []string
	for name, is := range given {
		if is {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// A lifetime is a rollover alias.
type lifetime struct {
	alias, pattern, policy string
	log                    *slog.Logger
}

// amend makes a template one for the alias's indices.
func (l *lifetime) amend(body object, info opensearch.Info, composable bool) {
	body["index_patterns"] = []string{l.alias + "-*"}
	if info.OpenSearch() {
		return // there a policy names the indices that it is for
	}
	in := body
	if composable {
		in, _ = body["template"].(object)
		if in == nil {
			in = object{}
			body["template"] = in
		}
	}
	settings, _ := in["settings"].(object)
	if settings == nil {
		settings = object{}
		in["settings"] = settings
	}
	settings["index.lifecycle.name"], settings["index.lifecycle.rollover_alias"] = l.policy, l.alias
}

// begin makes the alias with its first index, and the policy on Elasticsearch, where they are not there.
//
// Source: ilm.rb.
func (l *lifetime) begin(ctx context.Context, c *opensearch.Client, info opensearch.Info) error {
	there, err := exists(ctx, c, "/"+url.PathEscape(l.alias))
	if err == nil && !there {
		first := "<" + l.alias + "-" + l.pattern + ">"
		l.log.Info("making the rollover alias", "alias", l.alias, "index", first)
		err = c.JSON(ctx, http.MethodPut, "/"+url.PathEscape(first), object{"aliases": object{l.alias: object{"is_write_index": true}}}, nil)
		if statusOf(err) == http.StatusBadRequest { // someone else was first
			if there, again := exists(ctx, c, "/"+url.PathEscape(l.alias)); again == nil && there {
				err = nil
			}
		}
	}
	if err := refused(err, false, l.log, "make the rollover alias "+l.alias); err != nil {
		return err
	}
	if info.OpenSearch() {
		l.log.Warn("OpenSearch has no ILM: make a policy of its Index State Management that rolls over, with an ism_template for the indices, "+
			"and set plugins.index_state_management.rollover_alias for them; until then they grow without end",
			"alias", l.alias, "indices", l.alias+"-*", "policy", l.policy)
		return nil
	}
	at := "/_ilm/policy/" + url.PathEscape(l.policy)
	_, err = c.Do(ctx, opensearch.Request{Method: http.MethodGet, Path: at})
	switch {
	case err == nil:
		return nil
	case statusOf(err) == http.StatusNotFound && l.policy == "logstash-policy":
		rollover := object{"max_size": "50gb", "max_age": "30d"}
		err = c.JSON(ctx, http.MethodPut, at, object{"policy": object{"phases": object{"hot": object{"actions": object{"rollover": rollover}}}}}, nil)
		return refused(err, false, l.log, "make the policy "+l.policy)
	case statusOf(err) == http.StatusNotFound:
		return flow.Permanent(fmt.Errorf("there is no policy %s: make it, or leave ilm_policy out", l.policy))
	case statusOf(err) == http.StatusBadRequest, statusOf(err) == http.StatusMethodNotAllowed:
		l.log.Warn("the target has no ILM: the indices of the alias grow without end", "alias", l.alias, "error", err)
		return nil
	}
	return refused(err, false, l.log, "look for the policy "+l.policy)
}

// A dataStream is where events go that are only ever added.
type dataStream struct {
	typ, dataset, namespace string
	sync, routed            bool
	managed                 bool // a template may be installed
	log                     *slog.Logger
}

func (d *dataStream) name() string { return d.typ + "-" + d.dataset + "-" + d.namespace }

// begin sees to it that there is a template by which the target makes a data stream: Elasticsearch has one, OpenSearch does not.
func (d *dataStream) begin(ctx context.Context, c *opensearch.Client, info opensearch.Info) error {
	if !info.OpenSearch() {
		if info.Major < 7 || info.Major == 7 && info.Minor < 9 {
			return flow.Permanent(fmt.Errorf("%s has no data streams: set data_stream => false", info))
		}
		return nil
	}
	var all struct {
		Templates []struct {
			Name     string `json:"name"`
			Template struct {
				Patterns   []string `json:"index_patterns"`
				DataStream *object  `json:"data_stream"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	if err := c.JSON(ctx, http.MethodGet, "/_index_template", nil, &all); err != nil {
		return refused(err, true, d.log, "look for a template for data streams")
	}
	for _, t := range all.Templates {
		if t.Template.DataStream != nil && slices.ContainsFunc(t.Template.Patterns, func(p string) bool { return matches(p, d.name()) }) {
			return nil
		}
	}
	if !d.managed {
		d.log.Warn("no template makes this a data stream: it will be an index", "name", d.name())
		return nil
	}
	d.log.Info("installing a template for data streams", "name", streamsTemplate)
	body := object{
		"index_patterns": []string{"logs-*-*", "metrics-*-*", "synthetics-*-*", "traces-*-*"}, "priority": 100, "data_stream": object{},
		"template": object{
			"settings": object{"index.mapping.total_fields.limit": 10000},
			"mappings": ecsMappings(),
		},
	}
	return refused(c.JSON(ctx, http.MethodPut, "/_index_template/"+streamsTemplate, body, nil), true, d.log, "install a template for data streams")
}

const streamsTemplate = "naru-data-streams"

// matches reports that a pattern with * fits a name.
func matches(pattern, name string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for i := range len(name) + 1 {
		if matches(rest, name[i:]) {
			return true
		}
	}
	return false
}
