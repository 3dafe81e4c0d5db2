package estate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
)

// An alias is declared as {"indices": {INDEX: {filter, routing, …}}}, where INDEX may be a pattern like logs-2026-*. What
// an index has as is_write_index is left alone unless it is declared, since rollovers move it.

func checkAlias(body Body) error {
	indices, ok := body["indices"].(map[string]any)
	if !ok || len(body) != 1 || len(indices) == 0 {
		return errors.New(`an alias is {"indices": {"logs-1": {}}}: the indices that it names, each with its filter, routing and the like`)
	}
	for name, v := range indices {
		if _, ok := v.(map[string]any); !ok {
			return fmt.Errorf("indices.%s: want keys with values, {} for none", name)
		}
		if _, err := path.Match(name, ""); err != nil {
			return fmt.Errorf("indices.%s: not a pattern: %w", name, err)
		}
	}
	return nil
}

func canonAlias(_ string, body Body) Body {
	for _, v := range object(body, "indices") {
		if entry, ok := v.(map[string]any); ok {
			canonAliasEntry(entry)
		}
	}
	return body
}

func listAliases(ctx context.Context, t *Target) (map[string]*Live, error) {
	answer, err := call(ctx, t.Search, http.MethodGet, "/_alias", nil)
	if err != nil {
		return nil, err
	}
	return aliasesIn(answer), nil
}

// aliasesIn turns indices with aliases into aliases with indices.
func aliasesIn(answer Body) map[string]*Live {
	all := map[string]*Live{}
	for index, x := range answer {
		entry, _ := x.(map[string]any)
		for name, a := range object(entry, "aliases") {
			if all[name] == nil {
				all[name] = &Live{Body: Body{"indices": map[string]any{}}}
			}
			object(all[name].Body, "indices")[index] = a
		}
	}
	return all
}

func getAlias(ctx context.Context, t *Target, name string) (*Live, error) {
	answer, err := call(ctx, t.Search, http.MethodGet, at("/_alias", name), nil)
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return aliasesIn(answer)[name], nil
}

// putAlias changes all in one request, which the cluster does as one.
func putAlias(ctx context.Context, t *Target, name string, body Body, live *Live) error {
	var actions []any
	wanted := object(body, "indices")
	if live != nil {
		for index, entry := range object(live.Body, "indices") {
			if wanted[index] == nil {
				actions = append(actions, map[string]any{"remove": map[string]any{"index": index, "alias": name}})
				continue
			}
			if old, ok := entry.(map[string]any); ok && old["is_write_index"] == true && object(wanted, index)["is_write_index"] == nil {
				object(wanted, index)["is_write_index"] = true
			}
		}
	}
	for index, entry := range wanted {
		add := map[string]any{"index": index, "alias": name}
		if fields, ok := entry.(map[string]any); ok {
			for k, v := range fields {
				add[k] = v
			}
		}
		actions = append(actions, map[string]any{"add": add})
	}
	_, err := call(ctx, t.Search, http.MethodPost, "/_aliases", map[string]any{"actions": actions})
	return err
}

func removeAlias(ctx context.Context, t *Target, name string, live *Live) error {
	if live == nil {
		return nil
	}
	var actions []any
	for index := range object(live.Body, "indices") {
		actions = append(actions, map[string]any{"remove": map[string]any{"index": index, "alias": name}})
	}
	_, err := call(ctx, t.Search, http.MethodPost, "/_aliases", map[string]any{"actions": actions})
	return err
}

// expanded is a declared alias with its patterns as the indices that they match.
func expanded(body Body, indices []IndexFact) Body {
	out := map[string]any{}
	declared := object(body, "indices")
	for name, entry := range declared {
		if !strings.ContainsAny(name, "*?[") {
			continue
		}
		for _, x := range indices {
			if ok, err := path.Match(name, x.Name); err == nil && ok {
				out[x.Name] = clone(entry)
			}
		}
	}
	for name, entry := range declared { // a name says more than a pattern
		if !strings.ContainsAny(name, "*?[") {
			out[name] = clone(entry)
		}
	}
	return Body{"indices": out}
}

// leaveWriteIndex copies is_write_index of live to where body says nothing of it.
func leaveWriteIndex(body Body, live *Live) {
	if live == nil {
		return
	}
	for name, entry := range object(body, "indices") {
		e, _ := entry.(map[string]any)
		if write, ok := object(live.Body, "indices", name)["is_write_index"]; ok && e["is_write_index"] == nil {
			e["is_write_index"] = write
		}
	}
}
