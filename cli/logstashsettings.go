package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/narudata/naru/connect"
	"github.com/narudata/naru/logstash/option"
	"github.com/narudata/naru/logstash/syntax"
)

// knownSettings are the settings of Logstash, and api.ssl.certificate, .key and .key_passphrase. Those that naru does not use have no effect; others are an error, as there.
//
// Source: logstash-core/lib/logstash/environment.rb.
var knownSettings = strings.Fields(`allow_superuser api.auth.basic.password api.auth.basic.password_policy.include.digit
	api.auth.basic.password_policy.include.lower api.auth.basic.password_policy.include.symbol
	api.auth.basic.password_policy.include.upper api.auth.basic.password_policy.length.minimum
	api.auth.basic.password_policy.mode api.auth.basic.username api.auth.type api.enabled api.environment api.http.host
	api.http.port api.ssl.certificate api.ssl.enabled api.ssl.key api.ssl.key_passphrase api.ssl.keystore.password
	api.ssl.keystore.path api.ssl.supported_protocols config.debug
	config.field_reference.escape_style config.field_reference.parser config.reload.automatic config.reload.interval config.string
	config.support_escapes config.test_and_exit dead_letter_queue.enable dead_letter_queue.flush_check_interval
	dead_letter_queue.flush_interval dead_letter_queue.max_bytes dead_letter_queue.retain.age dead_letter_queue.storage_policy
	enable-local-plugin-development event_api.tags.illegal http.enabled http.environment http.host http.port interactive
	keystore.classname keystore.file log.format log.format.json.fix_duplicate_message_fields log.level metric.collect modules
	modules_list modules_setup monitoring.cluster_uuid node.name node.uuid on_superuser path.config path.data
	path.dead_letter_queue path.logs path.plugins path.queue path.settings pipeline.batch.delay pipeline.batch.metrics.sampling_mode
	pipeline.batch.output_chunking.growth_threshold_factor pipeline.batch.size pipeline.buffer.type pipeline.ecs_compatibility
	pipeline.id pipeline.ordered pipeline.plugin_classloaders pipeline.recoverable pipeline.reloadable pipeline.separate_logs
	pipeline.system pipeline.unsafe_shutdown pipeline.workers queue.checkpoint.acks queue.checkpoint.interval queue.checkpoint.retry
	queue.checkpoint.writes queue.compression queue.drain queue.max_bytes queue.max_events queue.page_capacity queue.type
	slowlog.threshold.debug slowlog.threshold.info slowlog.threshold.trace slowlog.threshold.warn ssl.reload.automatic var.PLUGIN_TYPE`)

// yamlSettings are the settings of a file, or of one pipeline of it, flat: "pipeline.workers".
type yamlSettings struct {
	file   string
	values map[string]any
}

