package rules

import "github.com/narudata/naru/format/tree"

var mappingRules, settingRules, analysisRules, indexRules, clusterRules []Rule

func (t Target) settings(i *Index, c created, v *Verdict) {}
func (t Target) mappings(i *Index, c created, v *Verdict) {}
func (t Target) body(i *Index, v *Verdict)                {}

// Cluster rewrites the global metadata ("meta-data") in place.
func (t Target) Cluster(meta *tree.Object) Verdict { return Verdict{} }
