package argo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/evaluate"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Metric is the configuration of a measurement: spec.metrics[].provider.plugin. What it gives is a result whose fields the metric's
// successCondition and failureCondition ask for: result.canary <= 60.
//
//	lag           canary, stable: seconds that the oldest record is old that is still to be read; canaryRecords, stableRecords
//	dead-letters  canary, stable, ratio: dead letters for each record that was read, over the window
//	errors        canary, stable, ratio: writes that failed, in whole or in part, of all writes
//	cost          canary, stable, ratio: CPU seconds for each record that was read
//	yield         canary, stable, ratio: events that outputs got for each record that was read; less than the stable version's is dropped
//	outputs       what difference has, of what other outputs than those of OpenSearch made
//	difference    share: of the documents of both that differ or that only one has; records, documents, equal, different, onlyStable, onlyCanary
//
// What cannot be measured, as there is no data, is inconclusive, never a success.
type Metric struct {
	Measure string `json:"measure"`
	Group   string `json:"group"`
	Kafka   Kafka  `json:"kafka"`

	API    API    `json:"api,omitzero"`     // of dead-letters, errors, cost, yield and outputs
	Window string `json:"window,omitempty"` // of these but outputs: how long is measured; 1m unless given
	Least  int64  `json:"least,omitempty"`  // of these and difference: fewer records of a version are no data; 100 unless given

	OpenSearch Search    `json:"opensearch,omitzero"`  // of difference
	Index      string    `json:"index,omitempty"`      // of difference: the stable version's indices
	Ignore     *[]string `json:"ignore,omitempty"`     // of difference and outputs: fields that are not compared; @timestamp unless given
	MostRecord int64     `json:"records,omitempty"`    // of difference and outputs: how many records are compared at most; 10000 unless given
	TimeField  string    `json:"timeField,omitempty"`  // of difference: documents are chosen by this time, and not by their records
	Key        []string  `json:"key,omitempty"`        // of difference: fields by which documents are paired, and not by their ids
	SettleTime string    `json:"settleTime,omitempty"` // of difference by time: how long documents may take to be there; 30s unless given
}

const (
	measureLag        = "lag"
	measureDead       = "dead-letters"
	measureErrors     = "errors"
	measureCost       = "cost"
	measureYield      = "yield"
	measureDifference = "difference"
	measureOutputs    = "outputs"
)

var measures = []string{measureLag, measureDead, measureErrors, measureCost, measureYield, measureDifference, measureOutputs}

// Validate says what is wrong with m.
func (m *Metric) Validate() error {
	var errs []error
	if !slices.Contains(measures, m.Measure) {
		errs = append(errs, fmt.Errorf("measure %q: want one of %s", m.Measure, strings.Join(measures, ", ")))
	}
	if m.Group == "" {
		errs = append(errs, errors.New("give the group"))
	}
	if m.Measure == measureDifference && m.Index == "" {
		errs = append(errs, errors.New("give the index that the stable version writes"))
	}
	for name, text := range map[string]string{"window": m.Window, "settleTime": m.SettleTime} {
		if d, err := time.ParseDuration(text); text != "" && (err != nil || d < time.Second || d > time.Hour) {
			errs = append(errs, fmt.Errorf("%s %q: want 1s to 1h", name, text))
		}
	}
	if m.MostRecord < 0 || m.MostRecord > mostRecords || m.Least < 0 {
		errs = append(errs, fmt.Errorf("records is 1 to %d, and least not negative", mostRecords))
	}
	return errors.Join(errs...)
}

const (
	usualRecords = 10_000
	mostRecords  = 1_000_000
	usualLeast   = 100
)

func orElse[T int64 | time.Duration](v, usual T) T {
	if v == 0 {
		return usual
	}
	return v
}

func span(text string, usual time.Duration) time.Duration {
	d, _ := time.ParseDuration(text) // Validate has looked
	return orElse(d, usual)
}

// A result is what a measurement gives, by the names that conditions ask for. One that is missing is not known.
type result map[string]float64

