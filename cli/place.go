package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/narudata/naru/blob"
	"github.com/narudata/naru/connect"
)

// Kinds of places.
const (
	kindSnapshot = "snapshot"
	kindArchive  = "archive" // an archive that is there, in whatever format
	kindNDJSON   = "ndjson"
	kindParquet  = "parquet"
	kindCluster  = "opensearch" // of OpenSearch or Elasticsearch
)

// A place is what FROM or TO names.
type place struct {
	kind string
	path string // "-": standard output
}

func (p place) String() string { return p.kind + ":" + p.path }

// kinds are the prefixes that say a place's kind.
var kinds = []string{kindSnapshot, kindArchive, kindNDJSON, kindParquet}

// split takes a prefix like "ndjson:" or "file://" off. An empty kind: the argument does not say.
func split(arg string) (place, error) {
	if kind, path, ok := strings.Cut(arg, ":"); ok && slices.Contains(kinds, kind) {
		if strings.Contains(path, "://") {
			p, err := split(path)
			return place{kind, p.path}, err
		}
		if path == "" {
			return place{}, fmt.Errorf("%s: a path is missing after the colon", arg)
		}
		return place{kind, path}, nil
	}
	if blob.Remote(arg) {
		return place{"", arg}, nil
	}
	if isCluster(arg) {
		return place{kindCluster, arg}, nil
	}
	if before, after, ok := strings.Cut(arg, "://"); ok {
		if before != "file" {
			return place{}, fmt.Errorf("%s: naru does not know %s://; mount or copy it, and give its path", arg, before)
		}
		u, err := url.Parse(arg)
		if err != nil || after == "" || u.Host != "" && u.Host != "localhost" || u.Path == "" {
			return place{}, fmt.Errorf("%s: want file:///absolute/path", arg)
		}
		return place{"", filepath.FromSlash(u.Path)}, nil
	}
	return place{"", arg}, nil
}

// isCluster reports that arg is the address of a cluster, or of several of its nodes.
func isCluster(arg string) bool {
	return strings.HasPrefix(arg, "https://") || strings.HasPrefix(arg, "http://")
}

// sourcePlace recognises where records come from.
func sourcePlace(arg string) (place, error) {
	p, err := split(arg)
	if err != nil {
		return place{}, err
	}
	if p.kind == kindCluster {
		return p, nil
	}
	if p.path == "-" {
		return place{}, fmt.Errorf("%s: standard input is nothing that can be read twice; give a directory", arg)
	}
	if blob.Remote(p.path) {
		if p.kind == "" || p.kind == kindSnapshot {
			return place{kindSnapshot, p.path}, nil // whoever opens it says if it is none
		}
		return place{}, fmt.Errorf("%s: archives are read from directories; mount or copy it, and give its path", arg)
	}
	info, err := os.Stat(p.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return place{}, fmt.Errorf("%s: there is no such directory%s", p.path, neighbour(p.path))
	case err != nil:
		return place{}, err
	case !info.IsDir() && isYAML(p.path):
		return place{}, fmt.Errorf("%s is a file; if it describes a flow: naru run %s", p.path, p.path)
	case !info.IsDir():
		return place{}, fmt.Errorf("%s is a file; give the directory of a snapshot repository or of an archive", p.path)
	}
	if p.kind != "" {
		return p, nil
	}
	found, err := look(p.path)
	if err != nil {
		return place{}, err
	}
	if found != "" {
		return place{found, p.path}, nil
	}
	hint := ""
	if near := within(p.path); len(near) > 0 {
		hint = "\n  under it there is " + strings.Join(near, ", ") + ": give that"
	}
	return place{}, fmt.Errorf(`%s is neither a snapshot repository (no index.latest and no index-N in it) nor an archive (no manifest.json)%s
  if it is one all the same, say so: snapshot:%s or archive:%s`, p.path, hint, p.path, p.path)
}

// sinkPlace recognises where records go.
func sinkPlace(arg string) (place, error) {
	p, err := split(arg)
	if err != nil {
		return place{}, err
	}
	const ways = "ndjson:DIR, parquet:DIR, ndjson:- (standard output) or a cluster (https://…)"
	switch {
	case p.kind == kindCluster:
		return p, nil
	case p.kind == kindSnapshot:
		return place{}, fmt.Errorf("%s: naru reads snapshot repositories and does not write them; write to %s", arg, ways)
	case blob.Remote(p.path):
		return place{}, fmt.Errorf("%s: archives are written to directories; write to %s", arg, ways)
	case p.path == "-" && p.kind == kindNDJSON:
		return p, nil
	case p.path == "-":
		return place{}, fmt.Errorf("%s: only lines can go to standard output: ndjson:-", arg)
	case p.kind == kindNDJSON || p.kind == kindParquet:
		return p, nil
	}
	switch found, err := look(p.path); {
	case errors.Is(err, fs.ErrNotExist):
		return place{}, fmt.Errorf("%s: say what to write there: ndjson:%s or parquet:%s", arg, p.path, p.path)
	case err != nil:
		return place{}, err
	case found == kindArchive:
		return place{kindArchive, p.path}, nil
	case found == kindSnapshot:
		return place{}, fmt.Errorf("%s is a snapshot repository, which naru does not write; write to %s, in another directory", p.path, ways)
	}
	return place{}, fmt.Errorf("%s holds no archive yet; say what to write there: ndjson:%s or parquet:%s", arg, p.path, p.path)
}

var repositoryFile = regexp.MustCompile(`^index(\.latest|-[0-9]+)?$`)

// look says what the directory holds by the names in it; "" for something else.
func look(dir string) (kind string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == "manifest.json" && e.Type().IsRegular(), name == ".naru" && e.IsDir():
			return kindArchive, nil
		case repositoryFile.MatchString(name) && !e.IsDir():
			return kindSnapshot, nil
		}
	}
	return "", nil
}

// within names directories right under dir that would do.
func within(dir string) []string {
	entries, _ := os.ReadDir(dir)
	var out []string
	for _, e := range entries {
		sub := filepath.Join(dir, e.Name())
		if kind, err := look(sub); e.IsDir() && err == nil && kind != "" && len(out) < 3 {
			out = append(out, kind+":"+sub)
		}
	}
	return out
}

// neighbour names the last directory on the way to path that is there, and what is in it under a similar name.
func neighbour(path string) string {
	dir := filepath.Dir(filepath.Clean(path))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "; neither is there " + dir
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if near := connect.Nearest(filepath.Base(path), names); near != "" {
		return "; did you mean " + filepath.Join(dir, near) + "?"
	}
	return "; check the path"
}

func isYAML(path string) bool {
	ext := filepath.Ext(path)
	return ext == ".yaml" || ext == ".yml"
}
