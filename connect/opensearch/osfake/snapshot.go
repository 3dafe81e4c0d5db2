package osfake

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Snapshot is one that a repository of the fake holds.
type Snapshot struct {
	Name    string
	Indices []SnapshotIndex
	Streams map[string][]string // data streams: their indices, in order
}

// A SnapshotIndex is an index in a snapshot, and how its restore goes.
type SnapshotIndex struct {
	Name     string
	Settings map[string]string // flat; without index.number_of_shards: one shard, and no replica unless they say so
	Mappings string            // JSON; "": none
	Aliases  []string
	Docs     []Doc // their ID, Routing and Source count
	Bytes    int64 // of its files

	Refused  *Refusal       // what _restore answers instead, as if its metadata could not be read
	Looks    int            // how often the health of the index is asked for before its shards are there
	Broken   map[int]string // shards that never will be, and the innermost exception
	Homeless string         // what a decider says against each node: then no shard gets one
	Unmarked bool           // nested documents are not marked as the version expects: aggregations do not see them
}

// A repository is registered.
type repository struct {
	typ      string
	settings map[string]string
}

// restored is how an index's restore went.
type restored struct {
	repository, snapshot, index string
	looks                       int // before shards are there
	broken                      map[int]string
	homeless                    string
	bytes                       int64
	began                       time.Time
	stored                      bool // closed and opened since, or the node was started again: it came from its own disk
}

// unready says which shards of ix are not there.
func (ix *index) unready(n int) (red, waiting bool) {
	r := ix.restored
	if r == nil || r.stored {
		return false, false
	}
	return r.homeless != "" || r.broken[n] != "" && r.looks <= 0, r.looks > 0
}

// reopened has the shards of ix come from their own disk.
func (ix *index) reopened() {
	if ix.restored != nil {
		ix.restored.stored = true
	}
}

// SetSnapshots says what snapshots are where: of repositories, by their location, url or bucket. nil: there is nothing.
func (s *Server) SetSnapshots(at func(place string) []Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshots = at
}

// place is where a repository is.
func (r *repository) place() string {
	for _, name := range []string{"location", "url", "bucket"} {
		if text := r.settings[name]; text != "" {
			return strings.TrimRight(text, "/")
		}
	}
	return ""
}

func (s *Server) held(r *repository) []Snapshot {
	if s.snapshots == nil {
		return nil
	}
	return s.snapshots(r.place())
}

func noRepository(name string) *apiError {
	return &apiError{status: http.StatusNotFound, typ: "repository_missing_exception", reason: "[" + name + "] missing"}
}