// errNoData says why there is nothing to judge by.
type errNoData struct{ why string }

func (e errNoData) Error() string { return e.why }

func noData(format string, args ...any) error { return errNoData{fmt.Sprintf(format, args...)} }

// A measured is a result with what people want to see of it.
type measured struct {
	result
	details map[string]string
}

// provider implements the metric provider.
type provider struct{ *platform }

var _ types.RpcMetricProvider = (*provider)(nil)

// InitPlugin implements rpc.MetricProviderPlugin.
func (*provider) InitPlugin() types.RpcError { return types.RpcError{} }

// Type implements types.RpcMetricProvider.
func (*provider) Type() string { return Name }

// GetMetadata implements types.RpcMetricProvider.
func (*provider) GetMetadata(metric v1alpha1.Metric) map[string]string {
	var m Metric
	if err := decode(metric.Provider.Plugin[Name], &m); err != nil {
		return map[string]string{"error": err.Error()}
	}
	return map[string]string{"measure": m.Measure, "group": m.Group}
}

// GarbageCollect implements types.RpcMetricProvider: nothing is kept.
func (*provider) GarbageCollect(*v1alpha1.AnalysisRun, v1alpha1.Metric, int) types.RpcError {
	return types.RpcError{}
}

const measuringTakes = 2 * time.Minute

// Run implements types.RpcMetricProvider.
func (p *provider) Run(run *v1alpha1.AnalysisRun, metric v1alpha1.Metric) v1alpha1.Measurement {
	now := metav1.Now()
	out := v1alpha1.Measurement{StartedAt: &now}
	m, err := metricOf(metric)
	if err != nil {
		return finish(out, v1alpha1.AnalysisPhaseError, err.Error())
	}
	ctx, cancel := context.WithTimeout(context.Background(), measuringTakes)
	defer cancel()
	switch m.Measure {
	case measureLag:
		got, err := p.lag(ctx, run.Namespace, canaryOf(run), m)
		return judge(out, metric, got, err)
	case measureDifference:
		got, err := p.difference(ctx, run.Namespace, canaryOf(run), m)
		return judge(out, metric, got, err)
	case measureOutputs:
		got, err := p.outputs(ctx, run.Namespace, canaryOf(run), m)
		return judge(out, metric, got, err)
	}
	first, err := p.sample(ctx, run.Namespace, canaryOf(run), m)
	if err != nil {
		return judge(out, metric, nil, err)
	}
	text, err := json.Marshal(first)
	if err != nil {
		return finish(out, v1alpha1.AnalysisPhaseError, err.Error())
	}
	out.Phase, out.Metadata = v1alpha1.AnalysisPhaseRunning, map[string]string{sampleKey: string(text)}
	at := metav1.NewTime(now.Add(span(m.Window, time.Minute)))
	out.ResumeAt = &at
	return out
}

// canaryOf is the version that an analysis is of: what the controller says of runs that it makes. "": the run was made by hand.
func canaryOf(run *v1alpha1.AnalysisRun) string {
	return run.Labels[v1alpha1.DefaultRolloutUniqueLabelKey]
}

// sampleKey is where a measurement that goes on keeps its first sample, so that it does not matter which process ends it.
const sampleKey = "sample"

// Resume implements types.RpcMetricProvider.
func (p *provider) Resume(run *v1alpha1.AnalysisRun, metric v1alpha1.Metric, out v1alpha1.Measurement) v1alpha1.Measurement {
	m, err := metricOf(metric)
	if err != nil {
		return finish(out, v1alpha1.AnalysisPhaseError, err.Error())
	}
	var first sample
	text := out.Metadata[sampleKey]
	out.Metadata, out.ResumeAt = nil, nil
	if err := json.Unmarshal([]byte(text), &first); err != nil {
		return finish(out, v1alpha1.AnalysisPhaseError, "the first sample is lost: "+err.Error())
	}
	ctx, cancel := context.WithTimeout(context.Background(), measuringTakes)
	defer cancel()
	second, err := p.sample(ctx, run.Namespace, canaryOf(run), m)
	if err != nil {
		return judge(out, metric, nil, err)
	}
	got, err := first.until(second, m)
	return judge(out, metric, got, err)
}

