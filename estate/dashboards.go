package estate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/narudata/naru/connect/opensearch"
)

// A DashboardsTarget says where OpenSearch Dashboards is.
type DashboardsTarget struct {
	URL    string           `json:"url"`              // with its base path, like https://search.example/_dashboards
	Tenant string           `json:"tenant,omitempty"` // of the security plugin: global, private or a name; "": the user's default
	Auth   *opensearch.Auth `json:"auth,omitempty"`   // nil: that of the cluster, in env.yaml
	TLS    *opensearch.TLS  `json:"tls,omitempty"`    // nil: that of the cluster, in env.yaml
}

func (d *DashboardsTarget) target() opensearch.Target {
	t := opensearch.Target{URLs: []string{strings.TrimSuffix(d.URL, "/")}}
	if d.Auth != nil {
		t.Auth = *d.Auth
	}
	if d.TLS != nil {
		t.TLS = *d.TLS
	}
	return t
}

// Validate says what is wrong with d.
func (d *DashboardsTarget) Validate() error {
	if d.URL == "" {
		return errors.New("url is missing: like https://dashboards.example:5601")
	}
	t := d.target()
	return t.Validate()
}

// Dashboards is an OpenSearch Dashboards. Source of its calls: the saved objects API of OpenSearch Dashboards 2.
type Dashboards struct{ client *opensearch.Client }

// Connect asks whether it answers.
func (d *DashboardsTarget) Connect(ctx context.Context, getenv func(string) string) (*Dashboards, error) {
	headers := http.Header{"Osd-Xsrf": {"true"}}
	if d.Tenant != "" {
		headers.Set("securitytenant", d.Tenant)
	}
	c, err := d.target().Open(ctx, getenv, headers)
	if err != nil {
		return nil, fmt.Errorf("dashboards: %w", err)
	}
	if _, err := c.Do(ctx, opensearch.Request{Method: http.MethodGet, Path: "/api/status"}); err != nil {
		return nil, fmt.Errorf("dashboards at %s: %w", d.URL, err)
	}
	return &Dashboards{c}, nil
}

// A saved object is named TYPE/ID.

func savedKey(o map[string]any) string {
	kind, _ := o["type"].(string)
	id, _ := o["id"].(string)
	if kind == "" || id == "" {
		return ""
	}
	return kind + "/" + id
}

func savedName(key string) map[string]any {
	kind, id, _ := strings.Cut(key, "/")
	return map[string]any{"type": kind, "id": id}
}

const savedPage = 200 // objects of one request

// get gives those of the objects that are there.
func (d *Dashboards) get(ctx context.Context, keys []string) (map[string]map[string]any, error) {
	found := map[string]map[string]any{}
	for page := range slices.Chunk(keys, savedPage) {
		asked := make([]any, len(page))
		for i, key := range page {
			asked[i] = savedName(key)
		}
		b, err := d.client.Do(ctx, opensearch.Request{Method: http.MethodPost, Path: "/api/saved_objects/_bulk_get", Body: text(asked)})
		if err != nil {
			return nil, fmt.Errorf("saved objects: %w", err)
		}
		answer, err := decodeBody(b)
		if err != nil {
			return nil, fmt.Errorf("saved objects: %w", err)
		}
		list, _ := answer["saved_objects"].([]any)
		for _, x := range list {
			o, _ := x.(map[string]any)
			if e := object(o, "error"); e != nil {
				if status := whole(e["statusCode"]); status != http.StatusNotFound {
					return nil, fmt.Errorf("saved object %s: %v", savedKey(o), e["message"])
				}
				continue
			}
			if key := savedKey(o); key != "" {
				found[key] = o
			}
		}
	}
	return found, nil
}

