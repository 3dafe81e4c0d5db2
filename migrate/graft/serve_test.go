package graft_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/narudata/naru/migrate/graft"
)

func TestTheServedRepositoryIsTheWrittenOne(t *testing.T) {
	from := copied(t, "es717")
	p := planned(t, from, graft.Config{Snapshot: "*", Indices: []string{"logs-*", "shut"}})
	to := filepath.Join(t.TempDir(), "to")
	if _, err := p.Write(t.Context(), writerAt(t, to), graft.Options{}); err != nil {
		t.Fatal(err)
	}
	view, err := p.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const token = "0123456789abcdef"
	var log bytes.Buffer
	server := httptest.NewServer(graft.Handler(view, token, slog.New(slog.NewTextHandler(&log, nil))))
	defer server.Close()
	get := func(method, path string) (int, http.Header, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // only read
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, answer.Header, b
	}
	for name := range tree(t, to) {
		want, err := os.ReadFile(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		status, header, got := get(http.MethodGet, "/"+token+"/"+name)
		// Naru's own note is not served, nor the shards' lists of snapshots, which only writing needs.
		if name == "naru-graft.json" || strings.HasPrefix(name, "indices/") && strings.HasPrefix(filepath.Base(name), "index-") {
			if status != http.StatusNotFound {
				t.Errorf("%s: status %d", name, status)
			}
			continue
		}
		if status != http.StatusOK || !bytes.Equal(got, want) {
			t.Errorf("%s: status %d, %d bytes of %d", name, status, len(got), len(want))
		}
		if status, head, none := get(http.MethodHead, "/"+token+"/"+name); status != http.StatusOK || len(none) > 0 ||
			head.Get("Content-Length") != fmt.Sprint(len(want)) || header.Get("Content-Length") != fmt.Sprint(len(want)) {
			t.Errorf("%s, HEAD: status %d, %v", name, status, head)
		}
	}
	var notChosen string
	for name := range tree(t, from) {
		if strings.HasPrefix(filepath.Base(name), "__") && stat(t, to, name) == nil {
			notChosen = name
		}
	}
	if notChosen == "" {
		t.Fatal("every data blob is chosen")
	}
	for _, path := range []string{
		"/", "/index.latest", "/index-4", "/wrong-token-0123/index.latest", "/" + token, "/" + token + "/", "/" + token + "/../secret",
		"/" + token + "/%2e%2e/%2e%2e/etc/passwd", "/" + token + "/" + notChosen, "/" + token + "/naru-graft.json", "/" + token + "/indices/x/0/__y",
	} {
		if status, _, body := get(http.MethodGet, path); status != http.StatusNotFound {
			t.Errorf("%s: status %d, %.40q", path, status, body)
		}
	}
	if status, header, _ := get(http.MethodPost, "/"+token+"/index.latest"); status != http.StatusMethodNotAllowed || header.Get("Allow") == "" {
		t.Errorf("POST: %d", status)
	}
	if log.Len() > 0 {
		t.Errorf("logged: %s", &log)
	}
}

func TestABlobThatIsShorterThanItShouldBeIsNoWholeAnswer(t *testing.T) {
	from := copied(t, "es717")
	p := planned(t, from, graft.Config{})
	view, err := p.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	data, err := filepath.Glob(filepath.Join(from, "indices", "*", "*", "__*"))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server := httptest.NewServer(graft.Handler(view, "", slog.New(slog.NewTextHandler(&log, nil))))
	defer server.Close()
	broken := 0
	for _, path := range data {
		name, err := filepath.Rel(from, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 3); err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Get(server.URL + "/" + name) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(answer.Body); err != nil {
			broken++
		} else if answer.StatusCode == http.StatusOK {
			t.Errorf("%s came whole", name)
		}
		answer.Body.Close() //nolint:errcheck // only read
	}
	if broken == 0 || !strings.Contains(log.String(), "broke off") {
		t.Errorf("%d broke off; log: %s", broken, &log)
	}
}
