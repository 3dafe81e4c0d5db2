package estate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/estate/cost"
	"github.com/narudata/naru/estate/measure"
)

func TestLimitsAndMeasurementsOfAnOverlayStandOverThoseOfTheBase(t *testing.T) {
	b := newBench(t)
	b.file("base/env.yaml", "limits: {storage: 500GiB, shards: 600}\nmeasure: {before: 10s, every: 500ms}\n")
	b.file("overlays/prod/env.yaml", "target: {urls: [\""+b.url+"\"]}\nlimits: {shards: 900, monthly: 1200.5}\nmeasure: {after: 2m}\n")
	d, err := estate.Read(t.Context(), b.dir, "prod", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if want := (cost.Limits{Storage: 500 * cost.GiB, Shards: 900, Monthly: 1200.5}); d.Limits != want {
		t.Errorf("%+v, not %+v", d.Limits, want)
	}
	if m := d.Measure; m.Before != measure.Duration(10*time.Second) || m.After != measure.Duration(2*time.Minute) || m.Every != measure.Duration(500*time.Millisecond) {
		t.Errorf("%+v", m)
	}
	for text, want := range map[string]string{
		"limits: {disk: 5GiB}":       "disk",
		"limits: {storage: much}":    "is no size",
		"limits: {shards: -1}":       "not negative",
		"measure: {before: 3h}":      "measure.before: 3h0m0s is not between",
		"measure: {every: 1ms}":      "measure.every",
		"measure: {before: sometime": "overlays/prod/env.yaml",
	} {
		b.file("overlays/prod/env.yaml", "target: {urls: [\""+b.url+"\"]}\n"+text+"\n")
		if _, err := estate.Read(t.Context(), b.dir, "prod", noEnv); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}
