package output

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/logstash/input"
)

// ask sends a request to a fake, and gives the answer.
func ask(t *testing.T, fake *osfake.Server, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, fake.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestOnlyWhatAShadowMadeIsRemovedAndOnlyOfThoseThatAreOver(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	config := `opensearch { hosts => ["` + fake.URL() + `"] index => "logs-%{n}" }`
	for _, role := range []*input.Role{
		{Group: "g", Hash: "v2", Shadow: true}, {Group: "g", Hash: "v3", Shadow: true}, {Group: "other", Hash: "v4", Shadow: true}, nil,
	} {
		o := inRole(t, config, role)
		s := openBulk(t, o, nil)
		for range 2 { // the second time it is there
			if err := s.Write(t.Context(), form(t, o, `{"n":1}`, `{"n":2}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Called alike, and made by others.
	for path, body := range map[string]string{
		"/shadow-v2-mine": `{}`,
		"/shadow-v2-copy": `{"mappings":{"_meta":{"naru":{"shadow":{"group":"g","hash":"v2","name":"shadow-v2-logs-1"}}}}}`, // somebody has copied one
		"/copy-of-shadow": `{"mappings":{"_meta":{"naru":{"shadow":{"group":"g","hash":"v2","name":"copy-of-shadow"}}}}}`,
		"/shadow-v2-odd":  `{"mappings":{"_meta":{"naru":"v2"}}}`,
	} {
		if status, text := ask(t, fake, http.MethodPut, path, body); status != http.StatusOK {
			t.Fatal(text)
		}
	}
	if status, text := ask(t, fake, http.MethodPut, "/_index_template/shadow-v2-mine", `{"index_patterns":["shadow-v2-mine*"]}`); status != http.StatusOK {
		t.Fatal(text)
	}
	sweeper, ok := inRole(t, config, &input.Role{Group: "g", Hash: "v5"}).(Sweeper)
	if !ok {
		t.Fatal("the output sweeps nothing")
	}
	removed, err := sweeper.Sweep(t.Context(), "g", func(hash string) bool { return hash == "v2" })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(removed)
	if d := cmp.Diff([]string{"index shadow-v2-logs-1", "index shadow-v2-logs-2", "template shadow-v2-ecs-logstash"}, removed); d != "" {
		t.Error(d)
	}
	want := []string{"copy-of-shadow", "logs-1", "logs-2", "shadow-v2-copy", "shadow-v2-mine", "shadow-v2-odd", "shadow-v3-logs-1", "shadow-v3-logs-2", "shadow-v4-logs-1", "shadow-v4-logs-2"}
	got := fake.Indices()
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, want := range map[string]int{"shadow-v2-ecs-logstash": http.StatusNotFound, "shadow-v3-ecs-logstash": http.StatusOK, "shadow-v2-mine": http.StatusOK, "ecs-logstash": http.StatusOK} {
		if status, _ := ask(t, fake, http.MethodGet, "/_index_template/"+name, ""); status != want {
			if status, _ = ask(t, fake, http.MethodGet, "/_template/"+name, ""); status != want {
				t.Errorf("the template %s: %d, want %d", name, status, want)
			}
		}
	}
	if removed, err := sweeper.Sweep(t.Context(), "g", func(hash string) bool { return hash == "v2" }); err != nil || len(removed) > 0 {
		t.Errorf("again: %q, %v", removed, err)
	}
}

func TestAShadowWritesAllTheSameWhereItMayNotMakeIndices(t *testing.T) {
	fake := osfake.Start(t, osfake.Options{})
	var log strings.Builder
	fake.SetHook(func(r *osfake.Request) osfake.Fault {
		if r.Method == http.MethodPut {
			return osfake.Fault{Status: http.StatusForbidden, Type: "security_exception", Reason: "no permissions for [indices:admin/create]"}
		}
		return osfake.Fault{}
	})
	o := inRole(t, `opensearch { hosts => ["`+fake.URL()+`"] index => "logs" manage_template => false }`, &input.Role{Group: "g", Hash: "v2", Shadow: true})
	s := openBulk(t, o, slog.New(slog.NewTextHandler(&log, nil)))
	if err := s.Write(t.Context(), form(t, o, `{"n":1}`)); err != nil {
		t.Fatal(err)
	}
	if len(fake.Documents("shadow-v2-logs")) != 1 || !strings.Contains(log.String(), "cannot be marked") {
		t.Errorf("%d documents: %s", len(fake.Documents("shadow-v2-logs")), log.String())
	}
}

func TestTheMarkOfATemplateLeavesItAsItIs(t *testing.T) {
	for _, c := range []struct {
		body       string
		composable bool
		want       string
	}{
		{`{"_meta":{"a":1},"template":{}}`, true, `{"_meta":{"a":1,"naru":{"shadow":{"group":"g","hash":"v2"}}},"template":{}}`},
		{`{"mappings":{"properties":{}}}`, false, `{"mappings":{"_meta":{"naru":{"shadow":{"group":"g","hash":"v2"}}},"properties":{}}}`},
		{`{}`, false, `{"mappings":{"_meta":{"naru":{"shadow":{"group":"g","hash":"v2"}}}}}`},
		{`{"mappings":{"doc":{"properties":{}}}}`, false, `{"mappings":{"doc":{"properties":{}}}}`},
	} {
		var body object
		if err := json.Unmarshal([]byte(c.body), &body); err != nil {
			t.Fatal(err)
		}
		shadowMark{Group: "g", Hash: "v2"}.marked(body, c.composable)
		if got, _ := json.Marshal(body); string(got) != c.want {
			t.Errorf("%s: %s, want %s", c.body, got, c.want)
		}
	}
}
