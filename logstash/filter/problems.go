package filter

import (
	"strings"

	"github.com/narudata/naru/logstash/option"
)

// problems are all errors of one option, so that none hides the next.
type problems []error

// Error gives them in one line.
func (p problems) Error() string {
	texts := make([]string, len(p))
	for i, err := range p {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives them.
func (p problems) Unwrap() []error { return p }

// of gives them as an error of an option; nil if there are none.
func (p problems) of(name string) error {
	switch len(p) {
	case 0:
		return nil
	case 1:
		return option.Errorf(name, "%w", p[0])
	}
	return option.Errorf(name, "%w", p)
}
