package osfake

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// What ISM does with indices: it gives them policies, as add, remove and change_policy say, and explains what they have. It
// runs none: a managed index stays in the state that a test puts it in (Server.SetISMState), and what is due by a policy's
// ages is not done.

// managed is an index under a policy: the version of it that it came under, and the state it is in.
type managed struct {
	policy      string
	seqNo, term int64
	state       string
	change      object // what change_policy asked for; nil: nothing
}

const policySetting = "index.plugins.index_state_management.policy_id"

func ismRoutes() []route {
	ism := with(IndexManagement)
	return []route{
		{"POST", "/_plugins/_ism/add/{index}", "ism_add", " type", openSearchOnly, ism((*Server).addISM)},
		{"POST", "/_plugins/_ism/remove/{index}", "ism_remove", " type", openSearchOnly, ism((*Server).removeISM)},
		{"POST", "/_plugins/_ism/change_policy/{index}", "ism_change", " type", openSearchOnly, ism((*Server).changeISM)},
	}
}

// managedAs is what an index is under; nil: nothing. One that has a policy among its settings came under it when it was made.
func (s *Server) managedAs(ix *index) *managed {
	if m := s.managed[ix.uuid]; m != nil {
		return m
	}
	id := ix.setting(policySetting)
	if id == "" {
		return nil
	}
	m := &managed{policy: id}
	if p := s.policies("policy")[id]; p != nil {
		m.seqNo, m.term, m.state = p.seqNo, p.term, scalar(p.body.get("default_state"))
	}
	s.manage(ix, m)
	return m
}

func (s *Server) manage(ix *index, m *managed) {
	if s.managed == nil {
		s.managed = map[string]*managed{}
	}
	s.managed[ix.uuid] = m
}

// SetISMState has an index be in that state of its policy, as if the plugin had brought it there, with what change_policy
// asked for done.
func (s *Server) SetISMState(index, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.managedAs(s.indices[index]); m != nil {
		m.state, m.change = state, nil
	}
}

// ISMPolicy is the policy that manages an index, and the version (_seq_no) of it that the index has.
func (s *Server) ISMPolicy(index string) (policy string, seqNo int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ix := s.indices[index]; ix != nil {
		if m := s.managedAs(ix); m != nil {
			return m.policy, m.seqNo
		}
	}
	return "", 0
}

// toEach does something to each index that the call names, and answers with those that it did not do it to.
func (s *Server) toEach(c *call, do func(ix *index) (why string)) (int, any, *apiError) {
	found, err := s.named(c.param("index"), c)
	if err != nil {
		return 0, nil, err
	}
	failed, n := []any{}, 0
	for _, ix := range found {
		if why := do(ix); why != "" {
			failed = append(failed, object{{"index_name", ix.name}, {"index_uuid", ix.uuid}, {"reason", why}})
			continue
		}
		n++
	}
	return http.StatusOK, object{{"updated_indices", n}, {"failures", len(failed) > 0}, {"failed_indices", failed}}, nil
}

// wantedPolicy is the policy that a body names.
func (s *Server) wantedPolicy(c *call) (id string, p *policy, body object, err *apiError) {
	body, err = s.body(c)
	if err != nil {
		return "", nil, nil, err
	}
	if id = scalar(body.get("policy_id")); id == "" {
		return "", nil, nil, illegal("Missing policy_id")
	}
	if p = s.policies("policy")[id]; p == nil {
		return "", nil, nil, &apiError{status: http.StatusNotFound, typ: "status_exception", reason: "Could not find policy=" + id}
	}
	return id, p, body, nil
}

func (s *Server) addISM(c *call) (int, any, *apiError) {
	id, p, _, err := s.wantedPolicy(c)
	if err != nil {
		return 0, nil, err
	}
	return s.toEach(c, func(ix *index) string {
		if s.managedAs(ix) != nil {
			return "This index already has a policy, use the update policy API to update index policies"
		}
		s.manage(ix, &managed{policy: id, seqNo: p.seqNo, term: p.term, state: scalar(p.body.get("default_state"))})
		return ""
	})
}

func (s *Server) removeISM(c *call) (int, any, *apiError) {
	return s.toEach(c, func(ix *index) string {
		if s.managedAs(ix) == nil {
			return "This index does not have a policy to remove"
		}
		delete(s.managed, ix.uuid)
		delete(ix.settings, policySetting)
		return ""
	})
}

// changeISM has managed indices go on with another policy, or another version of theirs. The plugin does it with its next
// run; the fake does it at once.
func (s *Server) changeISM(c *call) (int, any, *apiError) {
	id, p, body, err := s.wantedPolicy(c)
	if err != nil {
		return 0, nil, err
	}
	var states []string
	list, _ := p.body.get("states").([]any)
	for _, x := range list {
		state, _ := x.(object)
		states = append(states, scalar(state.get("name")))
	}
	to := scalar(body.get("state"))
	if to != "" && !slices.Contains(states, to) {
		return 0, nil, illegal("Cannot ChangePolicy to state=[%s] that does not exist in policy=%s", to, id)
	}
	var from []string
	include, _ := body.get("include").([]any)
	for _, x := range include {
		filter, _ := x.(object)
		from = append(from, scalar(filter.get("state")))
	}
	return s.toEach(c, func(ix *index) string {
		m := s.managedAs(ix)
		if m == nil {
			return "This index is not being managed"
		}
		if len(from) > 0 && !slices.Contains(from, m.state) {
			return "This managed index is not in one of the states that were asked for"
		}
		m.policy, m.seqNo, m.term, m.change = id, p.seqNo, p.term, body
		if to != "" {
			m.state = to
		}
		return ""
	})
}

// explainISM says which indices have a policy, and where they are in it.
func (s *Server) explainISM(c *call) (int, any, *apiError) {
	answer, n := object{}, 0
	for _, name := range slices.Sorted(maps.Keys(s.indices)) {
		ix := s.indices[name]
		m := s.managedAs(ix)
		if m == nil || !slices.ContainsFunc(strings.Split(c.param("target"), ","), func(p string) bool { return matches(p, name) }) {
			continue
		}
		n++
		entry := object{{policySetting, m.policy}, {"index", name}, {"index_uuid", ix.uuid}, {"policy_id", m.policy}}
		if m.term > 0 {
			entry = append(entry, field{"policy_seq_no", m.seqNo}, field{"policy_primary_term", m.term}, field{"state", object{{"name", m.state}, {"start_time", time.Now().UnixMilli()}}})
		}
		answer = append(answer, field{name, append(entry, field{"enabled", true})})
	}
	return http.StatusOK, append(answer, field{"total_managed_indices", n}), nil
}
