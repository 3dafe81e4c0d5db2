package deploy_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

// An example is an object in testdata, with a first line "# WANT" that says what is to be said of it.
type example struct {
	name, path, want string
	object           map[string]any
}

func examples(t *testing.T, folder string) []example {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples in testdata/%s (%v)", folder, err)
	}
	var all []example
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		want, ok := strings.CutPrefix(first, "# ")
		if !ok {
			t.Fatalf("%s does not begin with # and what is wanted", path)
		}
		e := example{name: strings.TrimSuffix(filepath.Base(path), ".yaml"), path: path, want: want}
		if err := yaml.UnmarshalStrict(text, &e.object); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, e)
	}
	return all
}

func luaFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("argocd", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// runLua runs a script on an object as Argo CD does: with the libraries package, base and table, of os only time and date, and for a
// second at most. It gives what the script returns.
func runLua(t *testing.T, script string, object map[string]any) (lua.LValue, error) {
	t.Helper()
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	t.Cleanup(l.Close)
	for name, open := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	safe := func(l *lua.LState) int {
		l.Push(l.SetFuncs(l.NewTable(), map[string]lua.LGFunction{
			"time": func(l *lua.LState) int { l.Push(lua.LNumber(time.Now().Unix())); return 1 },
			"date": func(l *lua.LState) int {
				if format := l.CheckString(1); format != "!%Y-%m-%dT%H:%M:%SZ" {
					l.RaiseError("this os.date knows one format only, and not %q", format)
				}
				l.Push(lua.LString(time.Now().UTC().Format(time.RFC3339)))
				return 1
			},
		}))
		return 1
	}
	l.PreloadModule(lua.OsLibName, safe)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	l.SetContext(ctx)
	l.SetGlobal("obj", toLua(l, object))
	if err := l.DoString(script); err != nil {
		return nil, err
	}
	return l.Get(-1), nil
}

func toLua(l *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := l.NewTable()
		for key, item := range v {
			table.RawSetString(key, toLua(l, item))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, item := range v {
			table.Append(toLua(l, item))
		}
		return table
	case string:
		return lua.LString(v)
	case float64:
		return lua.LNumber(v)
	case bool:
		return lua.LBool(v)
	default:
		return lua.LNil
	}
}

// fromLua gives a value back as JSON has it. An empty table is what like is, as Argo CD has it: Lua knows no difference between an
// empty list and an empty object.
func fromLua(value lua.LValue, like any) any {
	switch v := value.(type) {
	case *lua.LTable:
		if v.Len() == 0 {
			likes, _ := like.(map[string]any)
			object := map[string]any{}
			v.ForEach(func(key, item lua.LValue) { object[key.String()] = fromLua(item, likes[key.String()]) })
			if list, ok := like.([]any); ok && len(object) == 0 && len(list) == 0 {
				return []any{}
			}
			return object
		}
		likes, _ := like.([]any)
		var list []any
		for i := range v.Len() {
			var l any
			if i < len(likes) {
				l = likes[i]
			}
			list = append(list, fromLua(v.RawGetInt(i+1), l))
		}
		return list
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return float64(v)
	case lua.LBool:
		return bool(v)
	default:
		return nil
	}
}

func TestArgoCDIsToldHowWellEachKindIs(t *testing.T) {
	script := luaFile(t, "health.lua")
	for _, e := range examples(t, "health") {
		t.Run(e.name, func(t *testing.T) {
			value, err := runLua(t, script, e.object)
			if err != nil {
				t.Fatal(err)
			}
			health, ok := fromLua(value, nil).(map[string]any)
			if !ok {
				t.Fatalf("returned %s, want a table", value.Type())
			}
			if got := fmt.Sprint(health["status"], " ", health["message"]); got != e.want {
				t.Errorf("got  %s\nwant %s", got, e.want)
			}
		})
	}
}

// What somebody else wrote into the status, or nobody, must not end in an error: Argo CD would show the whole Application as Unknown.
func TestAnObjectOfAnyFormHasAHealth(t *testing.T) {
	script := luaFile(t, "health.lua")
	for _, text := range []string{
		`{}`,
		`{"metadata": {}}`,
		`{"metadata": {"generation": 1}, "status": {}}`,
		`{"metadata": {"generation": 1}, "spec": {}, "status": {"conditions": []}}`,
		`{"metadata": {"generation": 1, "annotations": {}}, "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}}`,
		`{"metadata": {"generation": 1}, "status": {"conditions": [{"type": "Stalled", "status": "True"}]}}`,
		`{"metadata": {"generation": 1}, "status": {"conditions": [{"type": "Other", "status": "Maybe", "message": null}]}}`,
	} {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		value, err := runLua(t, script, object)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		health, _ := fromLua(value, nil).(map[string]any)
		if !slices.Contains([]any{"Healthy", "Progressing", "Degraded", "Suspended"}, health["status"]) || health["message"] == nil {
			t.Errorf("%s: %v", text, health)
		}
	}
}

// enabled gives the names of the actions that discovery.lua offers, sorted, and of all that it knows.
func enabled(t *testing.T, object map[string]any) (on, all []string) {
	t.Helper()
	value, err := runLua(t, luaFile(t, "actions/discovery.lua"), object)
	if err != nil {
		t.Fatal(err)
	}
	actions, _ := fromLua(value, nil).(map[string]any)
	for name, a := range actions {
		all = append(all, name)
		if a.(map[string]any)["disabled"] == false {
			on = append(on, name)
		}
	}
	slices.Sort(on)
	slices.Sort(all)
	return on, all
}

func TestArgoCDOffersTheActionsThatMakeSense(t *testing.T) {
	for _, e := range examples(t, "actions") {
		t.Run(e.name, func(t *testing.T) {
			on, all := enabled(t, e.object)
			if got := strings.Join(on, " "); got != e.want {
				t.Errorf("got %s, want %s", got, e.want)
			}
			kind := e.object["kind"].(string)
			if diff := cmp.Diff(actionsOf[kind], all); diff != "" {
				t.Errorf("the actions of a %s are listed otherwise in argocd_test.go (-listed +discovered):\n%s", kind, diff)
			}
		})
	}
}

// Actions write annotations that Git does not have. Whatever else they changed, Argo CD would put back, or would be a change of the
// spec that nobody asked for.
func TestActionsChangeAnnotationsAndNothingElse(t *testing.T) {
	changes := map[string]map[string]string{
		"suspend":         {"naru.dev/suspended": "true"},
		"resume":          {"naru.dev/suspended": ""},
		"approve-cutover": {"naru.dev/approve-cutover": "true"},
		"approve-partial": {"naru.dev/approve-partial": "true"},
		"approve-delete":  {"naru.dev/approve-delete": "true"},
		"approve-plan":    {"naru.dev/approve-plan": "20261124-5f3a"},
		"reconcile":       {"naru.dev/reconcile-at": "now"},
	}
	ran := map[string]bool{}
	for _, e := range examples(t, "actions") {
		on, _ := enabled(t, e.object)
		for _, action := range on {
			t.Run(e.name+"/"+action, func(t *testing.T) {
				ran[action] = true
				value, err := runLua(t, luaFile(t, "actions/"+action+".lua"), e.object)
				if err != nil {
					t.Fatal(err)
				}
				got := fromLua(value, e.object).(map[string]any)
				want := deepCopy(t, e.object)
				annotations, _ := want["metadata"].(map[string]any)["annotations"].(map[string]any)
				if annotations == nil {
					annotations = map[string]any{}
					want["metadata"].(map[string]any)["annotations"] = annotations
				}
				for name, text := range changes[action] {
					switch text {
					case "":
						delete(annotations, name)
					case "now":
						at, _ := got["metadata"].(map[string]any)["annotations"].(map[string]any)[name].(string)
						if when, err := time.Parse(time.RFC3339, at); err != nil || math.Abs(time.Since(when).Seconds()) > 60 {
							t.Errorf("%s is %q, which is not now (%v)", name, at, err)
						}
						annotations[name] = at
					default:
						annotations[name] = text
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
	for action := range changes {
		if !ran[action] {
			t.Errorf("no example has the action %s", action)
		}
	}
}

func TestAPlanIsNotApprovedThatNobodySees(t *testing.T) {
	object := map[string]any{"kind": "Environment", "metadata": map[string]any{}, "status": map[string]any{}}
	if _, err := runLua(t, luaFile(t, "actions/approve-plan.lua"), object); err == nil || !strings.Contains(err.Error(), "no plan") {
		t.Errorf("got error %v, want one that says that there is no plan", err)
	}
}

func deepCopy(t *testing.T, object map[string]any) map[string]any {
	t.Helper()
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := yaml.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
