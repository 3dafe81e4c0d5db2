package estate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
)

// Live is an object as the cluster has it.
type Live struct {
	Body     Body
	SeqNo    int64 // with Term: the state, where the system names one; else Term is 0
	Term     int64
	Updated  time.Time // zero: the system does not say
	Reserved bool      // it belongs to the system and cannot be changed

	state any // what else a kind's functions know of it
}

// kind is what is particular to a kind.
type kind struct {
	what string // one object, for sentences
	many bool   // several may be changed at the same time: the system keeps each by itself
	// list gives all that the system has. A kind whose objects are parts of a whole gives that under wholeCluster.
	list func(ctx context.Context, t *Target) (map[string]*Live, error)
	// get gives one, or the whole; nil: there is none.
	get func(ctx context.Context, t *Target, name string) (*Live, error)
	// among is there instead of list and get for a kind of which not all can be listed: it gives what the system has of the objects
	// by name, whose bodies (declared, applied last, meant) say what that is.
	among func(ctx context.Context, t *Target, wanted wants) (map[string]*Live, error)
	// view is what of live is the object's with these bodies; they may be nil. nil: all of it.
	view func(live *Live, bodies ...Body) *Live
	// leave makes what a declared body, which it may change, says nothing of as it is in live; nil: nothing.
	leave func(body Body, live *Live)
	// inquire has the system say whether it would do the change, which may get effects; a kafka.RefusedError is its problem; nil: it
	// cannot be asked.
	inquire func(ctx context.Context, t *Target, ch *Change, live *Live) error
	// undo makes an undo's change what can be undone; nil: all can.
	undo func(ch *Change, live *Live)
	// keep gives a body by which put brings back exactly what live is; nil: the canonical body does.
	keep func(live *Live) Body
	// put writes the body; live is what stood there when it was last looked at.
	put func(ctx context.Context, t *Target, name string, body Body, live *Live) error
	// remove deletes it.
	remove func(ctx context.Context, t *Target, name string, live *Live) error
	// canon writes a body, declared or live, in the one way in which two that mean the same are equal. It may change
	// what it is given.
	canon func(name string, body Body) Body
	// parse reads a whole object's file, whose name ends as ending says; nil: it is JSON or YAML.
	parse  func(file string, data []byte, vars variables) (Body, error)
	ending string
	// check says what is wrong with a declared body, without the cluster; what the cluster would find it need not find.
	check func(body Body) error
	// ask has the cluster say whether it would take the body, and what it would make of it; nil: it cannot.
	ask func(ctx context.Context, t *Target, body Body) (effect any, err error)
}

