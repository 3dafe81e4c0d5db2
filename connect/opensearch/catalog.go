package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/narudata/naru/flow"
)

// A catalogued index is one that the cluster has.
type catalogued struct {
	name, uuid string
	stream     string   // the data stream that it is a backing index of
	aliases    []string // if asked for
	shards     int
	replicas   int
	window     int // most hits of an answer
	hidden     bool
	closed     bool
	frozen     bool
	red        bool
	documents  int64 // of Lucene, nested ones too, when last refreshed; an estimate
	bytes      int64 // of its primary shards
}

// why says why an index cannot be read; "": it can.
func (x *catalogued) why() string {
	switch {
	case x.closed:
		return "the index is closed: open it (POST /" + x.name + "/_open) or leave it out"
	case x.frozen:
		return "the index is frozen: unfreeze it (POST /" + x.name + "/_unfreeze) or leave it out"
	}
	return ""
}

// catalog lists the indices of the cluster by name, at least those that the patterns choose. How they do is for measure to find
// out. Who may see all is asked about all; who may not (some), about those that the patterns can mean.
func (c *Client) catalog(ctx context.Context, aliases bool, patterns flow.Patterns) (list []catalogued, some bool, err error) {
	type settingsOf struct {
		Settings map[string]any `json:"settings"`
	}
	var settings map[string]settingsOf
	const query = "/_settings?flat_settings=true&expand_wildcards=all"
	err = c.JSON(ctx, http.MethodGet, query, nil, &settings)
	if statusOf(err) == http.StatusForbidden {
		globs := expressions(patterns)
		if len(globs) == 0 {
			err = fmt.Errorf("%w; or choose indices that this user may read by name or pattern", err)
		} else {
			some, err, settings = true, nil, map[string]settingsOf{}
		}
		for path := range joined(globs) {
			var more map[string]settingsOf
			if err = c.JSON(ctx, http.MethodGet, path+query+"&ignore_unavailable=true", nil, &more); err != nil && statusOf(err) != http.StatusNotFound {
				break
			}
			err = nil
			maps.Copy(settings, more)
		}
	}
	if err != nil {
		return nil, some, fmt.Errorf("list the indices of %s: %w", c, err)
	}
	all := map[string]*catalogued{}
	for name, s := range settings {
		get := func(key string) string {
			text, _ := s.Settings["index."+key].(string)
			return text
		}
		number := func(key string, otherwise int) int {
			if n, err := strconv.Atoi(get(key)); err == nil && n >= 0 {
				return n
			}
			return otherwise
		}
		all[name] = &catalogued{
			name: name, uuid: get("uuid"), shards: number("number_of_shards", 1), replicas: number("number_of_replicas", 0),
			window: min(max(number("max_result_window", 10_000), 1), 10_000),
			hidden: get("hidden") == "true" || strings.HasPrefix(name, "."),
			closed: get("verified_before_close") == "true", frozen: get("frozen") == "true",
		}
	}
	if err := c.catalogStreams(ctx, all); err != nil {
		return nil, some, err
	}
	if aliases {
		if err := c.catalogAliases(ctx, all, some); err != nil {
			return nil, some, err
		}
	}
	list = make([]catalogued, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[name])
	}
	return list, some, nil
}

