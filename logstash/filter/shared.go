package filter

import "sync"

// Shared is what the filters of one pipeline share. The zero Shared is ready. It may be used concurrently.
type Shared struct {
	mu     sync.Mutex // guards values
	values map[string]any
}

// Of gives the value of a name, which the first that asks makes.
func (s *Shared) Of(name string, make func() any) any {
	if s == nil {
		return make()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[name]
	if !ok {
		v = make()
		if s.values == nil {
			s.values = map[string]any{}
		}
		s.values[name] = v
	}
	return v
}
