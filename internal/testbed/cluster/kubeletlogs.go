package cluster

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// logs answers with what a container wrote: tailLines, limitBytes and follow as a kubelet has them, the run before with previous.
func (l *kubelet) logs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	name := r.PathValue("container") + ".log"
	if q.Get("previous") == "true" {
		name = r.PathValue("container") + ".previous.log"
	}
	f, err := os.Open(filepath.Join(l.kube.Dir, "pods", r.PathValue("namespace"), r.PathValue("pod"), name))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if n, err := strconv.Atoi(q.Get("tailLines")); err == nil {
		text = lastLines(text, n)
	}
	if n, err := strconv.Atoi(q.Get("limitBytes")); err == nil && n < len(text) {
		text = text[:n]
	}
	_, _ = w.Write(text) // the client may be gone
	for q.Get("follow") == "true" {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
		if _, err := io.Copy(w, f); err != nil {
			return
		}
	}
}

func lastLines(text []byte, n int) []byte {
	end := len(bytes.TrimSuffix(text, []byte("\n")))
	for ; n > 0 && end >= 0; n-- {
		end = bytes.LastIndexByte(text[:max(end, 0)], '\n')
	}
	if n > 0 || end < 0 {
		return text
	}
	return text[end+1:]
}