// put imports objects, over those of the same name.
func (d *Dashboards) put(ctx context.Context, objects map[string]any) error {
	if len(objects) == 0 {
		return nil
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="naru.ndjson"`}, "Content-Type": {"application/ndjson"},
	})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		o, _ := objects[key].(map[string]any)
		line := encodeStrings(clone(o))
		maps.Copy(line, savedName(key))
		if line["references"] == nil {
			line["references"] = []any{}
		}
		if _, err := part.Write(append(text(line), '\n')); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	b, err := d.client.Do(ctx, opensearch.Request{Method: http.MethodPost, Path: "/api/saved_objects/_import?overwrite=true", Body: form.Bytes(), Type: w.FormDataContentType()})
	if err != nil {
		return err
	}
	answer, err := decodeBody(b)
	if err != nil {
		return fmt.Errorf("answer to the import: %w", err)
	}
	if answer["success"] == true {
		return nil
	}
	var errs []error
	list, _ := answer["errors"].([]any)
	for _, x := range list {
		e, _ := x.(map[string]any)
		errs = append(errs, fmt.Errorf("%s: %s", savedKey(e), importError(object(e, "error"))))
	}
	if len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%.300s", b))
	}
	return fmt.Errorf("the import failed: %w", errors.Join(errs...))
}

// importError says what the import found, in its own words.
func importError(e map[string]any) string {
	kind, _ := e["type"].(string)
	switch kind {
	case "missing_references":
		var names []string
		list, _ := e["references"].([]any)
		for _, x := range list {
			o, _ := x.(map[string]any)
			names = append(names, savedKey(o))
		}
		return "it refers to what is not there: " + strings.Join(names, ", ")
	case "unsupported_type":
		return "Dashboards has no such type of object"
	}
	if message, ok := e["message"].(string); ok {
		return message
	}
	return cmp.Or(kind, "no reason is given")
}

// remove deletes objects. One that is not there is no error.
func (d *Dashboards) remove(ctx context.Context, keys []string) error {
	for _, key := range keys {
		kind, id, _ := strings.Cut(key, "/")
		_, err := d.client.Do(ctx, opensearch.Request{Method: http.MethodDelete, Path: "/api/saved_objects/" + url.PathEscape(kind) + "/" + url.PathEscape(id)})
		if err != nil && !isMissing(err) {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}

// users names the objects of others that refer to one.
func (d *Dashboards) users(ctx context.Context, key string, own map[string]any) ([]string, error) {
	query := url.Values{"has_reference": {string(text(savedName(key)))}, "fields": {"title"}, "per_page": {"100"}}
	for _, kind := range []string{"dashboard", "visualization", "search"} {
		query.Add("type", kind)
	}
	b, err := d.client.Do(ctx, opensearch.Request{Method: http.MethodGet, Path: "/api/saved_objects/_find?" + query.Encode()})
	if err != nil {
		return nil, err
	}
	answer, err := decodeBody(b)
	if err != nil {
		return nil, err
	}
	var out []string
	list, _ := answer["saved_objects"].([]any)
	for _, x := range list {
		o, _ := x.(map[string]any)
		if k := savedKey(o); k != "" && own[k] == nil {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out, nil
}

// A bundle of saved objects is declared as a file of their export, NAME.ndjson. Its body is {"objects": {"TYPE/ID": {attributes,
// references}}}, in which a text that is JSON stands as {"$json": VALUE}, so that it is compared, and patched, by what it says.

const savedJSON = "$json"

// parseSaved reads an export: one object a line, and perhaps a summary at the end. References to variables that are declared are
// replaced, others stay as they are.
func parseSaved(file string, data []byte, vars variables) (Body, error) {
	objects := map[string]any{}
	var errs []error
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		where := fmt.Sprintf("%s:%d", file, n)
		p := jsonParser{file: file, data: line, plain: true, above: n - 1}
		p.d = json.NewDecoder(bytes.NewReader(p.data))
		p.d.UseNumber()
		v, err := p.document()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		o, _ := v.(map[string]any)
		key := savedKey(o)
		switch {
		case o == nil || key == "" && o["exportedCount"] == nil:
			errs = append(errs, fmt.Errorf("%s: want a saved object, with type, id and attributes", where))
			continue
		case key == "":
			if missing, _ := o["missingReferences"].([]any); len(missing) > 0 {
				errs = append(errs, fmt.Errorf("%s: the export lacks objects that others refer to: %s", where, text(missing)))
			}
			continue
		case objects[key] != nil:
			errs = append(errs, fmt.Errorf("%s: %s stands twice", where, key))
			continue
		}
		delete(o, "type")
		delete(o, "id")
		decodeStrings(o)
		filled, err := vars.known(o)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
			continue
		}
		objects[key] = filled
	}
	if len(objects) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: there is no saved object in it", file))
	}
	return Body{"objects": objects}, errors.Join(errs...)
}

// decodeStrings makes texts of attributes that are JSON objects or lists what they say.
func decodeStrings(o map[string]any) {
	var walk func(m map[string]any)
	walk = func(m map[string]any) {
		if _, is := m[savedJSON]; is {
			return
		}
		for name, v := range m {
			switch v := v.(type) {
			case map[string]any:
				walk(v)
			case string:
				if inner, ok := jsonText(v); ok {
					m[name] = map[string]any{savedJSON: inner}
				}
			}
		}
	}
	if attributes := object(o, "attributes"); attributes != nil {
		walk(attributes)
	}
}

// jsonText is what a text that is a JSON object or list says.
func jsonText(s string) (any, bool) {
	t := strings.TrimSpace(s)
	if t == "" || t[0] != '{' && t[0] != '[' {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(t))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return nil, false
	}
	return v, true
}

// encodeStrings is the reverse of decodeStrings.
func encodeStrings(o map[string]any) map[string]any {
	for name, v := range o {
		m, ok := v.(map[string]any)
		if !ok {
			continue
		}
		if inner, is := m[savedJSON]; is && len(m) == 1 {
			o[name] = string(text(inner))
			continue
		}
		o[name] = encodeStrings(m)
	}
	return o
}

func checkSaved(body Body) error {
	objects, ok := body["objects"].(map[string]any)
	if !ok || len(objects) == 0 || len(body) != 1 {
		return errors.New("want the lines of an export of saved objects")
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if o, _ := objects[key].(map[string]any); object(o, "attributes") == nil {
			errs = append(errs, fmt.Errorf("%s has no attributes", key))
		}
	}
	return errors.Join(errs...)
}

// checkOwners finds a saved object in two files.
func checkOwners(d *Desired) error {
	var errs []error
	seen := map[string]string{}
	for _, key := range d.keys() {
		if key.Kind != SavedObjects {
			continue
		}
		where := d.Objects[key].where()
		for _, name := range slices.Sorted(maps.Keys(object(d.Objects[key].Body, "objects"))) {
			if other, twice := seen[name]; twice {
				errs = append(errs, fmt.Errorf("%s: %s has the saved object %s too", where, other, name))
			}
			seen[name] = where
		}
	}
	return errors.Join(errs...)
}

// canonSaved leaves what Dashboards keeps for itself out: versions, times, and the fields of an index pattern but for scripted ones,
// which it reads from the mappings anew. The order of references means nothing.
func canonSaved(_ string, body Body) Body {
	for key, x := range object(body, "objects") {
		o, ok := x.(map[string]any)
		if !ok {
			continue
		}
		for name := range o {
			if name != "attributes" && name != "references" {
				delete(o, name)
			}
		}
		decodeStrings(o)
		if references, ok := o["references"].([]any); ok {
			slices.SortFunc(references, func(a, b any) int { return bytes.Compare(text(a), text(b)) })
		}
		dropEmpty(o, "references")
		attributes := object(o, "attributes")
		if strings.HasPrefix(key, "index-pattern/") {
			canonFields(attributes)
		}
		if ui := object(attributes, "uiStateJSON"); ui != nil && len(object(ui, savedJSON)) == 0 {
			delete(attributes, "uiStateJSON")
		}
	}
	return body
}

// canonFields keeps the scripted fields of an index pattern, without how often they were used.
func canonFields(attributes map[string]any) {
	list, ok := object(attributes, "fields")[savedJSON].([]any)
	if !ok {
		if s, ok := attributes["fields"].(string); ok && strings.TrimSpace(s) == "" {
			delete(attributes, "fields")
		}
		return
	}
	var scripted []any
	for _, x := range list {
		f, _ := x.(map[string]any)
		if f["scripted"] != true {
			continue
		}
		for name := range f {
			if !slices.Contains([]string{"name", "type", "script", "lang", "scripted", "customLabel"}, name) {
				delete(f, name)
			}
		}
		scripted = append(scripted, f)
	}
	if len(scripted) == 0 {
		delete(attributes, "fields")
		return
	}
	slices.SortFunc(scripted, func(a, b any) int { return bytes.Compare(text(a), text(b)) })
	attributes["fields"] = map[string]any{savedJSON: scripted}
}

func savedAmong(ctx context.Context, t *Target, wanted wants) (map[string]*Live, error) {
	keys := map[string]bool{}
	for _, bodies := range wanted {
		for _, b := range bodies {
			for key := range object(b, "objects") {
				keys[key] = true
			}
		}
	}
	found, err := t.Dashboards.get(ctx, slices.Sorted(maps.Keys(keys)))
	if err != nil {
		return nil, err
	}
	all := map[string]*Live{}
	for name := range wanted {
		all[name] = &Live{state: found}
	}
	return all, nil
}

// savedView has the objects that a body names and that are there; nil: none is.
func savedView(live *Live, bodies ...Body) *Live {
	found, _ := live.state.(map[string]map[string]any)
	objects := map[string]any{}
	for _, b := range bodies {
		for key := range object(b, "objects") {
			if o := found[key]; o != nil {
				o = clone(o)
				delete(o, "type")
				delete(o, "id")
				objects[key] = o
			}
		}
	}
	if len(objects) == 0 {
		return nil
	}
	return &Live{Body: Body{"objects": objects}, state: found}
}

// keepSaved keeps the objects whole, but for what changes by itself.
func keepSaved(live *Live) Body {
	objects := map[string]any{}
	for key, x := range object(live.Body, "objects") {
		o, _ := clone(x).(map[string]any)
		for _, name := range []string{"version", "updated_at", "created_at", "namespaces", "workspaces"} {
			delete(o, name)
		}
		objects[key] = o
	}
	return Body{"objects": objects}
}

// putSaved imports the body's objects, then deletes those that were there and are not of the body any more.
func putSaved(ctx context.Context, t *Target, _ string, body Body, live *Live) error {
	objects := object(body, "objects")
	sent := map[string]any{}
	for key, x := range objects {
		o, ok := clone(x).(map[string]any)
		if !ok {
			return fmt.Errorf("%s is no object", key)
		}
		for _, name := range []string{"version", "updated_at", "created_at", "namespaces", "workspaces", "permissions"} {
			delete(o, name)
		}
		sent[key] = o
	}
	if err := t.Dashboards.put(ctx, sent); err != nil {
		return err
	}
	return t.Dashboards.remove(ctx, savedGone(objects, live))
}

// savedGone are the objects that are there and not in objects.
func savedGone(objects map[string]any, live *Live) []string {
	var gone []string
	if live != nil {
		for _, key := range slices.Sorted(maps.Keys(object(live.Body, "objects"))) {
			if objects[key] == nil {
				gone = append(gone, key)
			}
		}
	}
	return gone
}

func removeSaved(ctx context.Context, t *Target, _ string, live *Live) error {
	return t.Dashboards.remove(ctx, savedGone(nil, live))
}

// askSaved names what would lose an object that it refers to.
func askSaved(ctx context.Context, t *Target, ch *Change, live *Live) error {
	own := object(decoded(ch.Body), "objects")
	if live != nil && ch.Action == Delete {
		own = object(live.Body, "objects")
	}
	const most = 20
	var gone []string
	if ch.Action == Delete {
		gone = savedGone(nil, live)
	} else {
		gone = savedGone(own, live)
	}
	for i, key := range gone {
		if i == most {
			ch.Effects = append(ch.Effects, fmt.Sprintf("what refers to %d more was not asked", len(gone)-most))
			break
		}
		users, err := t.Dashboards.users(ctx, key, own)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			ch.Effects = append(ch.Effects, fmt.Sprintf("%s loses %s, to which it refers", shortList(users), key))
			ch.grave = true
		}
	}
	return nil
}

func explainSaved(ch *Change) {
	for i := range ch.Fields {
		f := &ch.Fields[i]
		rest := strings.TrimPrefix(f.Path, "objects.")
		switch {
		case len(f.From) == 0 && !strings.Contains(rest, ".attributes") && !strings.Contains(rest, ".references"):
			f.Risk, f.Means = Low, "is imported"
		case len(f.To) == 0 && !strings.Contains(rest, ".attributes") && !strings.Contains(rest, ".references"):
			f.Risk, f.Means = Medium, "is deleted"
		case strings.HasPrefix(rest, "index-pattern/") && strings.HasSuffix(rest, ".attributes.title"):
			f.Risk, f.Means = Medium, "all that uses it looks at other indices"
		default:
			f.Risk = Low
		}
	}
	if ch.Action == Delete {
		ch.Risk = worse(ch.Risk, Medium)
		ch.Effects = append(ch.Effects, "its saved objects are deleted")
	}
}
