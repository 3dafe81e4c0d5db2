package connect

import (
	"context"
	"errors"

	"github.com/narudata/naru/connect/archive"
	"github.com/narudata/naru/flow"
)

// DefaultDeadLetters is where the dead letters of sinks go that have no place for them.
const DefaultDeadLetters = "naru-dead"

// DeadLetters is the source that reads dead letters, to carry them again.
type DeadLetters struct {
	Dir     string        `json:"dir" doc:"directory of a store of dead letters, of an archive, or its _dead folder"`
	Indices flow.Patterns `json:"indices,omitempty" doc:"patterns of index names, as for snapshot"`
	Reason  string        `json:"reason,omitempty" doc:"only letters with this text in their reason"`
	Letter  string        `json:"letter,omitempty" doc:"only the letter of this address, or of a record with this id"`
}

// Validate says what is missing.
func (d *DeadLetters) Validate() error {
	if d.Dir == "" {
		return errors.New("dir is missing: the directory of the dead letters")
	}
	return d.Indices.Validate()
}

// Open opens the letters that are not done.
func (d *DeadLetters) Open(context.Context) (flow.Source, func() error, error) {
	source, err := archive.OpenDead(d.Dir, archive.DeadOptions{Indices: d.Indices, Reason: d.Reason, Address: d.Letter})
	if err != nil {
		return nil, nothing, err
	}
	return source, source.Close, nil
}
