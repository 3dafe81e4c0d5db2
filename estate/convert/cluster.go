package convert

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/narudata/naru/connect/opensearch"
	"github.com/narudata/naru/estate"
)

// Live takes what a live target has of the kinds, or of all. What belongs to the systems themselves is left out, and so is
// what they add to each body by themselves. A kind that may not be
// seen is left, unless it was asked for. from is what the target is called.
func (b *Batch) Live(ctx context.Context, target *estate.Target, from string, kinds ...estate.Kind) error {
	asked := len(kinds) > 0
	if !asked {
		kinds = estate.Kinds
	}
	live := map[estate.Kind]map[string]*estate.Live{}
	if target.Kafka != nil {
		if err := b.liveKafka(ctx, target.Kafka, from, slices.Contains(kinds, estate.KafkaACLs), slices.Contains(kinds, estate.KafkaQuotas)); err != nil {
			return err
		}
	}
	kinds = slices.DeleteFunc(slices.Clone(kinds), func(k estate.Kind) bool { return slices.Contains(notListed, k) })
	for _, k := range kinds {
		all, err := estate.List(ctx, target, k)
		if e, ok := errors.AsType[*opensearch.StatusError](err); ok && e.Status == http.StatusForbidden && !asked {
			b.leave(NoHome, string(k), "who asks may not see them: %v", e)
			continue
		}
		if err != nil {
			return err
		}
		live[k] = all
	}
	templates := live[estate.IndexTemplates]
	if templates == nil && slices.Contains(kinds, estate.Aliases) {
		var err error
		if templates, err = estate.List(ctx, target, estate.IndexTemplates); err != nil {
			return err
		}
	}
	for _, k := range kinds {
		if k == estate.Aliases {
			b.liveAliases(live[k], madeByTemplates(templates), from)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(live[k])) {
			b.liveObject(estate.Key{Kind: k, Name: name}, live[k][name], from)
		}
	}
	return nil
}

// notListed are the kinds whose objects are not those of the system: lists of ACLs are made of what it has, and where a group begins
// is known to nobody but who declares it.
var notListed = []estate.Kind{estate.KafkaACLs, estate.KafkaQuotas, estate.KafkaGroups}

func (b *Batch) liveObject(key estate.Key, l *estate.Live, from string) {
	if key.Kind == estate.ClusterSettings && key.Name == estate.AllSettings {
		key.Name = "cluster"
		if all, _ := l.Body["persistent"].(map[string]any); len(all) == 0 {
			return
		}
	}
	meta, _ := l.Body["_meta"].(map[string]any)
	switch {
	case l.Reserved, strings.HasPrefix(key.Name, "."):
		b.leave(System, string(key.Kind), "reserved, or with a name that begins with a dot")
		return
	case meta["managed"] == true:
		b.leave(System, string(key.Kind), "the system says that it manages it (_meta.managed)")
		return
	}
	b.add(key, estate.AsDeclared(key, l.Body), from)
}

// madeByTemplates are the aliases that index templates give to what they make.
func madeByTemplates(templates map[string]*estate.Live) map[string]bool {
	out := map[string]bool{}
	for _, l := range templates {
		t, _ := l.Body["template"].(map[string]any)
		aliases, _ := t["aliases"].(map[string]any)
		for name := range aliases {
			out[name] = true
		}
	}
	return out
}

// liveAliases takes aliases, but those that the cluster keeps by itself.
func (b *Batch) liveAliases(all map[string]*estate.Live, templated map[string]bool, from string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		indices, _ := all[name].Body["indices"].(map[string]any)
		hidden := strings.HasPrefix(name, ".")
		for index := range indices {
			hidden = hidden || strings.HasPrefix(index, ".")
		}
		switch {
		case hidden:
			b.leave(System, string(estate.Aliases), "reserved, or with a name that begins with a dot")
			continue
		case templated[name]:
			b.leave(Elsewhere, "alias "+name, "an index template gives it to the indices that it makes")
			continue
		}
		for index, entry := range indices {
			o, _ := entry.(map[string]any)
			b.alias(name, index, o, from)
		}
	}
}
