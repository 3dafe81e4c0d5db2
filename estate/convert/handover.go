package convert

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Step is one of those by which whoever had the objects lets them go, in an order in which nothing is deleted.
type Step struct {
	What     string   `json:"what"`
	Commands []string `json:"commands,omitempty"` // of a shell
	Removed  string   `json:"removed,omitempty"`  // blocks in Terraform's language, which do the same
}

// handover says how Terraform and the operator let go of what is declared now.
func (b *Batch) handover(r *Result) []Step {
	if len(r.Objects) == 0 || len(b.states)+len(b.operator) == 0 {
		return nil
	}
	steps := []Step{{
		What:     "Let naru take the objects over, before anybody lets go of them. The plan has to say adopt for each; what differs is shown there.",
		Commands: []string{"naru plan -f DIR -e ENV", "naru apply -f DIR -e ENV"},
	}}
	if slices.ContainsFunc(b.operator, func(r operated) bool { return r.kind == "OpensearchUserRoleBinding" }) {
		steps[0].What += " A binding of the operator adds users to what a role's mapping has: if the cluster's mapping has others, hosts, say, the plan shows them; add them to the file."
	}
	for _, h := range b.states {
		steps = append(steps, h.steps()...)
	}
	return append(steps, b.operatorSteps()...)
}

// steps are those for one state. A removed block names all instances of a resource; where some stay, the state's own
// command names the others one by one.
func (h *handedOver) steps() []Step {
	var blocks []string
	remove := Step{What: "Have Terraform forget them (" + h.file + "), with the same change by which the resources leave the configuration, " +
		"and with no apply in between: a resource that leaves the configuration alone is destroyed."}
	for _, b := range slices.Sorted(maps.Keys(h.taken)) {
		for _, a := range slices.Sorted(maps.Keys(h.taken[b])) {
			remove.Commands = append(remove.Commands, "terraform state rm "+shellText(a))
		}
		if !h.rest[b] && !strings.Contains(b, "[") { // a block in a module with instances has no such address
			blocks = append(blocks, b)
		}
	}
	out := []Step{remove}
	if len(blocks) > 0 {
		step := Step{What: "Or, from Terraform 1.7 on, put these blocks where the resources stand, look for \"0 to destroy\" in terraform plan, and apply; then the commands above are not needed for them."}
		for _, b := range blocks {
			step.Removed += fmt.Sprintf("removed {\n  from = %s\n  lifecycle {\n    destroy = false\n  }\n}\n", b)
		}
		out = append(out, step)
	}
	return out
}

// operatorSteps are those for the operator, which deletes an object of OpenSearch when its resource is deleted, by a finalizer.
func (b *Batch) operatorSteps() []Step {
	if len(b.operator) == 0 {
		return nil
	}
	type place struct{ namespace, plural string }
	named := map[place][]string{}
	for _, r := range b.operator {
		p := place{r.namespace, r.plural}
		if !slices.Contains(named[p], r.name) {
			named[p] = append(named[p], r.name)
		}
	}
	var patch, remove []string
	places := slices.SortedFunc(maps.Keys(named), func(x, y place) int {
		return strings.Compare(x.namespace+" "+x.plural, y.namespace+" "+y.plural)
	})
	for _, p := range places {
		in := ""
		if p.namespace != "" {
			in = " -n " + shellText(p.namespace)
		}
		slices.Sort(named[p])
		for _, n := range named[p] {
			patch = append(patch, fmt.Sprintf(`kubectl patch%s %s %s --type=merge -p '{"metadata":{"finalizers":null}}'`, in, p.plural, shellText(n)))
			remove = append(remove, fmt.Sprintf("kubectl delete%s %s %s", in, p.plural, shellText(n)))
		}
	}
	return []Step{
		{What: "Take the resources out of Git, without pruning (Argo CD: the annotation argocd.argoproj.io/sync-options=Prune=false), so that nobody puts them back."},
		{
			What:     "Stop the OpenSearch operator: with it, deleting a resource deletes the object. Clusters go on without it.",
			Commands: []string{"kubectl scale deployment -n OPERATOR_NAMESPACE -l app.kubernetes.io/name=opensearch-operator --replicas=0"},
		},
		{What: "Take the finalizers off, so that the deletion of the resources deletes nothing else; then delete them.", Commands: append(patch, remove...)},
		{
			What:     "Start the operator again, and see that the plan is empty.",
			Commands: []string{"kubectl scale deployment -n OPERATOR_NAMESPACE -l app.kubernetes.io/name=opensearch-operator --replicas=1", "naru plan -f DIR -e ENV"},
		},
	}
}

// shellText quotes a text for a shell, where it needs it.
func shellText(s string) string {
	plain := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/:", r))
	})
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
