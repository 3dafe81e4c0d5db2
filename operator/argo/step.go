package argo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
)

// A Step is the configuration of a step: spec.strategy.canary.steps[].plugin.config. One of Wait, Compare and Approve.
type Step struct {
	Group   string   `json:"group,omitempty"`
	Kafka   Kafka    `json:"kafka,omitzero"`
	Wait    *Wait    `json:"wait,omitempty"`
	Compare *Compare `json:"compare,omitempty"`
	Approve *Approve `json:"approve,omitempty"`
}

// Wait waits until the canary has caught up.
type Wait struct {
	LagSeconds float64 `json:"lagSeconds"`        // the oldest record that it has still to read is no older
	Timeout    string  `json:"timeout,omitempty"` // after which the rollout is aborted; 30m unless given
}

// Compare lets the rollout go on if the canary in shadow makes of so many records what the stable version makes of them. It waits until
// both have delivered them.
type Compare struct {
	OpenSearch Search    `json:"opensearch,omitzero"`
	Index      string    `json:"index,omitempty"`   // that the stable version writes
	Outputs    bool      `json:"outputs,omitempty"` // compare also what other outputs than those of OpenSearch make; without an index, only that
	API        API       `json:"api,omitzero"`      // of Outputs
	Records    int64     `json:"records,omitempty"` // 1000 unless given
	Ignore     *[]string `json:"ignore,omitempty"`  // fields that are not compared; @timestamp unless given
	Share      float64   `json:"share,omitempty"`   // of documents that may differ
	Timeout    string    `json:"timeout,omitempty"` // 30m unless given
}

// Approve waits until somebody says that the canary is right:
//
//	kubectl annotate rollout NAME naru.dev/approve-canary=HASH
type Approve struct {
	Timeout string `json:"timeout,omitempty"` // after which the rollout is aborted; it waits for ever unless given
}

// ApproveAnnotation has the hash of the canary that is approved. Another one's approval does not count.
const ApproveAnnotation = "naru.dev/approve-canary"

const (
	// askAgain is how long the controller is told to wait: what is 10 s or less counts as 30.
	askAgain   = 11 * time.Second
	usualLimit = 30 * time.Minute
)

// step implements the step plugin.
type step struct{ *platform }

var _ types.RpcStep = (*step)(nil)

// InitPlugin implements rpc.StepPlugin.
func (*step) InitPlugin() types.RpcError { return types.RpcError{} }

// Type implements types.RpcStep.
func (*step) Type() string { return Name }

// stepState is what a step remembers from one call to the next: in the Rollout's status.
type stepState struct {
	Began  time.Time `json:"began"`
	Canary string    `json:"canary,omitempty"`
}

func (s *Step) validate() error {
	n := 0
	for _, given := range []bool{s.Wait != nil, s.Compare != nil, s.Approve != nil} {
		if given {
			n++
		}
	}
	switch {
	case n != 1:
		return errors.New("give one of wait, compare and approve")
	case s.Approve == nil && s.Group == "":
		return errors.New("give the group")
	case s.Compare != nil && s.Compare.Index == "" && !s.Compare.Outputs:
		return errors.New("compare: give the index that the stable version writes, or outputs: true")
	case s.Compare != nil && (s.Compare.Records < 0 || s.Compare.Records > mostRecords || s.Compare.Share < 0 || s.Compare.Share > 1):
		return fmt.Errorf("compare: records is 1 to %d, share 0 to 1", mostRecords)
	case s.Wait != nil && s.Wait.LagSeconds <= 0:
		return errors.New("wait: give lagSeconds, more than 0")
	}
	_, err := s.limit()
	return err
}

// limit is how long the step may take; 0: for ever.
func (s *Step) limit() (time.Duration, error) {
	text, usual := "", usualLimit
	switch {
	case s.Wait != nil:
		text = s.Wait.Timeout
	case s.Compare != nil:
		text = s.Compare.Timeout
	case s.Approve != nil:
		text, usual = s.Approve.Timeout, 0
	}
	if text == "" {
		return usual, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("timeout %q: want a duration like 30m", text)
	}
	return d, nil
}

