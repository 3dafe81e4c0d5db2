package osfake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A task is an _update_by_query that runs while its caller does something else. It is done when it has been looked at often
// enough.
type task struct {
	id        int
	index     string
	began     time.Time
	indices   []*index
	query     func(ix *index, v *version) bool
	looks     int // left
	total     int
	cancelled bool
	response  object // nil while it runs
}

// SetTaskLooks says how often a task must be looked at before it is done; 0: it is when it is first looked at.
func (s *Server) SetTaskLooks(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taskLooks = n
}

func (s *Server) updateByQuery(c *call) (int, any, *apiError) {
	body, err := s.body(c)
	if err != nil {
		return 0, nil, err
	}
	t := &task{index: c.param("index"), began: time.Now(), query: func(*index, *version) bool { return true }, looks: s.taskLooks}
	for _, f := range body {
		if f.name != "query" {
			return 0, nil, illegal("the fake knows only queries of _update_by_query, not [%s]", f.name)
		}
		if t.query, err = s.query(f.value); err != nil {
			return 0, nil, err
		}
	}
	if t.indices, err = s.named(t.index, c); err != nil {
		return 0, nil, err
	}
	for _, ix := range t.indices {
		if ix.closed {
			return 0, nil, ix.closedError()
		}
		for _, sh := range ix.shards {
			for _, v := range sh.visible() {
				if t.query(ix, v) {
					t.total++
				}
			}
		}
	}
	if c.query.Get("wait_for_completion") != "false" {
		s.finish(t)
		return http.StatusOK, t.response, nil
	}
	s.serial++
	t.id = s.serial
	name := fmt.Sprintf("%s:%d", nodeID, t.id)
	s.tasks[name] = t
	return http.StatusOK, object{{"task", name}}, nil
}

// finish indexes what a task has found again, each out of its source; a cancelled one half of it.
func (s *Server) finish(t *task) {
	updated, failures := 0, []any{}
	for _, ix := range t.indices {
		for _, sh := range ix.shards {
			for _, v := range sh.visible() {
				if !t.query(ix, v) || t.cancelled && updated >= t.total/2 {
					continue
				}
				out := s.apply(&op{kind: "index", index: ix.name, id: v.id, hasID: true, routing: v.routing, source: v.source, version: matchAny, seqNo: unset})
				if out.err != nil {
					failures = append(failures, object{{"index", ix.name}, {"id", v.id}, {"cause", out.err.cause()}, {"status", out.err.status}})
					continue
				}
				updated++
			}
		}
		ix.refresh()
	}
	t.response = append(object{{"took", time.Since(t.began).Milliseconds()}, {"timed_out", false}}, t.counts(updated)...)
	t.response = append(t.response, field{"failures", failures})
}

func (t *task) counts(updated int) object {
	o := object{
		{"total", t.total}, {"updated", updated}, {"created", 0}, {"deleted", 0}, {"batches", 1}, {"version_conflicts", 0}, {"noops", 0},
		{"retries", object{{"bulk", 0}, {"search", 0}}}, {"throttled_millis", 0}, {"requests_per_second", -1.0},
	}
	if t.cancelled {
		o = append(o, field{"canceled", "by user request"})
	}
	return append(o, field{"throttled_until_millis", 0})
}

func (s *Server) findTask(name string) (*task, *apiError) {
	if t := s.tasks[name]; t != nil {
		return t, nil
	}
	stored := slices.ContainsFunc(slices.Collect(maps.Values(s.tasks)), func(t *task) bool { return t.response != nil })
	missing := &apiError{typ: "resource_not_found_exception", reason: "task [" + name + "] isn't running and hasn't stored its results"}
	e := &apiError{status: http.StatusNotFound, typ: missing.typ, reason: missing.reason, root: missing}
	if !stored { // there is no index for results yet
		e.root = noSuchIndex(".tasks", "index_expression")
		missing.causedBy = &apiError{typ: e.root.typ, reason: e.root.reason, extra: e.root.extra.without("index_uuid")}
		e.root.extra = missing.causedBy.extra
	}
	if node, _, _ := strings.Cut(name, ":"); node != nodeID {
		e.reason, e.causedBy = "task ["+name+"] belongs to the node ["+node+"] which isn't part of the cluster and there is no record of the task", missing
	}
	return nil, e
}

func (t *task) object(updated int) object {
	return object{
		{"node", nodeID}, {"id", t.id}, {"type", "transport"}, {"action", "indices:data/write/update/byquery"}, {"status", t.counts(updated)},
		{"description", "update-by-query [" + t.index + "]"}, {"start_time_in_millis", t.began.UnixMilli()}, {"running_time_in_nanos", time.Since(t.began).Nanoseconds()},
		{"cancellable", true}, {"cancelled", t.cancelled}, {"headers", object{}},
	}
}

func (s *Server) getTask(c *call) (int, any, *apiError) {
	t, err := s.findTask(c.param("task"))
	if err != nil {
		return 0, nil, err
	}
	if t.looks > 0 && t.response == nil {
		t.looks--
		return http.StatusOK, object{{"completed", false}, {"task", t.object(0)}}, nil
	}
	if t.response == nil {
		s.finish(t)
	}
	updated, _ := t.response.get("updated").(int)
	return http.StatusOK, object{{"completed", true}, {"task", t.object(updated)}, {"response", t.response}}, nil
}

func (s *Server) cancelTask(c *call) (int, any, *apiError) {
	t, err := s.findTask(c.param("task"))
	if err != nil {
		return 0, nil, err
	}
	if t.response == nil {
		t.cancelled = true
		s.finish(t)
	}
	o := t.object(0).without("status").without("description")
	return http.StatusOK, object{{"nodes", object{{nodeID, object{{"name", "fake"}, {"roles", []string{"data", "ingest"}}, {"tasks", object{{c.param("task"), o}}}}}}}}, nil
}