// kinds is set before anything runs, and only read.
var kinds = map[Kind]*kind{
	ClusterSettings: {
		what: "cluster settings", list: listClusterSettings, get: getClusterSettings, put: putClusterSettings, remove: removeClusterSettings,
		canon: canonClusterSettings, check: checkClusterSettings, view: settingsView,
	},
	IngestPipelines: {
		what: "ingest pipeline", many: true, list: listPlain("/_ingest/pipeline"), get: getPlain("/_ingest/pipeline"), put: putPlain("/_ingest/pipeline"), remove: removePlain("/_ingest/pipeline"),
		canon: canonPipeline, check: fine, ask: askPipeline,
	},
	ComponentTemplates: {
		what: "component template", many: true, list: listTemplates("component_template"), get: getTemplate("component_template"), put: putPlain("/_component_template"), remove: removePlain("/_component_template"),
		canon: canonTemplate, check: fine, ask: askComponent,
	},
	IndexTemplates: {
		what: "index template", many: true, list: listTemplates("index_template"), get: getTemplate("index_template"), put: putPlain("/_index_template"), remove: removePlain("/_index_template"),
		canon: canonTemplate, check: fine, ask: askTemplate,
	},
	ISMPolicies: {
		what: "ISM policy", list: listPolicies("/_plugins/_ism/policies", "policy", ""), get: getPolicy("/_plugins/_ism/policies", "policy"), put: putISM, remove: removePlain("/_plugins/_ism/policies"),
		canon: canonISM, check: fine,
	},
	SnapshotPolicies: {
		what: "snapshot policy", list: listPolicies("/_plugins/_sm/policies", "sm_policy", "-sm-policy"), get: getPolicy("/_plugins/_sm/policies", "sm_policy"), put: putSM, remove: removePlain("/_plugins/_sm/policies"),
		canon: canonSM, check: fine,
	},
	Aliases: {
		what: "alias", many: true, list: listAliases, get: getAlias, put: putAlias, remove: removeAlias, canon: canonAlias, check: checkAlias,
		leave: leaveWriteIndex,
	},
	ActionGroups: securityKind("action group", "actiongroups", actionGroupShape, Body{"allowed_actions": []any{}}),
	Tenants:      securityKind("tenant", "tenants", tenantShape, Body{"description": ""}),
	KafkaTopics: {
		what: "topic", many: true, list: listTopics, get: getTopic, put: putTopic, remove: removeTopic, canon: canonTopic, check: checkTopic,
		leave: leaveReplication, inquire: askTopic, undo: undoTopic,
	},
	KafkaACLs: {
		what: "list of ACLs", list: listACLs, get: getACLs, put: putACLs, remove: removeACLs, canon: canonACLs, check: checkACLs, view: aclView,
	},
	KafkaQuotas: {
		what: "quota", list: listQuotas, get: getQuotas, put: putQuota, remove: removeQuota, canon: canonQuota, check: checkQuota, view: quotaView,
		inquire: askQuota,
	},
	KafkaGroups: {
		what: "consumer group", among: groupsAmong, put: putGroup, remove: removeGroup, canon: canonGroup, check: checkGroup, view: groupView,
		inquire: askGroup, keep: keepGroup, undo: undoGroup,
	},
	SavedObjects: {
		what: "bundle of saved objects", among: savedAmong, put: putSaved, remove: removeSaved, canon: canonSaved, check: checkSaved, view: savedView,
		keep: keepSaved, inquire: askSaved, parse: parseSaved, ending: ".ndjson",
	},
	Pipelines: {
		what: "pipeline", list: listFlows, get: getFlow, put: putFlow, remove: removeFlow, canon: canonFlow, check: checkFlow, view: flowView,
		parse: parsePipeline, ending: ".conf",
	},
	FlowSpecs:    {what: "flow", list: listFlows, get: getFlow, put: putFlow, remove: removeFlow, canon: canonFlow, check: checkFlow, view: flowView},
	Roles:        securityKind("role", "roles", roleShape, Body{"cluster_permissions": []any{}}),
	RoleMappings: securityKind("role mapping", "rolesmapping", mappingShape, Body{"users": []any{}}),
}

func fine(Body) error { return nil }

// canonical is the kind's canonical form of a copy of body; nil stays nil.
func canonical(key Key, body Body) Body {
	if body == nil {
		return nil
	}
	return kinds[key.Kind].canon(key.Name, clone(body))
}

// errNoAPI is that the cluster does not know the calls of a kind: it has no such plugin.
var errNoAPI = errors.New("the cluster does not have it")

// call sends a request and gives the answer's JSON.
func call(ctx context.Context, c *opensearch.Client, method, path string, body any) (Body, error) {
	r := opensearch.Request{Method: method, Path: path}
	if body != nil {
		r.Body = text(body)
	}
	b, err := send(ctx, c, r)
	if err != nil {
		if e, ok := errors.AsType[*opensearch.StatusError](err); ok && e.Status == http.StatusBadRequest && strings.HasPrefix(e.Reason, "no handler found for uri") {
			return nil, fmt.Errorf("%w: no plugin of its nodes answers %s %s", errNoAPI, method, path)
		}
		return nil, err
	}
	answer, err := decodeBody(b)
	if err != nil {
		return nil, fmt.Errorf("answer to %s %s: %w", method, path, err)
	}
	return answer, nil
}

func isMissing(err error) bool {
	e, ok := errors.AsType[*opensearch.StatusError](err)
	return ok && e.Status == http.StatusNotFound
}

func at(path, name string) string { return path + "/" + url.PathEscape(name) }

// plain makes a Live of a body that is an answer's member.
func plain(v any) *Live {
	body, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	return &Live{Body: body, Reserved: body["reserved"] == true || body["static"] == true || body["hidden"] == true}
}