func (s *Server) putRepository(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	name := c.param("repository")
	r := &repository{typ: scalar(body.get("type")), settings: map[string]string{}}
	settings, _ := body.get("settings").(object)
	for _, f := range settings {
		r.settings[f.name] = scalar(f.value)
	}
	refused := func(why string) *apiError {
		cause := &apiError{typ: "repository_exception", reason: "[" + name + "] " + why}
		return &apiError{status: http.StatusInternalServerError, typ: "repository_exception", reason: "[" + name + "] failed to create repository", causedBy: cause, root: cause}
	}
	switch {
	case body.get("type") == nil:
		return 0, nil, invalid("1: type is missing;")
	case !slices.Contains([]string{"fs", "url", "s3"}, r.typ):
		return 0, nil, &apiError{status: http.StatusInternalServerError, typ: "repository_exception", reason: "[" + name + "] repository type [" + r.typ + "] does not exist"}
	case r.typ == "fs" && strings.HasPrefix(r.place(), "/etc/"):
		return 0, nil, refused("location [" + r.place() + "] doesn't match any of the locations specified by path.repo")
	case r.typ == "url" && strings.Contains(r.place(), "forbidden"):
		return 0, nil, refused("file url [" + r.place() + "] doesn't match any of the locations specified by path.repo or repositories.url.allowed_urls")
	}
	s.repositories[name] = r
	if c.query.Get("verify") != "false" {
		if err := s.verified(name); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusOK, object{{"acknowledged", true}}, nil
}

func (s *Server) verified(name string) *apiError {
	r := s.repositories[name]
	if r == nil {
		return noRepository(name)
	}
	if r.settings["readonly"] == "true" && s.held(r) == nil {
		reason := "[" + name + "] path  is not accessible on cluster-manager node"
		return &apiError{
			status: http.StatusInternalServerError, typ: "repository_verification_exception", reason: reason,
			root: &apiError{typ: "repository_verification_exception", reason: reason}, causedBy: &apiError{typ: "no_such_file_exception", reason: r.place()},
		}
	}
	return nil
}

func (s *Server) verifyRepository(c *call) (int, any, *apiError) {
	if err := s.verified(c.param("repository")); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{{"nodes", object{{nodeID, object{{"name", "fake"}}}}}}, nil
}

func (s *Server) getRepository(c *call) (int, any, *apiError) {
	wanted, answer := c.param("repository"), object{}
	for _, name := range slices.Sorted(maps.Keys(s.repositories)) {
		if wanted != "" && wanted != "_all" && !matches(wanted, name) {
			continue
		}
		settings := object{}
		for _, k := range slices.Sorted(maps.Keys(s.repositories[name].settings)) {
			settings = append(settings, field{k, s.repositories[name].settings[k]})
		}
		answer = append(answer, field{name, object{{"type", s.repositories[name].typ}, {"settings", settings}}})
	}
	if len(answer) == 0 && wanted != "" && !strings.Contains(wanted, "*") && wanted != "_all" {
		return 0, nil, noRepository(wanted)
	}
	return http.StatusOK, answer, nil
}

func (s *Server) deleteRepository(c *call) (int, any, *apiError) {
	name := c.param("repository")
	if s.repositories[name] == nil {
		return 0, nil, noRepository(name)
	}
	delete(s.repositories, name)
	return http.StatusOK, object{{"acknowledged", true}}, nil
}

func (s *Server) getSnapshots(c *call) (int, any, *apiError) {
	repo := c.param("repository")
	r := s.repositories[repo]
	if r == nil {
		return 0, nil, noRepository(repo)
	}
	list := []any{}
	for _, wanted := range strings.Split(c.param("snapshot"), ",") {
		found := false
		for i, snap := range s.held(r) {
			if wanted != "_all" && !matches(wanted, snap.Name) {
				continue
			}
			found = true
			names := []string{}
			for _, x := range snap.Indices {
				names = append(names, x.Name)
			}
			slices.Sort(names)
			list = append(list, object{{"snapshot", snap.Name}, {"uuid", fmt.Sprintf("fakeSnapshot%010d", i)}, {"indices", names}, {"data_streams", []string{}}, {"state", "SUCCESS"}})
		}
		if !found && wanted != "_all" && !strings.Contains(wanted, "*") && c.query.Get("ignore_unavailable") != "true" {
			return 0, nil, &apiError{status: http.StatusNotFound, typ: "snapshot_missing_exception", reason: "[" + repo + ":" + wanted + "] is missing"}
		}
	}
	return http.StatusOK, object{{"snapshots", list}}, nil
}

// restore creates the indices that the body names; those whose names are taken by closed ones are replaced, as real
// clusters do.
func (s *Server) restore(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	repo, name := c.param("repository"), c.param("snapshot")
	known := []string{"indices", "ignore_unavailable", "allow_no_indices", "expand_wildcards", "partial", "include_global_state", "include_aliases", "rename_pattern", "rename_replacement", "index_settings", "ignore_index_settings"}
	for _, f := range body {
		if !slices.Contains(known, f.name) {
			return 0, nil, illegal("Unknown parameter %s", f.name)
		}
	}
	r := s.repositories[repo]
	if r == nil {
		return 0, nil, noRepository(repo)
	}
	at := slices.IndexFunc(s.held(r), func(x Snapshot) bool { return x.Name == name })
	if at < 0 {
		return 0, nil, restoreRefused(repo, name, "snapshot does not exist")
	}
	snap := s.held(r)[at]
	chosen, streams, err := snap.chosen(body)
	if err != nil {
		return 0, nil, err
	}
	overrides, _ := body.get("index_settings").(object)
	var made []*index
	for _, x := range chosen {
		if x.Refused != nil {
			return 0, nil, &apiError{status: x.Refused.Status, typ: x.Refused.Type, reason: x.Refused.Reason}
		}
		ix, err := s.restoredIndex(repo, name, &x, flatten(overrides, ""), renamed(body, x.Name))
		if err != nil {
			return 0, nil, err
		}
		made = append(made, ix)
	}
	for _, ix := range made {
		s.indices[ix.name] = ix
	}
	maps.Copy(s.streams, streams)
	return http.StatusOK, object{{"accepted", true}}, nil
}

func restoreRefused(repo, snapshot, why string) *apiError {
	return &apiError{status: http.StatusInternalServerError, typ: "snapshot_restore_exception", reason: "[" + repo + ":" + snapshot + "] " + why}
}

// chosen finds what a restore's body names, an index or a data stream; nothing: all.
func (snap *Snapshot) chosen(body object) ([]SnapshotIndex, map[string][]string, *apiError) {
	streams := map[string][]string{}
	var names []string
	for _, wanted := range listOf(body.get("indices")) {
		for part := range strings.SplitSeq(wanted, ",") {
			if indices, ok := snap.Streams[part]; ok {
				streams[part] = indices
				names = append(names, indices...)
				continue
			}
			names = append(names, part)
		}
	}
	var chosen []SnapshotIndex
	for _, name := range names {
		hit := false
		for _, x := range snap.Indices {
			if matches(name, x.Name) {
				hit = true
				chosen = append(chosen, x)
			}
		}
		if !hit {
			return nil, nil, &apiError{status: http.StatusNotFound, typ: "index_not_found_exception", reason: "no such index [" + name + "]", extra: object{{"index", name}, {"index_uuid", "_na_"}}}
		}
	}
	if len(names) == 0 {
		return snap.Indices, snap.Streams, nil
	}
	return chosen, streams, nil
}

// javaReplacement finds what is special in a replacement as Java has it: \x is x, $1 a group.
var javaReplacement = regexp.MustCompile(`\\(.)|\$(\d)|\$`)

func renamed(body object, name string) string {
	pattern, ok := body.get("rename_pattern").(string)
	if !ok {
		return name
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return name
	}
	to := javaReplacement.ReplaceAllStringFunc(scalar(body.get("rename_replacement")), func(m string) string {
		switch {
		case m == `\$`:
			return "$$"
		case strings.HasPrefix(m, `\`):
			return m[1:]
		case len(m) > 1:
			return "${" + m[1:] + "}"
		}
		return "$$"
	})
	return re.ReplaceAllString(name, to)
}

func (s *Server) restoredIndex(repo, snapshot string, x *SnapshotIndex, overrides map[string]any, name string) (*index, *apiError) {
	if err := s.nameAllowed(name); err != nil {
		return nil, err
	}
	if old := s.indices[name]; old != nil && !old.closed {
		return nil, restoreRefused(repo, snapshot, "cannot restore index ["+name+"] because an open index with same name already exists in the cluster. Either close or delete the existing index or restore the index under a different name by providing a rename pattern and replacement name")
	}
	ix := s.newIndex(name)
	ix.settings["index.number_of_replicas"] = "0"
	for k, v := range x.Settings {
		ix.settings[k] = v
	}
	for k, v := range overrides {
		if k == "index.number_of_shards" || k == "index.version.created" {
			return nil, restoreRefused(repo, snapshot, "cannot modify setting ["+k+"] on restore")
		}
		if !s.knowsSetting(k) {
			return nil, illegal("unknown setting [%s] please check that any required plugins are installed, or check the breaking changes documentation for removed settings", k)
		}
		ix.settings[k] = v
	}
	if x.Mappings != "" {
		v, err := parse([]byte(x.Mappings))
		o, ok := v.(object)
		if err != nil || !ok {
			s.tb.Errorf("osfake: mappings of %s in a snapshot: %v", x.Name, err)
		}
		if err := s.checkMappings(o); err != nil {
			return nil, restoreRefused(repo, snapshot, "cannot restore index ["+name+"] because it cannot be upgraded")
		}
		ix.mappings = o
	}
	for _, alias := range x.Aliases {
		ix.aliases[alias] = object{}
	}
	created, expands := ix.settings["index.creation_date"], ix.settings["index.auto_expand_replicas"]
	if expands == "false" {
		delete(ix.settings, "index.auto_expand_replicas")
	}
	if err := ix.open(s.version); err != nil {
		return nil, err
	}
	if created != nil {
		ix.settings["index.creation_date"] = created
	}
	if expands != nil {
		ix.settings["index.auto_expand_replicas"] = expands
	}
	if v := x.Settings["index.version.created"]; v != "" {
		ix.settings["index.version.created"] = v
	}
	for _, d := range x.Docs {
		tree, err := s.parseSource(ix, d.ID, d.Source)
		if err != nil {
			return nil, restoreRefused(repo, snapshot, err.Error())
		}
		n := ix.shardOf(d.ID, d.Routing)
		e := new(entry)
		ix.shards[n].docs[d.ID] = e
		ix.put(e, &version{id: d.ID, routing: d.Routing, shard: n, source: d.Source, tree: tree, version: 1}, ix.shards[n])
	}
	ix.refresh()
	ix.writes, ix.counted = 0, 0
	ix.unmarked = x.Unmarked
	ix.restored = &restored{
		repository: repo, snapshot: snapshot, index: x.Name, looks: x.Looks, broken: x.Broken, homeless: x.Homeless, bytes: x.Bytes, began: time.Now(),
	}
	return ix, nil
}

// recovery says how shards came to be. Those of closed indices, and those that are nowhere, are not in it.
func (s *Server) recovery(c *call) (int, any, *apiError) {
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	answer := object{}
	for _, ix := range found {
		if ix.closed {
			continue
		}
		shards := []any{}
		for n := range ix.shards {
			if red, _ := ix.unready(n); !red {
				shards = append(shards, ix.recoveryOf(n))
			}
		}
		if len(shards) > 0 {
			answer = append(answer, field{ix.name, object{{"shards", shards}}})
		}
	}
	return http.StatusOK, answer, nil
}

func (ix *index) recoveryOf(n int) object {
	typ, stage, source := "EMPTY_STORE", "DONE", object{}
	var total, done int64
	began := ix.created
	if r := ix.restored; r != nil {
		began, typ = r.began, "SNAPSHOT"
		source = object{
			{"repository", r.repository}, {"snapshot", r.snapshot}, {"version", "2.19.5"}, {"index", r.index}, {"restoreUUID", "fakeRestore" + ix.uuid}, {"isSearchableSnapshot", false},
			{"remoteStoreIndexShallowCopy", false}, {"sourceRemoteStoreRepository", nil}, {"sourceRemoteTranslogRepository", nil},
		}
		total = r.bytes / int64(len(ix.shards))
		if n == 0 {
			total += r.bytes % int64(len(ix.shards))
		}
		done = total
		if r.looks > 0 {
			stage, done = "INDEX", total/int64(r.looks+1)
		}
		if r.stored {
			typ, source, total, done = "EXISTING_STORE", object{{"bootstrap_new_history_uuid", false}}, 0, 0
		}
	}
	entry := object{{"id", n}, {"type", typ}, {"stage", stage}, {"primary", true}, {"start_time_in_millis", began.UnixMilli()}}
	if stage == "DONE" {
		entry = append(entry, field{"stop_time_in_millis", began.UnixMilli() + 1})
	}
	percent := "100.0%"
	if done < total {
		percent = strconv.FormatFloat(100*float64(done)/float64(total), 'f', 1, 64) + "%"
	}
	return append(entry,
		field{"total_time_in_millis", 1}, field{"source", source},
		field{"target", object{{"id", nodeID}, {"host", "127.0.0.1"}, {"transport_address", "127.0.0.1:9300"}, {"ip", "127.0.0.1"}, {"name", "fake"}}},
		field{"index", object{
			{"size", object{{"total_in_bytes", total}, {"reused_in_bytes", 0}, {"recovered_in_bytes", done}, {"percent", percent}}},
			{"files", object{{"total", 1}, {"reused", 0}, {"recovered", 1}, {"percent", percent}}},
			{"total_time_in_millis", 1}, {"source_throttle_time_in_millis", 0}, {"target_throttle_time_in_millis", 0},
		}},
		field{"translog", object{{"recovered", 0}, {"total", 0}, {"percent", "100.0%"}, {"total_on_start", 0}, {"total_time_in_millis", 0}}},
		field{"verify_index", object{{"check_index_time_in_millis", 0}, {"total_time_in_millis", 0}}},
	)
}

// explain says why a shard is where it is.
func (s *Server) explain(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	name := scalar(body.get("index"))
	ix := s.indices[name]
	if ix == nil {
		return 0, nil, &apiError{status: http.StatusNotFound, typ: "index_not_found_exception", reason: "no such index [" + name + "]", extra: object{{"index", name}, {"index_uuid", "_na_"}}}
	}
	n, aerr := strconv.Atoi(scalar(body.get("shard")))
	if aerr != nil || n < 0 || n >= len(ix.shards) {
		return 0, nil, illegal("No shard was specified in the explain API request")
	}
	answer := object{{"index", name}, {"shard", n}, {"primary", true}}
	red, waiting := ix.unready(n)
	switch {
	case !red && waiting:
		return http.StatusOK, append(answer, field{"current_state", "initializing"}, field{"current_node", object{{"id", nodeID}, {"name", "fake"}}}, field{"explanation", "the shard is in the process of initializing on node [fake], wait until initialization has completed"}), nil
	case !red:
		return http.StatusOK, append(answer, field{"current_state", "started"}, field{"current_node", object{{"id", nodeID}, {"name", "fake"}}}, field{"can_remain_on_current_node", "yes"}), nil
	}
	r := ix.restored
	info := object{{"reason", "NEW_INDEX_RESTORED"}, {"at", r.began.UTC().Format(time.RFC3339)}, {"details", "restore_source[" + r.repository + "/" + r.snapshot + "]"}, {"last_allocation_status", "no"}}
	details := "restore_source[" + r.repository + "/" + r.snapshot + "]"
	if why := r.broken[n]; why != "" {
		details = fmt.Sprintf("failed shard on node [%s]: failed recovery, failure RecoveryFailedException[[%s][%d]: Recovery failed on {fake}]; nested: IndexShardRecoveryException[failed recovery]; nested: IndexShardRestoreFailedException[restore failed]; nested: %s; ", nodeID, name, n, why)
		info = object{{"reason", "ALLOCATION_FAILED"}, {"at", r.began.UTC().Format(time.RFC3339)}, {"failed_allocation_attempts", 1}, {"details", details}, {"last_allocation_status", "no"}}
	}
	deciders := []any{object{{"decider", "restore_in_progress"}, {"decision", "NO"}, {"explanation", fmt.Sprintf("shard has failed to be restored from the snapshot [%s:%s/fake] because of [%s] - manually close or delete the index [%s] in order to retry to restore the snapshot again or use the reroute API to force the allocation of an empty primary shard", r.repository, r.snapshot, details, name)}}}
	if r.homeless != "" {
		deciders = append(deciders, object{{"decider", "filter"}, {"decision", "NO"}, {"explanation", r.homeless}})
	}
	return http.StatusOK, append(answer,
		field{"current_state", "unassigned"}, field{"unassigned_info", info}, field{"can_allocate", "no"},
		field{"allocate_explanation", "cannot allocate because allocation is not permitted to any of the nodes"},
		field{"node_allocation_decisions", []any{object{{"node_id", nodeID}, {"node_name", "fake"}, {"transport_address", "127.0.0.1:9300"}, {"node_decision", "no"}, {"weight_ranking", 1}, {"deciders", deciders}}}},
	), nil
}

func (s *Server) dataStreams(c *call) (int, any, *apiError) {
	wanted, list := c.param("stream"), []any{}
	for _, name := range slices.Sorted(maps.Keys(s.streams)) {
		if wanted != "" && !matches(wanted, name) {
			continue
		}
		indices := []any{}
		for _, ix := range s.streams[name] {
			if s.indices[ix] != nil {
				indices = append(indices, object{{"index_name", ix}, {"index_uuid", s.indices[ix].uuid}})
			}
		}
		list = append(list, object{{"name", name}, {"timestamp_field", object{{"name", "@timestamp"}}}, {"indices", indices}, {"generation", len(indices)}, {"status", "GREEN"}, {"template", s.templateOf(name)}})
	}
	if len(list) == 0 && wanted != "" && !strings.Contains(wanted, "*") {
		e := noSuchIndex(wanted, "index_or_alias")
		return 0, nil, e
	}
	return http.StatusOK, object{{"data_streams", list}}, nil
}

// writer is the data stream that writes to an index; "": none.
func (s *Server) writer(name string) string {
	for stream, indices := range s.streams {
		if len(indices) > 0 && indices[len(indices)-1] == name {
			return stream
		}
	}
	return ""
}
