package graft

import (
	"crypto/subtle"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/narudata/naru/blob"
)

// Handler serves a view to OpenSearch's `url` repositories: GET and HEAD of its blobs below /, or below /token/ if token is not
// empty, as a repository can send no header. Nothing is written anywhere.
func Handler(v *View, token string, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if token != "" {
			given, rest, _ := strings.Cut(name, "/")
			if subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
				http.NotFound(w, r)
				return
			}
			name = rest
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the repository is read-only", http.StatusMethodNotAllowed)
			return
		}
		serve(w, r, v, name, log)
	})
}

func serve(w http.ResponseWriter, r *http.Request, v *View, name string, log *slog.Logger) {
	fail := func(err error) {
		switch {
		case r.Context().Err() != nil:
		case errors.Is(err, fs.ErrNotExist):
			http.NotFound(w, r)
		default:
			log.Error("blob cannot be served", "blob", name, "err", err)
			http.Error(w, "the blob cannot be read; naru's log says why", http.StatusInternalServerError)
		}
	}
	if !fs.ValidPath(name) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	if !isData(name) {
		b, err := v.metadata(r.Context(), name)
		if err != nil {
			fail(err)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(b) //nolint:errcheck,gosec // whoever asked went away; bytes, said to be application/octet-stream
		}
		return
	}
	size, err := v.size(r.Context(), name)
	if err != nil {
		fail(err)
		return
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		return
	}
	store := blob.InOrder(v.plan.repo.Store)
	defer func() { _ = store.Close() }() //nolint:errcheck // it was only read
	body, err := store.Open(r.Context(), name, 0, -1)
	if err != nil {
		fail(err)
		return
	}
	defer func() { _ = body.Close() }() //nolint:errcheck // it was only read
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	// A body that is shorter than it was said to be has the server close the connection: the reader notices.
	if n, err := io.Copy(w, body); (err != nil || n != size) && r.Context().Err() == nil {
		log.Error("serving a blob broke off", "blob", name, "bytes", n, "of", size, "err", err)
	}
}
