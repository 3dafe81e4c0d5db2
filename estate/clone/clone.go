// Package clone makes an environment a small copy of another one: its structure in full (component and index templates,
// ingest pipelines, ISM policies, and the indices and data streams with their mappings, settings and aliases), of its
// documents a sample that belongs together, with fields masked, within a budget.
//
// A clone is told by a Record in the other cluster's estate.RecordIndex, which is written before anything else: what was
// asked for, which indices it makes, when it ends. Each index that it makes bears the clone's id in its mapping's _meta; an
// index without it is never written to, nor deleted. NewPlan says what would be done; Begin makes the structure, the flow of
// Plan.Flow carries the documents, Finish ends it. Each of them may be cut short at any place and called again. Remove takes
// all of it away, and nothing else.
package clone

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/document"
	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/flow/stage"
)

// A Side is one of the two environments.
type Side struct {
	*estate.Desired
	*estate.Target
}

// Options say what a clone is to be.
type Options struct {
	Indices  flow.Patterns // of the other environment's indices and data streams; none: all that are not hidden
	Rate     stage.Rate    // of its documents; 0: as many as the budget lets
	By       string        // a field whose values are in the sample or not, whole; "": documents are, by their ids
	Mask     []string      // paths of fields, as stage.Mask takes them
	KeyFile  string        // with the key of the masks; "": it is in stage.MaskKeyEnv
	Budget   int64         // bytes of all copies that the clone may take on the disks; 0: no bound
	TTL      time.Duration // after which it is to vanish; 0: it stays
	Prefix   string        // of the names of its indices and aliases; then there are no templates, policies and pipelines
	Replicas int           // of its indices; -1: as many as the others have
}

// Declared adds what the environment's own directory says of clones: its sampling where the options have no rate, and in any
// case all of its masking.
func (o *Options) Declared(d *estate.Desired) {
	if s := d.Sampling; s != nil && o.Rate == 0 {
		o.Rate, o.By = s.Rate, cmp.Or(o.By, s.By)
	}
	if m := d.Masking; m != nil {
		for _, field := range m.Fields {
			if !slices.Contains(o.Mask, field) {
				o.Mask = append(o.Mask, field)
			}
		}
		o.KeyFile = cmp.Or(o.KeyFile, m.KeyFile)
	}
}

// Validate says what is wrong with the options by themselves.
func (o *Options) Validate() error {
	var errs []error
	if err := o.Indices.Validate(); err != nil {
		errs = append(errs, err)
	}
	if o.Rate == 0 && o.Budget == 0 {
		errs = append(errs, errors.New("neither a sample nor a budget: say how much is to be cloned, like --sample 1% or --budget 50GiB"))
	}
	if o.Rate != 0 {
		s := stage.Sample{Rate: o.Rate, By: o.By}
		errs = append(errs, s.Validate())
	}
	if len(o.Mask) > 0 {
		_, err := document.ParsePaths(o.Mask)
		errs = append(errs, err)
	} else if o.KeyFile != "" {
		errs = append(errs, errors.New("a key is of use only with fields to mask"))
	}
	const least = time.Minute
	if o.TTL != 0 && o.TTL < least {
		errs = append(errs, fmt.Errorf("a clone that vanishes after %s: want at least %s", o.TTL, least))
	}
	if o.Budget < 0 {
		errs = append(errs, fmt.Errorf("a budget of %d bytes: want more than 0", o.Budget))
	}
	if p := o.Prefix; p != "" && (p != strings.ToLower(p) || strings.ContainsAny(p, `\/*?"<>| ,#:`) || strings.ContainsRune("-_+.", rune(p[0]))) {
		errs = append(errs, fmt.Errorf("prefix %q: want what names of indices begin with: lower case, no - _ + . at the beginning, none of \\ / * ? \" < > | , # : and spaces", p))
	}
	return errors.Join(errs...)
}

// Passwords are those variables of the process's environment from which two clusters have two names and passwords:
// NARU_USERNAME_ENV and NARU_PASSWORD_ENV, with ENV in upper case and _ for what is neither letter nor digit.
func Passwords(environment string) (username, password string) {
	suffix := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, environment)
	return "NARU_USERNAME_" + suffix, "NARU_PASSWORD_" + suffix
}

// Authorize has the environment's cluster be asked with the name and password that are for it alone, if there are such and
// its configuration says nothing of the kind.
func Authorize(d *estate.Desired, getenv func(string) string) {
	auth := &d.Target.Auth
	if auth.SigV4 != "" {
		return
	}
	username, password := Passwords(d.Environment)
	if auth.Username == "" {
		auth.Username = getenv(username)
	}
	if auth.PasswordFile == "" && auth.PasswordEnv == "" && getenv(password) != "" {
		auth.PasswordEnv = password
	}
}

// A Cluster is one of the two clusters.
type Cluster struct {
	Name string `json:"name"`
	UUID string `json:"uuid"`
}

func clusterOf(c *opensearch.Client) Cluster { return Cluster{c.Info().Name, c.Info().UUID} }
