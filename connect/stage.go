package connect

import (
	"fmt"
	"strings"

	"github.com/narudata/naru/flow"
)

// Open builds the stage; its String says what it does, the same in every run that does the same.
func (s *Stage) Open(getenv func(string) string) (flow.Stage, error) {
	switch {
	case s.Sample != nil:
		return s.Sample, s.Sample.Validate()
	case s.Mask != nil:
		return s.Mask.Open(getenv)
	}
	return nil, exactlyOne("", *s)
}

// OpenStages builds the stages in their order.
func OpenStages(stages []Stage, getenv func(string) string) ([]flow.Stage, error) {
	var out []flow.Stage
	for i := range stages {
		s, err := stages[i].Open(getenv)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// String says what the stage does.
func (s Stage) String() string {
	switch {
	case s.Sample != nil:
		return s.Sample.String()
	case s.Mask != nil:
		return "mask " + strings.Join(s.Mask.Fields, ",")
	}
	return ""
}

// named is a stage's own name for what it does.
func named(s flow.Stage) string {
	if n, ok := s.(fmt.Stringer); ok {
		return n.String()
	}
	return fmt.Sprintf("%T", s)
}