// Terminate implements types.RpcMetricProvider.
func (*provider) Terminate(_ *v1alpha1.AnalysisRun, _ v1alpha1.Metric, out v1alpha1.Measurement) v1alpha1.Measurement {
	out.Metadata, out.ResumeAt = nil, nil
	return finish(out, v1alpha1.AnalysisPhaseInconclusive, "ended before its window was over")
}

func metricOf(metric v1alpha1.Metric) (*Metric, error) {
	m := &Metric{}
	if err := decode(metric.Provider.Plugin[Name], m); err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", Name, err)
	}
	if metric.SuccessCondition == "" && metric.FailureCondition == "" {
		return nil, errors.New("the metric needs a successCondition or a failureCondition: without one everything would be a success")
	}
	return m, nil
}

func finish(out v1alpha1.Measurement, phase v1alpha1.AnalysisPhase, message string) v1alpha1.Measurement {
	now := metav1.Now()
	out.FinishedAt, out.Phase, out.Message = &now, phase, message
	return out
}

// judge says by the metric's conditions what a result means.
func judge(out v1alpha1.Measurement, metric v1alpha1.Metric, got *measured, err error) v1alpha1.Measurement {
	if none, ok := errors.AsType[errNoData](err); ok {
		return finish(out, v1alpha1.AnalysisPhaseInconclusive, none.why)
	}
	if err != nil {
		return finish(out, v1alpha1.AnalysisPhaseError, err.Error())
	}
	values := map[string]any{}
	for name, v := range got.result {
		values[name] = v
	}
	text, err := json.Marshal(got.result)
	if err != nil {
		return finish(out, v1alpha1.AnalysisPhaseError, err.Error())
	}
	out.Value, out.Metadata = string(text), got.details
	phase, err := evaluated(values, metric)
	if err != nil {
		return finish(out, v1alpha1.AnalysisPhaseError, err.Error())
	}
	message := ""
	if phase != v1alpha1.AnalysisPhaseSuccessful {
		message = got.summary(metric)
	}
	return finish(out, phase, message)
}

// evaluated asks a metric's conditions what values mean. With both, what neither holds for is inconclusive, and a failure goes before a
// success.
//
// Source: the section on conditions of the AnalysisTemplate's documentation.
func evaluated(values map[string]any, metric v1alpha1.Metric) (v1alpha1.AnalysisPhase, error) {
	holds := func(name, condition string) (bool, error) {
		if condition == "" {
			return false, nil
		}
		yes, err := evaluate.EvalCondition(values, condition)
		if err != nil {
			return false, fmt.Errorf("%s %s: %w", name, condition, err)
		}
		return yes, nil
	}
	success, err := holds("successCondition", metric.SuccessCondition)
	if err != nil {
		return v1alpha1.AnalysisPhaseError, err
	}
	failure, err := holds("failureCondition", metric.FailureCondition)
	switch {
	case err != nil:
		return v1alpha1.AnalysisPhaseError, err
	case failure, !success && metric.FailureCondition == "":
		return v1alpha1.AnalysisPhaseFailed, nil
	case success, metric.SuccessCondition == "":
		return v1alpha1.AnalysisPhaseSuccessful, nil
	}
	return v1alpha1.AnalysisPhaseInconclusive, nil
}

// summary says in a line what was measured.
func (m *measured) summary(metric v1alpha1.Metric) string {
	text := metric.Name + ":"
	for _, name := range []string{"canary", "stable", "ratio", "share", "documents", "different", "onlyStable", "onlyCanary"} {
		if v, ok := m.result[name]; ok {
			text += fmt.Sprintf(" %s %s,", name, number(v))
		}
	}
	text = strings.TrimSuffix(text, ",")
	if fields := m.details["fields"]; fields != "" {
		text += "; " + fields
	}
	return text
}

func number(v float64) string {
	if v != 0 && math.Abs(v) < 0.0001 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
}
