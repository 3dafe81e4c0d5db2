package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/narudata/naru/flow"
	"github.com/narudata/naru/internal/termination"
	"github.com/narudata/naru/migrate/verify"
)

// leave writes for Kubernetes what the command did and how it ended, where somebody wants to know.
func (env *Env) leave(command string, e *exitError) {
	file := termination.File(env.Getenv)
	if file == "" || env.ending == nil {
		return
	}
	m := *env.ending
	m.Command, m.Exit = command, e.code
	if e.err != nil {
		m.Reason = e.err.Error()
	}
	if w, ok := errors.AsType[*wrongConfiguration](e.err); ok {
		m.Reason = w.first()
	}
	if err := m.Write(file); err != nil {
		fmt.Fprintf(env.Stderr, "%s: %v\n", command, err)
	}
}

// leaveCarry notes how a carry ended.
func (env *Env) leaveCarry(r *carryReport) {
	if env.ending == nil {
		return
	}
	t := &r.Total
	env.ending.State = r.State
	env.ending.Carry = &termination.Carry{
		Records: t.Documents, Delivered: t.Delivered, DeadLetters: t.DeadLettered, Dropped: t.Dropped, Bytes: t.Bytes,
		Parts: t.Parts, PartsDone: t.PartsDone, PartsFailed: t.PartsFailed,
	}
	if v := r.Verification; v != nil {
		env.ending.Verification = verified(v.Verified, v.Documents, v.Indices, v.Different, v.Failed)
	}
	env.ending.Reason = r.why()
}

// why says in a line or two why a carry was no success; "": it was one.
func (c *carryReport) why() string {
	if c.State == stateDone || c.State == stateEarlier {
		return ""
	}
	lines := strings.Split(c.summary(), "\n")[:1]
	if v := c.Verification; v != nil && !v.Verified {
		lines = append(lines, v.sentence())
	}
	const few = 3
	for _, f := range c.Failed[:min(few, len(c.Failed))] {
		lines = append(lines, f.Part+": "+f.Error)
	}
	for _, d := range c.DeadLetters[:min(few, len(c.DeadLetters))] {
		lines = append(lines, count(d.Count)+" × "+d.Message)
	}
	for i := range c.Indices {
		if x := &c.Indices[i]; x.Verdict != "" && x.Verdict != string(flow.Lossless) && len(lines) < 2*few {
			lines = append(lines, x.Index+" is "+x.Verdict+": "+cmp.Or(x.Why, "the source does not say why"))
		}
	}
	return strings.Join(lines, "\n")
}

// leavePlan notes what a carry would do.
func (env *Env) leavePlan(p *plan) {
	if env.ending == nil {
		return
	}
	t := &p.Total
	env.ending.Plan = &termination.Plan{
		Indices: len(p.Indices), Parts: t.Parts, Records: t.Documents, AtMost: t.AtMost, Bytes: t.Bytes, Identity: p.identity, Snapshot: p.snapshot,
	}
	env.ending.State = t.Verdict
	var lines []string
	const few = 5
	for i := range p.Indices {
		if x := &p.Indices[i]; x.Verdict != "" && x.Verdict != string(flow.Lossless) && len(lines) < few {
			lines = append(lines, x.Index+" is "+x.Verdict+": "+cmp.Or(x.Why, "the source does not say why"))
		}
	}
	for _, f := range p.Failed[:min(few, len(p.Failed))] {
		lines = append(lines, f.Part+": "+f.Error)
	}
	env.ending.Reason = strings.Join(lines, "\n")
}

// leaveComparison notes what a comparison found.
func (env *Env) leaveComparison(c *comparison) {
	if env.ending == nil {
		return
	}
	var different []verify.Group
	for i := range c.Groups {
		if !agrees(&c.Groups[i]) {
			different = append(different, c.Groups[i])
		}
	}
	v := verified(c.Equal, c.Report.A.Records, len(c.Groups), different, c.Failed)
	env.ending.Verification = v
	switch {
	case c.code() == exitMismatch:
		env.ending.Reason = fmt.Sprintf("%s of %s differ: %s", count(int64(v.Different)), plural(int64(v.Indices), "index"), strings.Join(v.Differences, "; "))
	case !c.Equal:
		env.ending.Reason = plural(int64(v.Unread), "part") + " could not be read: " + strings.Join(v.Differences, "; ")
	}
}

// verified is what a comparison found, with the first differences in words.
func verified(equal bool, records int64, indices int, different []verify.Group, failed []verify.Failure) *termination.Verification {
	v := &termination.Verification{Equal: equal, Records: records, Indices: indices, Different: len(different), Unread: len(failed)}
	const few = 10
	for i := range different {
		if len(v.Differences) == few {
			break
		}
		v.Differences = append(v.Differences, differing(&different[i]))
	}
	for _, f := range failed[:min(len(failed), few-len(v.Differences))] {
		v.Differences = append(v.Differences, cmp.Or(f.Part, f.Group)+": "+f.Error)
	}
	return v
}

// differing says in a line how the two sides of an index differ.
func differing(g *verify.Group) string {
	if len(g.Differences) == 0 {
		return fmt.Sprintf("%s: %s, and %s documents there", g.Name, plural(g.A.Records, "document"), count(g.B.Records))
	}
	var kinds []string
	for _, d := range g.Differences {
		kinds = append(kinds, fmt.Sprintf("%s: %s", d.Kind, plural(d.Records, "document"))) // ids stay in the log
	}
	return g.Name + ": " + strings.Join(kinds, ", ")
}
