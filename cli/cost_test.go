package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/narudata/naru/connect/opensearch/osfake"
	"github.com/narudata/naru/estate/cost"
)

const inventedPrices = "currency: ZZD\nvalid: 2026-11-24\nsource: invented\ninstance_hour: {big: 2}\ngib_month: {fast: 0.1}\nenvironments: {default: {data: big, storage: fast}}\n"

// newCostBench has sixty days of logs, 10 GiB each, with a replica and a policy that deletes them after 60 days.
func newCostBench(t *testing.T) *estateBench {
	b := newEstateBench(t)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for i := range 60 {
		day := today.AddDate(0, 0, i-59)
		name := "web-" + day.Format("2006.01.02")
		b.put("/"+name, `{"settings": {"number_of_replicas": 1}}`)
		b.fake.SetSize(name, osfake.Size{PrimaryBytes: 10 << 30, Documents: 1000, Created: day})
	}
	const policy = `{"policy": {"default_state": "hot", "ism_template": [{"index_patterns": ["web-*"]}], "states": [
		{"name": "hot", "actions": [], "transitions": [{"state_name": "gone", "conditions": {"min_index_age": "%s"}}]}, {"name": "gone", "actions": [{"delete": {}}], "transitions": []}]}}`
	b.put("/_plugins/_ism/policies/web", fmt.Sprintf(policy, "60d"))
	b.put("/_index_template/web", `{"index_patterns": ["web-*"], "template": {"settings": {"number_of_shards": 1, "number_of_replicas": 1}}}`)
	b.file("d/overlays/dev/env.yaml", "target: {urls: [\""+b.fake.URL()+"\"]}\n")
	return b
}

func TestCostCountsWhatThereIsAndWhatWillBe(t *testing.T) {
	b := newCostBench(t)
	out, _ := b.naru(0, "cost", "-f", "d", "-e", "prod")
	b.has(out, "prod: cluster fake", "THERE IS", "NEEDED LATER", "No money without a price file", "web-*", "10.0 GiB", "60d", "1.17 TiB", "What could be saved", "web-*: replicas of what is old. Saves 300 GiB, 30 shards", "= ", "→ ")
	if strings.Contains(out, "ZZD") {
		t.Errorf("money without prices:\n%s", out)
	}
	out, _ = b.naru(0, "cost", "-f", "d", "-e", "prod", "--what-if", "replicas=0@30d", "--explain")
	b.has(out, "What replicas=0@30d would make of it", "later 1.17 TiB → 900 GiB (10.0 GiB a day × (30d × 2 copies + 30d × 1 copy))", "How that is counted: later", "/ 0.85 to the low watermark")

	b.file("prices.yaml", inventedPrices)
	out, _ = b.naru(0, "cost", "-f", "d", "--prices", "prices.yaml")
	b.has(out, "ENVIRONMENT", "dev", "prod", "1470.00 ZZD", "Prices of 2026-11-24, invented", "COULD BE SAVED")
	out, _ = b.naru(0, "cost", "-f", "d", "-e", "prod", "--prices", "prices.yaml", "-o", "markdown")
	b.has(out, "| indices, all copies |", "1. web-\\*: ", "ZZD a month")
	out, _ = b.naru(0, "cost", "-f", "d", "-e", "prod", "-o", "html")
	b.has(out, "<table>", "web-*", "</html>")
	out, _ = b.naru(0, "cost", "-f", "d", "-e", "prod", "-o", "json", "--what-if", "codec=zstd")
	var list []struct{ Estimate cost.Estimate }
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 1 || list[0].Estimate.WhatIf == nil || list[0].Estimate.Now.Shards != 120 {
		t.Errorf("%v %s", err, out)
	}
	b.file("sizing.yaml", "zstd_ratio: 0.5\nold_days: 90\n")
	out, _ = b.naru(0, "cost", "-f", "d", "-e", "prod", "--sizing", "sizing.yaml", "--what-if", "codec=zstd")
	b.has(out, "later 1.17 TiB → 600 GiB")
	if strings.Contains(out, "replicas of what is old") {
		t.Errorf("nothing is older than 90 days:\n%s", out)
	}
}