// Run implements types.RpcStep. It is called again until the step is over.
func (p *step) Run(ro *v1alpha1.Rollout, c *types.RpcStepContext) (types.RpcStepResult, types.RpcError) {
	var s Step
	err := decode(c.Config, &s)
	if err == nil {
		err = s.validate()
	}
	if err != nil {
		return ended(types.PhaseFailed, err.Error()), types.RpcError{}
	}
	canary := ro.Status.CurrentPodHash
	state := stepState{Began: time.Now(), Canary: canary}
	var before stepState
	if len(c.Status) > 0 && json.Unmarshal(c.Status, &before) == nil && before.Canary == canary {
		state = before
	}
	limit, _ := s.limit()
	ctx, cancel := context.WithTimeout(context.Background(), measuringTakes)
	defer cancel()
	done, message, err := p.step(ctx, ro, &s, canary)
	switch none, noneYet := errors.AsType[errNoData](err); {
	case noneYet:
		message = none.why
	case err != nil && errors.Is(err, errDiffers):
		return ended(types.PhaseFailed, err.Error()), types.RpcError{}
	case err != nil:
		message = "it is asked again: " + err.Error()
	case done:
		return ended(types.PhaseSuccessful, message), types.RpcError{}
	}
	if limit > 0 && time.Since(state.Began) > limit {
		return ended(types.PhaseFailed, fmt.Sprintf("not within %s: %s", limit, message)), types.RpcError{}
	}
	status, err := json.Marshal(state)
	if err != nil {
		return types.RpcStepResult{}, failed(err)
	}
	return types.RpcStepResult{Phase: types.PhaseRunning, Message: message, RequeueAfter: askAgain, Status: status}, types.RpcError{}
}

func ended(phase types.StepPhase, message string) types.RpcStepResult {
	return types.RpcStepResult{Phase: phase, Message: message}
}

// errDiffers says that a comparison has found too much.
var errDiffers = errors.New("the canary makes something else of the same records")

// step looks whether the step is over.
func (p *step) step(ctx context.Context, ro *v1alpha1.Rollout, s *Step, canary string) (done bool, message string, err error) {
	switch {
	case s.Approve != nil:
		if canary != "" && ro.Annotations[ApproveAnnotation] == canary {
			return true, "approved: " + canary, nil
		}
		return false, fmt.Sprintf("waiting for an approval: kubectl annotate rollout %s %s=%s --overwrite", ro.Name, ApproveAnnotation, canary), nil
	case s.Compare != nil:
		return p.compare(ctx, ro, s, canary)
	}
	admin, err := p.admin(ctx, ro.Namespace, s.Kafka)
	if err != nil {
		return false, "", err
	}
	got, err := lagOf(ctx, admin, s.Group, canary)
	if err != nil {
		return false, "", err
	}
	lag := got.result["canary"]
	return lag <= s.Wait.LagSeconds, fmt.Sprintf("the canary is %s s behind (%s records)", number(lag), number(got.result["canaryRecords"])), nil
}

// compare compares documents, and what other outputs make.
func (p *step) compare(ctx context.Context, ro *v1alpha1.Rollout, s *Step, canary string) (done bool, message string, err error) {
	o := s.Compare
	records := orElse(o.Records, 1000)
	m := &Metric{
		Group: s.Group, Kafka: s.Kafka, OpenSearch: o.OpenSearch, Index: o.Index, API: o.API, Ignore: o.Ignore, MostRecord: records, Least: records,
	}
	var parts []string
	for _, of := range []struct {
		what    string
		wanted  bool
		measure func(context.Context, string, string, *Metric) (*measured, error)
	}{{"documents", o.Index != "", p.difference}, {"what outputs make", o.Outputs, p.outputs}} {
		if !of.wanted {
			continue
		}
		got, err := of.measure(ctx, ro.Namespace, canary, m)
		if err != nil {
			return false, "", err
		}
		if share := got.result["share"]; share > o.Share {
			return false, "", fmt.Errorf("%w: %s: %s of %s differ (%s); %s", errDiffers, of.what,
				number(got.result["different"]+got.result["onlyStable"]+got.result["onlyCanary"]), number(got.result["documents"]), number(share), got.details["fields"])
		}
		parts = append(parts, fmt.Sprintf("%s: %s records compared, share of differences %s", of.what, number(got.result["records"]), number(got.result["share"])))
	}
	return true, strings.Join(parts, "; "), nil
}

// Terminate implements types.RpcStep: nothing goes on that had to be ended.
func (*step) Terminate(*v1alpha1.Rollout, *types.RpcStepContext) (types.RpcStepResult, types.RpcError) {
	return ended(types.PhaseSuccessful, ""), types.RpcError{}
}

// Abort implements types.RpcStep: nothing was done that had to be undone; the traffic router takes everything from the canary.
func (*step) Abort(*v1alpha1.Rollout, *types.RpcStepContext) (types.RpcStepResult, types.RpcError) {
	return ended(types.PhaseSuccessful, ""), types.RpcError{}
}