// listPlain is for answers {NAME: BODY}.
func listPlain(path string) func(context.Context, *Target) (map[string]*Live, error) {
	return func(ctx context.Context, t *Target) (map[string]*Live, error) {
		answer, err := call(ctx, t.Search, http.MethodGet, path, nil)
		if isMissing(err) {
			return map[string]*Live{}, nil // a cluster without a single pipeline says so
		}
		if err != nil {
			return nil, err
		}
		all := map[string]*Live{}
		for name, body := range answer {
			if l := plain(body); l != nil {
				all[name] = l
			}
		}
		return all, nil
	}
}

func getPlain(path string) func(context.Context, *Target, string) (*Live, error) {
	return func(ctx context.Context, t *Target, name string) (*Live, error) {
		answer, err := call(ctx, t.Search, http.MethodGet, at(path, name), nil)
		if isMissing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return plain(answer[name]), nil
	}
}

func putPlain(path string) func(context.Context, *Target, string, Body, *Live) error {
	return func(ctx context.Context, t *Target, name string, body Body, _ *Live) error {
		_, err := call(ctx, t.Search, http.MethodPut, at(path, name), body)
		return err
	}
}

func removePlain(path string) func(context.Context, *Target, string, *Live) error {
	return func(ctx context.Context, t *Target, name string, _ *Live) error {
		_, err := call(ctx, t.Search, http.MethodDelete, at(path, name), nil)
		if isMissing(err) {
			return nil
		}
		return err
	}
}

// listTemplates is for answers {"index_templates":[{"name":…,"index_template":…}]}.
func listTemplates(what string) func(context.Context, *Target) (map[string]*Live, error) {
	return func(ctx context.Context, t *Target) (map[string]*Live, error) {
		answer, err := call(ctx, t.Search, http.MethodGet, "/_"+what, nil)
		if err != nil {
			return nil, err
		}
		return templatesIn(answer, what), nil
	}
}

func templatesIn(answer Body, what string) map[string]*Live {
	all := map[string]*Live{}
	list, _ := answer[what+"s"].([]any)
	for _, x := range list {
		entry, _ := x.(map[string]any)
		name, _ := entry["name"].(string)
		if l := plain(entry[what]); l != nil && name != "" {
			all[name] = l
		}
	}
	return all
}

func getTemplate(what string) func(context.Context, *Target, string) (*Live, error) {
	return func(ctx context.Context, t *Target, name string) (*Live, error) {
		answer, err := call(ctx, t.Search, http.MethodGet, at("/_"+what, name), nil)
		if isMissing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return templatesIn(answer, what)[name], nil
	}
}

// canonTemplate: settings are flat texts under "index.", patterns a list, routing of an alias two fields, and what is
// empty is not there. Source: what 2.19 answers to GET for what it was given by PUT.
func canonTemplate(_ string, body Body) Body {
	if patterns, ok := body["index_patterns"]; ok {
		body["index_patterns"] = sorted(listOf(patterns))
	}
	if stream, ok := body["data_stream"].(map[string]any); ok {
		if stream["timestamp_field"] == nil {
			stream["timestamp_field"] = map[string]any{"name": "@timestamp"}
		}
	}
	for _, name := range []string{"priority", "version"} {
		if s, ok := body[name].(string); ok {
			body[name] = json.Number(s)
		}
	}
	if t, ok := body["template"].(map[string]any); ok {
		if settings, ok := t["settings"].(map[string]any); ok {
			t["settings"] = indexSettings(settings)
		}
		for _, a := range object(t, "aliases") {
			if alias, ok := a.(map[string]any); ok {
				canonAliasEntry(alias)
			}
		}
		dropEmpty(t, "settings", "mappings", "aliases")
	}
	dropEmpty(body, "template", "composed_of", "_meta", "version", "priority")
	return body
}

func indexSettings(settings map[string]any) map[string]any {
	all, named := map[string]any{}, map[string]any{}
	flat(settings, "", all)
	for k, v := range all {
		if !strings.HasPrefix(k, "index.") {
			k = "index." + k
		}
		named[k] = v
	}
	return named
}

func canonPipeline(_ string, body Body) Body {
	dropEmpty(body, "on_failure", "version", "description")
	return body
}