// text gives a setting as text; "" if it is not there.
func (s yamlSettings) text(name string) string {
	switch v := s.values[name].(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// number gives a setting as a number from 0 on, or what there was before.
func (s yamlSettings) number(name string, before int) (int, error) {
	text := s.text(name)
	if text == "" {
		return before, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s: %s must be a number from 1 on, not %q", s.file, name, text)
	}
	return n, nil
}

// readLogstashSettings reads logstash.yml in a folder. Without a folder or a file there are no settings.
func readLogstashSettings(dir string, lookup func(string) (string, bool)) (yamlSettings, error) {
	s := yamlSettings{file: filepath.Join(dir, "logstash.yml")}
	if dir == "" {
		return s, nil
	}
	text, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	} else if err != nil {
		return s, fmt.Errorf("read settings: %w", err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return s, fmt.Errorf("%s: %w", s.file, err)
	}
	s.values, err = flatSettings(s.file, tree, lookup)
	return s, err
}

// flatSettings joins the names of nested settings with dots, and replaces variables.
func flatSettings(file string, tree map[string]any, lookup func(string) (string, bool)) (map[string]any, error) {
	flat := map[string]any{}
	var all []error
	var walk func(prefix string, tree map[string]any)
	walk = func(prefix string, tree map[string]any) {
		for key, v := range tree {
			name := prefix + key
			if inner, ok := v.(map[string]any); ok {
				walk(name+".", inner)
				continue
			}
			if s, ok := v.(string); ok {
				expanded, err := syntax.Expand(s, lookup)
				if err != nil {
					all = append(all, fmt.Errorf("%s: %s: %w", file, name, err))
				}
				v = expanded
			}
			if !isSetting(name) {
				all = append(all, fmt.Errorf("%s: there is no setting %s%s", file, name, nearSetting(name)))
			}
			flat[name] = v
		}
	}
	walk("", tree)
	return flat, errors.Join(all...)
}

func isSetting(name string) bool {
	for _, known := range knownSettings {
		if name == known {
			return true
		}
	}
	for _, prefix := range []string{"xpack.", "otel.", "cloud.", "monitoring.", "modules.", "var."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func nearSetting(name string) string {
	if near := connect.Nearest(name, knownSettings); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

// apply takes over settings, but for those that are given otherwise.
func (s *logstashSettings) apply(from yamlSettings, given func(name string) bool) error {
	for name, n := range map[string]*int{"pipeline.workers": &s.workers, "pipeline.batch.size": &s.batch} {
		if given(name) {
			continue
		}
		var err error
		if *n, err = from.number(name, *n); err != nil {
			return err
		}
	}
	for name, c := range map[string]*choice{
		"pipeline.ecs_compatibility":          &s.ecs,
		"config.support_escapes":              &s.escapes,
		"config.field_reference.escape_style": &s.style,
		"pipeline.ordered":                    &s.ordered,
		"queue.type":                          &s.queue,
	} {
		if v := from.text(name); v != "" && !given(name) {
			if err := c.Set(v); err != nil {
				return fmt.Errorf("%s: %s: %w", from.file, name, err)
			}
		}
	}
	for name, dir := range map[string]*string{"path.data": &s.data, "path.queue": &s.queueDir} {
		if v := from.text(name); v != "" && !given(name) {
			*dir = v
		}
	}
	if v := from.text("queue.max_bytes"); v != "" {
		n, err := option.ParseBytes(v)
		if err != nil {
			return fmt.Errorf("%s: queue.max_bytes: %w", from.file, err)
		}
		s.queueBytes = int64(n)
	}
	return nil
}

// readLogstashPipelines reads pipelines.yml in a folder: a list of pipelines, each with settings of its own.
func readLogstashPipelines(dir string, defaults logstashPipeline, lookup func(string) (string, bool)) ([]logstashPipeline, error) {
	file := filepath.Join(dir, "pipelines.yml")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read pipelines: %w", err)
	}
	var list []map[string]any
	if err := yaml.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("%s: expected a list of pipelines: %w", file, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: there is no pipeline: each is - pipeline.id: NAME, and below it path.config or config.string", file)
	}
	var out []logstashPipeline
	seen := map[string]bool{}
	for i, tree := range list {
		where := fmt.Sprintf("%s, pipeline %d", file, i+1)
		values, err := flatSettings(where, tree, lookup)
		if err != nil {
			return nil, err
		}
		p, s := defaults, yamlSettings{where, values}
		if id := s.text("pipeline.id"); id != "" {
			p.id = id
		}
		if seen[p.id] {
			return nil, fmt.Errorf("%s: there are two pipelines %s", file, p.id)
		}
		seen[p.id] = true
		if err := p.apply(s, func(string) bool { return false }); err != nil {
			return nil, err
		}
		path, inline := s.text("path.config"), s.text("config.string")
		switch {
		case path != "" && inline != "":
			return nil, fmt.Errorf("%s: path.config and config.string are both given", where)
		case inline != "":
			p.files = []syntax.File{{Name: p.id, Text: []byte(inline)}}
		case path != "":
			if p.files, err = syntax.ReadFiles(path); err != nil {
				return nil, fmt.Errorf("%s: %w", where, err)
			}
		default:
			return nil, fmt.Errorf("%s: %s has neither path.config nor config.string", where, p.id)
		}
		out = append(out, p)
	}
	return out, nil
}