func TestCostComparesWhatIsDeclaredAndNotAppliedYet(t *testing.T) {
	b := newCostBench(t)
	const applied = `{"index_patterns": ["web-*"], "template": {"settings": {"number_of_shards": 1, "number_of_replicas": 1}}}`
	if err := os.Remove("d/base/index-templates/web.yaml"); err != nil {
		t.Fatal(err)
	}
	b.file("d/base/index-templates/web.json", applied)
	b.naru(0, "apply", "-f", "d", "-e", "prod", "--yes")
	out, _ := b.naru(0, "cost", "-f", "d", "-e", "prod")
	if strings.Contains(out, "not applied yet") {
		t.Errorf("there is nothing to be applied:\n%s", out)
	}
	b.file("d/base/index-templates/web.json", strings.ReplaceAll(applied, `"number_of_replicas": 1`, `"number_of_replicas": 0`))
	out, _ = b.naru(0, "cost", "-f", "d", "-e", "prod")
	b.has(out, "What is declared and not applied yet makes of it", "later 1.17 TiB → 600 GiB")
	b.file("d/overlays/prod/env.yaml", "target: {urls: [\""+b.fake.URL()+"\"]}\nlimits: {storage: 100GiB}\n")
	out, _ = b.naru(2, "cost", "-f", "d", "-e", "prod")
	b.has(out, "! limits.storage: it needs disks of")
	out, _ = b.naru(2, "plan", "-f", "d", "-e", "prod")
	b.has(out, "limits.storage: it needs disks of", "So it is already")
}

func TestCostSaysWhatIsWrong(t *testing.T) {
	b := newCostBench(t)
	for _, c := range []struct {
		want string
		args []string
	}{
		{"-f DIR is missing", nil},
		{"a what-if is replicas=N[@AGE]", []string{"-f", "d", "--what-if", "replica=0"}},
		{"no such file", []string{"-f", "d", "--prices", "nowhere"}},
		{"did you mean \"prod\"", []string{"-f", "d", "-e", "prd"}},
		{"is no size", []string{"--daily", "lots"}},
		{"is no age", []string{"--daily", "1GiB", "--retention", "soon"}},
		{"--nodes is at least 1", []string{"--daily", "1GiB", "--nodes", "0"}},
	} {
		_, errs := b.naru(1, append([]string{"cost"}, c.args...)...)
		b.has(errs, c.want)
	}
	b.file("sizing.yaml", "linux_reserv: 1\n")
	_, errs := b.naru(1, "cost", "-f", "d", "--sizing", "sizing.yaml")
	b.has(errs, "sizing.yaml:1:1: there is no constant")
	b.file("d/overlays/gone/env.yaml", "target: {urls: [\"http://127.0.0.1:1\"]}\n")
	out, errs := b.naru(1, "cost", "-f", "d") // one that cannot be reached does not hide the others
	b.has(out, "gone", "It could not be looked at", "prod: cluster fake")
	b.has(errs, "gone: ")
}

func TestCostCountsWithoutACluster(t *testing.T) {
	b := newCostBench(t)
	out, _ := b.naru(0, "cost", "--daily", "66GiB", "--retention", "1d", "--nodes", "2", "--managed")
	b.has(out, "191 GiB", "145 GiB", "primary shards")
	out, _ = b.naru(0, "cost", "--constants")
	b.has(out, "service_reserve_most_gib", "20", "Amazon OpenSearch Service")
	out, _ = b.naru(0, "cost", "--constants", "-o", "json")
	var list []cost.Constant
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) < 30 {
		t.Errorf("%v, %d constants", err, len(list))
	}
}
