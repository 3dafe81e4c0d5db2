package flow

import (
	"errors"
	"fmt"
)

// What a Ledger says about a part.
var (
	ErrTaken = errors.New("another worker has the part")
	ErrDone  = errors.New("the part is done")
	ErrLost  = errors.New("another worker has taken the part over")
)

type permanent struct{ err error }

func (p permanent) Error() string { return p.err.Error() }
func (p permanent) Unwrap() error { return p.err }

// Permanent marks an error that trying again cannot mend. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether err is marked by Permanent.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

type fatal struct{ err error }

func (f fatal) Error() string { return f.err.Error() }
func (f fatal) Unwrap() error { return f.err }

// Fatal marks an error of a source that every other part would meet too, and that trying again cannot mend: access
// is denied, credentials have expired. The flow stops with it, and the next run goes on. Fatal(nil) is nil.
func Fatal(err error) error {
	if err == nil {
		return nil
	}
	return fatal{err}
}

// IsFatal reports whether err is marked by Fatal.
func IsFatal(err error) bool {
	var f fatal
	return errors.As(err, &f)
}

// final reports that trying again is of no use: the error is permanent, or an answer of the ledger's.
func final(err error) bool {
	return IsPermanent(err) || errors.Is(err, ErrTaken) || errors.Is(err, ErrDone) || errors.Is(err, ErrLost)
}

// ErrThere says of a record that the sink has it already, as from an earlier run: it counts as delivered.
var ErrThere = errors.New("already there")

// Failures says which records of a Write failed, by index in its slice; all others are safe.
type Failures []Failure

// A Failure is one record's.
type Failure struct {
	Index int
	Err   error // Permanent: a dead letter; ErrThere: delivered before; else tried again
}

func (f Failures) Error() string {
	if len(f) == 0 {
		return "no failures"
	}
	return fmt.Sprintf("%d records failed, the first: %v", len(f), f[0].Err)
}
