package estate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/narudata/naru/connect"
)

// securityKind makes the row of a kind that the security plugin keeps. Its objects stand there in one document for each kind, so
// that two of them are never changed at the same time.
func securityKind(what, path string, fields shape, empty Body) *kind {
	path = "/_plugins/_security/api/" + path
	return &kind{
		what: what, list: listPlain(path), get: getPlain(path), put: putSecurity(path, empty), remove: removePlain(path),
		canon: canonSecurity, check: fields.check,
	}
}

// A shape says what the plugin takes: keys with what their values are. It refuses others.
type shape map[string]any

// What values are, but for lists of objects, which are the objects' shape.
const (
	isText  = "a text"
	isTexts = "a list of texts"
)

var (
	actionGroupShape = shape{"allowed_actions": isTexts, "type": isText, "description": isText}
	tenantShape      = shape{"description": isText}
	mappingShape     = shape{"users": isTexts, "backend_roles": isTexts, "and_backend_roles": isTexts, "hosts": isTexts, "description": isText}
	roleShape        = shape{
		"cluster_permissions": isTexts, "description": isText,
		"index_permissions":  shape{"index_patterns": isTexts, "allowed_actions": isTexts, "dls": isText, "fls": isTexts, "masked_fields": isTexts},
		"tenant_permissions": shape{"tenant_patterns": isTexts, "allowed_actions": isTexts},
	}
)

// flagsOfTheSystem are members of what the plugin answers, which it takes from nobody.
var flagsOfTheSystem = []string{"reserved", "hidden", "static"}

// check says what the plugin would refuse. A key that is not known may be of a later version: only what is nearly a known one is wrong.
func (s shape) check(body Body) error { return s.under("", body) }

func (s shape) under(path string, body Body) error {
	known := slices.Sorted(maps.Keys(s))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(body)) {
		v, want := body[name], s[name]
		at := join(path, name)
		if v == nil || want == nil {
			near := connect.Nearest(name, known)
			if want == nil && near != "" && !slices.Contains(flagsOfTheSystem, name) {
				errs = append(errs, fmt.Errorf("%s: the security plugin has no such key; did you mean %q?", at, near))
			}
			continue
		}
		list, isList := v.([]any)
		switch want := want.(type) {
		case shape:
			if !isList {
				errs = append(errs, fmt.Errorf("%s: want a list of objects", at))
			}
			for i, x := range list {
				o, ok := x.(map[string]any)
				if !ok {
					errs = append(errs, fmt.Errorf("%s[%d]: want an object", at, i))
					continue
				}
				errs = append(errs, want.under(fmt.Sprintf("%s[%d]", at, i), o))
			}
		default:
			_, is := v.(string)
			if want == isTexts {
				is = isList && !slices.ContainsFunc(list, func(x any) bool { _, ok := x.(string); return !ok })
			}
			if !is {
				errs = append(errs, fmt.Errorf("%s: want %s", at, want))
			}
		}
	}
	return errors.Join(errs...)
}

// canonSecurity: flags of the system are no part of it, the order of names means nothing, and what is empty is not there.
func canonSecurity(_ string, body Body) Body {
	for _, name := range flagsOfTheSystem {
		delete(body, name)
	}
	return tidy(body).(map[string]any) //nolint:errcheck,forcetypeassert // as it was
}

func tidy(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			x = tidy(x)
			switch e := x.(type) {
			case nil:
				delete(v, k)
				continue
			case string:
				if e == "" && (k == "description" || k == "dls") {
					delete(v, k)
					continue
				}
			case []any:
				if len(e) == 0 {
					delete(v, k)
					continue
				}
			}
			v[k] = x
		}
		return v
	case []any:
		for i, x := range v {
			v[i] = tidy(x)
		}
		return sorted(v)
	}
	return v
}

// putSecurity sends a role, a mapping and the like without what the plugin refuses: its own flags, and nothing at all. empty is what
// it needs at least.
func putSecurity(path string, empty Body) func(context.Context, *Target, string, Body, *Live) error {
	return func(ctx context.Context, t *Target, name string, body Body, live *Live) error {
		body = canonSecurity(name, clone(body))
		for k, v := range empty {
			if body[k] == nil {
				body[k] = v
			}
		}
		_, err := call(ctx, t.Search, http.MethodPut, at(path, name), body)
		if isMissing(err) && live == nil {
			err = fmt.Errorf("%w: either it is there and hidden, so that only the administrator's certificate may see it, or what it is for is not there", err)
		}
		return err
	}
}

// roleless says why a mapping cannot be made: the plugin refuses one of a role that there is not. "": it can.
func (o *Observed) roleless(name string, d *Desired) string {
	role := Key{Roles, name}
	if d.Objects[role] != nil || o.live[Roles] == nil || o.live[Roles][name] != nil {
		return ""
	}
	return fmt.Sprintf("it maps the role of its name, and there is none: declare %s, or call the mapping as the role is called", role)
}

// unmapped says of a role's deletion that its mapping stays.
func (ch *Change) unmapped(d *Desired, o *Observed) {
	mapping := Key{RoleMappings, ch.Name}
	goesToo := d.Objects[mapping] == nil && o.Records[mapping] != nil && o.Records[mapping].ownedBy(d)
	if ch.Kind == Roles && ch.Action == Delete && o.live[RoleMappings][ch.Name] != nil && !goesToo {
		ch.Effects = append(ch.Effects, "the mapping of its name stays, and gives nothing to anybody")
	}
}
