package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
)

// places are the settings that say where a repository is, as far as two of one type can differ in them.
var places = []string{"location", "url", "bucket", "base_path", "container", "path", "uri", "client", "endpoint"}

// register makes the repository known to the cluster, unless it is, and has every node look at it. A registration that
// the nodes do not take is taken back.
func (r *runner) register(ctx context.Context) error {
	if err := plainName(r.repo.Name); err != nil || r.repo.Type == "" {
		return fmt.Errorf("repository %q of type %q: it needs both, a name and a type", r.repo.Name, r.repo.Type)
	}
	path := "/_snapshot/" + url.PathEscape(r.repo.Name)
	var known map[string]struct {
		Type     string            `json:"type"`
		Settings map[string]string `json:"settings"`
	}
	err := r.get(ctx, path, &known)
	switch {
	case err == nil:
		if err := r.same(known[r.repo.Name].Type, known[r.repo.Name].Settings); err != nil {
			return err
		}
	case statusOf(err) == http.StatusNotFound:
		settings := map[string]any{"readonly": true}
		if r.o.MaxBytesPerSec > 0 {
			settings["max_restore_bytes_per_sec"] = fmt.Sprintf("%db", r.o.MaxBytesPerSec)
		}
		maps.Copy(settings, r.repo.Settings)
		body := map[string]any{"type": r.repo.Type, "settings": settings}
		// Not verified yet: a registration that is not taken would stay all the same.
		if err := r.call(ctx, http.MethodPut, path+"?verify=false", body, nil); err != nil {
			return hinted(fmt.Errorf("register the repository %s: %w", r.repo.Name, err))
		}
		r.r.Registered = true
	default:
		return fmt.Errorf("look for the repository %s: %w", r.repo.Name, err)
	}
	// Of a read-only repository every node reads what is its newest state; nothing is written.
	err = r.call(ctx, http.MethodPost, path+"/_verify", nil, nil)
	if s := statusOf(err); s == http.StatusForbidden || s == http.StatusMethodNotAllowed || s == http.StatusUnauthorized {
		r.note("it could not be asked whether every node can read the repository: %v", err)
		err = nil
	}
	if err != nil {
		return hinted(errors.Join(fmt.Errorf("the nodes cannot all read the repository %s: %w", r.repo.Name, err), r.unregister(ctx, r.r.Registered)))
	}
	return nil
}

// same refuses a registration of that name for another place.
func (r *runner) same(typ string, settings map[string]string) error {
	if typ != r.repo.Type {
		return fmt.Errorf("the cluster has a repository %s already, of type %s, not %s: give another name", r.repo.Name, typ, r.repo.Type)
	}
	for _, name := range places {
		want, told := r.repo.Settings[name]
		have, has := settings[name]
		if !told && !has || strings.TrimRight(fmt.Sprint(want), "/") == strings.TrimRight(have, "/") && told == has {
			continue
		}
		if !told && name == "client" && have == "default" || !has && name == "client" && want == "default" {
			continue
		}
		return fmt.Errorf("the cluster has a repository %s already, with %s %q, not %q: give another name", r.repo.Name, name, have, textOf(want))
	}
	if readonly, told := r.repo.Settings["readonly"]; (!told || fmt.Sprint(readonly) == "true") && settings["readonly"] != "true" && r.repo.Type != "url" {
		r.note("the repository %s is registered for writing too; nothing is written by this, but only one cluster may", r.repo.Name)
	}
	return nil
}

func textOf(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// unregister takes the repository away, if it is to; its files stay.
func (r *runner) unregister(ctx context.Context, really bool) error {
	if !really {
		return nil
	}
	if n := r.r.Count(UnderWay); n > 0 {
		r.note("the repository %s stays registered: %d restores are under way", r.repo.Name, n)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := r.call(ctx, http.MethodDelete, "/_snapshot/"+url.PathEscape(r.repo.Name), nil, nil)
	if err != nil && statusOf(err) != http.StatusNotFound {
		return fmt.Errorf("unregister the repository %s: %w", r.repo.Name, err)
	}
	r.r.Unregistered = true
	return nil
}

// hinted adds what to do to errors that people meet.
func hinted(err error) error {
	s, ok := errors.AsType[*opensearch.StatusError](err)
	if !ok {
		return err
	}
	has := func(text string) bool { return strings.Contains(s.Reason, text) }
	switch {
	case has("repositories.url.allowed_urls"):
		return fmt.Errorf("%w; allow it by repositories.url.allowed_urls in the configuration of every node, and start the nodes again", err)
	case has("path.repo"):
		return fmt.Errorf("%w; the folder must be below one of path.repo in the configuration of every node (nodes are started again for it), and mounted on each", err)
	case has("repository type [s3] does not exist"):
		return fmt.Errorf("%w; install the plugin repository-s3 on every node", err)
	case has("repository type [url] does not exist"):
		return fmt.Errorf("%w; the nodes lack the module repository-url: give the repository as a folder or bucket", err)
	case has("repository type ["):
		return fmt.Errorf("%w; the nodes lack the plugin for it", err)
	case has("is not accessible"), has("Could not determine repository generation"):
		return fmt.Errorf("%w; every node must reach it, at the same place", err)
	}
	return err
}

// snapshots gives the indices of each snapshot that units are restored out of. One that is not there is not in it.
func (r *runner) snapshots(ctx context.Context, units []*unit) (map[string][]string, error) {
	var names []string
	for _, u := range units {
		names = append(names, url.PathEscape(u.snapshot))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	held := map[string][]string{}
	for _, some := range chunked(names) {
		var answer struct {
			Snapshots []struct {
				Snapshot string   `json:"snapshot"`
				Indices  []string `json:"indices"`
			} `json:"snapshots"`
		}
		err := r.get(ctx, "/_snapshot/"+url.PathEscape(r.repo.Name)+"/"+strings.Join(some, ",")+"?verbose=false&ignore_unavailable=true", &answer)
		if err != nil {
			return nil, hinted(fmt.Errorf("snapshots of the repository %s: %w", r.repo.Name, err))
		}
		for _, s := range answer.Snapshots {
			held[s.Snapshot] = s.Indices
		}
	}
	return held, nil
}

// chunked cuts a list of names, escaped, so that each piece fits into a path: nodes take lines of 4 KiB.
func chunked(names []string) [][]string {
	const most = 3000
	var pieces [][]string
	size := most
	for _, name := range names {
		if size += len(name) + 1; size > most {
			pieces, size = append(pieces, nil), len(name)+1
		}
		pieces[len(pieces)-1] = append(pieces[len(pieces)-1], name)
	}
	return pieces
}
