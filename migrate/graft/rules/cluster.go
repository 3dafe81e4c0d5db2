package rules

import "github.com/narudata/naru/format/tree"

var clusterRules []Rule

// Cluster rewrites the global metadata ("meta-data") in place.
func (t Target) Cluster(meta *tree.Object) Verdict { return Verdict{} }