// expressions are the patterns as a cluster takes them, for all that they can choose; none: it cannot be said that way.
func expressions(patterns flow.Patterns) []string {
	var all []string
	for i, pattern := range patterns {
		glob, exclude := cutExclusion(pattern)
		switch {
		case exclude && glob == "*": // what comes after it is added to nothing
			all = nil
		case exclude && i == 0: // all but these
			return nil
		case exclude:
		default:
			glob = strings.ReplaceAll(glob, `\[`, "\x00")
			if strings.ContainsAny(glob, `[\`) {
				return nil
			}
			all = append(all, strings.NewReplacer("?", "*", "\x00", "[").Replace(glob))
		}
	}
	return all
}

// joined gives paths with the names or expressions, as many in each as a request's line has room for: 4096 bytes, of which some are
// for the rest.
func joined(names []string) iter.Seq[string] {
	const room = 3000
	return func(yield func(string) bool) {
		path := ""
		for _, name := range names {
			name = url.PathEscape(name)
			if path != "" && len(path)+len(name) >= room {
				if !yield(path) {
					return
				}
				path = ""
			}
			path += map[bool]string{true: "/", false: ","}[path == ""] + name
		}
		if path != "" {
			yield(path)
		}
	}
}

// measure notes which of the listed indices are closed or red, and their sizes. Where the user may see only some, it asks about no
// others.
func (c *Client) measure(ctx context.Context, list []catalogued, some bool) error {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].name
	}
	paths := joined(names)
	if !some {
		paths = slices.Values([]string{""})
	}
	for path := range paths {
		if err := c.measureAt(ctx, list, path); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) measureAt(ctx context.Context, list []catalogued, path string) error {
	var rows []struct {
		Index, Status, Health string
		Docs                  *string `json:"docs.count"`
		Bytes                 *string `json:"pri.store.size"`
	}
	columns := "/_cat/indices" + path + "?format=json&bytes=b&h=index,status,health,docs.count,pri.store.size"
	err := c.JSON(ctx, http.MethodGet, columns+"&expand_wildcards=all", nil, &rows)
	if statusOf(err) == http.StatusBadRequest { // before 7.7 there was nothing to expand
		err = c.JSON(ctx, http.MethodGet, columns, nil, &rows)
	}
	if err != nil {
		return fmt.Errorf("sizes of the indices of %s: %w", c, err)
	}
	for _, r := range rows {
		i, ok := slices.BinarySearchFunc(list, r.Index, func(x catalogued, name string) int { return strings.Compare(x.name, name) })
		if !ok {
			continue
		}
		x := &list[i]
		x.closed = x.closed || r.Status == "close"
		x.red = r.Health == "red"
		x.documents, x.bytes = count(r.Docs), count(r.Bytes)
	}
	return nil
}

func count(text *string) int64 {
	if text == nil {
		return 0
	}
	n, err := strconv.ParseInt(*text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// catalogStreams notes which indices are behind data streams; these are hidden by name only.
func (c *Client) catalogStreams(ctx context.Context, all map[string]*catalogued) error {
	var answer struct {
		Streams []struct {
			Name    string
			Hidden  bool
			Indices []struct {
				Name string `json:"index_name"`
			}
		} `json:"data_streams"`
	}
	err := c.JSON(ctx, http.MethodGet, "/_data_stream", nil, &answer)
	if s, ok := errors.AsType[*StatusError](err); ok && !s.Temporary() && s.Status < 500 && s.Status != http.StatusUnauthorized {
		return nil // this cluster has none, or shows none to this user
	}
	if err != nil {
		return fmt.Errorf("list the data streams of %s: %w", c, err)
	}
	for _, stream := range answer.Streams {
		for _, i := range stream.Indices {
			if x := all[i.Name]; x != nil {
				x.stream, x.hidden = stream.Name, stream.Hidden || strings.HasPrefix(stream.Name, ".")
			}
		}
	}
	return nil
}

func (c *Client) catalogAliases(ctx context.Context, all map[string]*catalogued, some bool) error {
	paths := slices.Values([]string{""})
	if some {
		paths = joined(slices.Sorted(maps.Keys(all)))
	}
	for path := range paths {
		var answer map[string]struct {
			Aliases map[string]json.RawMessage `json:"aliases"`
		}
		if err := c.JSON(ctx, http.MethodGet, path+"/_alias", nil, &answer); err != nil {
			return fmt.Errorf("list the aliases of %s: %w", c, err)
		}
		for name, a := range answer {
			if x := all[name]; x != nil {
				x.aliases = slices.Sorted(maps.Keys(a.Aliases))
			}
		}
	}
	return nil
}

// chosen reports whether patterns choose x by its name, its data stream's, or an alias. A hidden index is chosen only
// by a pattern that is its name or begins with a dot, as its name does.
func (x *catalogued) chosen(patterns flow.Patterns) bool {
	chosen := len(patterns) == 0 && !x.hidden
	names := append([]string{x.name}, x.aliases...)
	if x.stream != "" {
		names = append(names, x.stream)
	}
	for i, pattern := range patterns {
		glob, exclude := cutExclusion(pattern)
		if i == 0 && exclude {
			chosen = !x.hidden
		}
		for _, name := range names {
			if ok, err := path.Match(glob, name); err != nil || !ok {
				continue
			}
			if exclude || !x.hidden || !isGlob(glob) || strings.HasPrefix(glob, ".") {
				chosen = !exclude
			}
		}
	}
	return chosen
}

func cutExclusion(pattern string) (glob string, exclude bool) {
	if rest, ok := strings.CutPrefix(pattern, "-"); ok {
		return rest, true
	}
	return strings.CutPrefix(pattern, "!")
}

func isGlob(pattern string) bool { return strings.ContainsAny(pattern, `*?[\`) }

// missing are the patterns that are names and name nothing.
func missing(patterns flow.Patterns, chosen []catalogued) []string {
	var names []string
	for _, pattern := range patterns {
		glob, exclude := cutExclusion(pattern)
		if exclude || isGlob(glob) || slices.ContainsFunc(chosen, func(x catalogued) bool {
			return x.name == glob || x.stream == glob || slices.Contains(x.aliases, glob)
		}) {
			continue
		}
		names = append(names, glob)
	}
	return names
}

// redShards says which shards of an index have no copy that can be read.
func (c *Client) redShards(ctx context.Context, index string) (map[int]bool, error) {
	var answer struct {
		Indices map[string]struct {
			Shards map[string]struct {
				Active bool `json:"primary_active"`
			}
		}
	}
	if err := c.JSON(ctx, http.MethodGet, "/_cluster/health/"+url.PathEscape(index)+"?level=shards", nil, &answer); err != nil {
		return nil, fmt.Errorf("shards of %s: %w", index, err)
	}
	red := map[int]bool{}
	for number, s := range answer.Indices[index].Shards {
		if n, err := strconv.Atoi(number); err == nil && !s.Active {
			red[n] = true
		}
	}
	return red, nil
}

// home gives the node of a shard's primary, so that one copy is read again and again: copies have their documents in
// different orders. "": it cannot be known.
func (c *Client) home(ctx context.Context, index string, shard int) (string, error) {
	var answer struct {
		Shards [][]struct {
			Primary bool   `json:"primary"`
			Node    string `json:"node"`
		} `json:"shards"`
	}
	err := c.JSON(ctx, http.MethodGet, fmt.Sprintf("/%s/_search_shards?preference=_shards:%d", url.PathEscape(index), shard), nil, &answer)
	if _, ok := errors.AsType[*StatusError](err); ok {
		return "", nil // this user may not ask; any copy will do
	}
	if err != nil {
		return "", err
	}
	for _, copies := range answer.Shards {
		for _, s := range copies {
			if s.Primary {
				return s.Node, nil
			}
		}
	}
	return "", nil
}
