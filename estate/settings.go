package estate

import (
	"context"
	"net/http"
)

// Cluster settings have one live body, of which each declared object is a part: only the settings that it names, or
// named when it was last applied, are its own.

const wholeCluster = "\x00all" // the name under which a list has the whole of which objects are parts

func canonClusterSettings(_ string, body Body) Body {
	all := map[string]any{}
	flat(object(body, "persistent"), "", all)
	return Body{"persistent": all}
}

func listClusterSettings(ctx context.Context, t *Target) (map[string]*Live, error) {
	live, err := getClusterSettings(ctx, t, "")
	if err != nil {
		return nil, err
	}
	return map[string]*Live{wholeCluster: live}, nil
}

func getClusterSettings(ctx context.Context, t *Target, _ string) (*Live, error) {
	answer, err := call(ctx, t.Search, http.MethodGet, "/_cluster/settings?flat_settings=true", nil)
	if err != nil {
		return nil, err
	}
	return &Live{Body: Body{"persistent": answer["persistent"]}}, nil
}

// settingsView is what of all persistent settings those that the bodies name are; nil: none of them is set.
func settingsView(live *Live, bodies ...Body) *Live {
	all, part := object(live.Body, "persistent"), map[string]any{}
	for _, b := range bodies {
		for name := range object(canonicalSettings(b), "persistent") {
			if v, ok := all[name]; ok {
				part[name] = v
			}
		}
	}
	if len(part) == 0 {
		return nil
	}
	return &Live{Body: Body{"persistent": part}}
}

func canonicalSettings(b Body) Body {
	if b == nil {
		return nil
	}
	return canonClusterSettings("", clone(b))
}

// putClusterSettings sets what is in body, and takes away what is in live and not in body.
func putClusterSettings(ctx context.Context, t *Target, _ string, body Body, live *Live) error {
	wanted := object(canonicalSettings(body), "persistent")
	if live != nil {
		for name := range object(live.Body, "persistent") {
			if _, ok := wanted[name]; !ok {
				wanted[name] = nil
			}
		}
	}
	_, err := call(ctx, t.Search, http.MethodPut, "/_cluster/settings", map[string]any{"persistent": wanted})
	return err
}

func removeClusterSettings(ctx context.Context, t *Target, name string, live *Live) error {
	return putClusterSettings(ctx, t, name, Body{"persistent": map[string]any{}}, live)
}
