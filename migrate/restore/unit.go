package restore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// one restores a unit, or finishes what an earlier run began, and says in its outcomes what came of it.
func (r *runner) one(ctx context.Context, u *unit) {
	if ctx.Err() != nil {
		u.passedOver()
		return
	}
	began := time.Now()
	defer func() {
		for _, o := range u.outcomes {
			o.Took = time.Since(began)
		}
		r.over(u)
	}()
	before := u.outcomes[0].State == WasThere
	if !before {
		if err := r.begin(ctx, u); err != nil {
			r.gaveUp(ctx, u, "interrupted while it was asked for: the cluster may be restoring it", err)
			return
		}
		for _, o := range u.outcomes {
			var err error
			if o.uuid, err = r.uuid(ctx, o.Target); err != nil {
				r.gaveUp(ctx, u, goesOn, err)
				return
			}
		}
	}
	broken, err := r.follow(ctx, u)
	if err != nil {
		r.gaveUp(ctx, u, goesOn, err)
		return
	}
	for i := range u.indices {
		out := u.outcomes[i]
		if why := broken[out.Target]; why != "" {
			r.fail(ctx, u, out, why, before)
			continue
		}
		if !before {
			out.State = Restored
		}
		if err := r.finish(ctx, &u.indices[i], out); err != nil {
			if ctx.Err() != nil {
				out.State, out.Why = UnderWay, "it is restored; interrupted before it was repaired and checked"
				continue
			}
			out.State, out.Why = Failed, "it is restored, but: "+err.Error()
		}
	}
}

const goesOn = "the cluster goes on restoring it; run this again to have it repaired and checked"

// gaveUp notes why a unit was not followed to its end: it failed, or ctx ended.
func (r *runner) gaveUp(ctx context.Context, u *unit, interrupted string, err error) {
	if ctx.Err() != nil {
		u.end(UnderWay, interrupted)
		return
	}
	u.end(Failed, err.Error())
	r.o.Log.Warn("an index could not be restored", "index", strings.Join(u.targets(), ","), "err", err)
}

// over gives the last progress of a unit's indices.
func (r *runner) over(u *unit) {
	for i, o := range u.outcomes {
		r.progress(Progress{Index: o.Index, Step: Over, AllShards: u.indices[i].Shards, Bytes: o.Bytes, AllBytes: max(u.indices[i].Bytes, o.Bytes), FinalState: o.State})
	}
}

// begin has the cluster begin to restore a unit.
func (r *runner) begin(ctx context.Context, u *unit) error {
	what := u.stream
	if what == "" {
		what = u.indices[0].Name
	}
	settings := map[string]any{}
	if r.o.CheckOnStartup && u.stream == "" {
		settings["index.shard.check_on_startup"] = "true"
	}
	if r.o.Replicas != nil { // copied once it is all there
		settings["index.number_of_replicas"] = 0
		settings["index.auto_expand_replicas"] = "false"
	}
	partial := slices.ContainsFunc(u.indices, func(x Index) bool { return len(x.Missing) > 0 })
	body := map[string]any{"indices": what, "include_global_state": false, "partial": partial, "index_settings": settings}
	if len(r.o.IgnoreSettings) > 0 {
		body["ignore_index_settings"] = r.o.IgnoreSettings
	}
	if target := u.outcomes[0].Target; u.stream == "" && target != what {
		body["rename_pattern"] = "^" + regexp.QuoteMeta(what) + "$"
		body["rename_replacement"] = strings.NewReplacer(`\`, `\\`, `$`, `\$`).Replace(target)
	}
	path := fmt.Sprintf("/_snapshot/%s/%s/_restore?wait_for_completion=false", url.PathEscape(r.repo.Name), url.PathEscape(u.snapshot))
	unsure := false // an answer was lost, or said that the cluster had not got round to it in time
	return r.insist(ctx, func() error {
		if unsure {
			if begun, err := r.begun(ctx, u); err != nil || begun {
				return err
			}
		}
		err := r.client.JSON(ctx, http.MethodPost, path, body, nil)
		if err == nil || passing(ctx, err) {
			unsure = true
			return err
		}
		// What has the name may be what the request made before, when it was slow, or sent again to another node.
		if begun, e := r.begun(ctx, u); e == nil && begun {
			return nil
		}
		return err
	})
}

// begun reports that the cluster has what is to be restored, and that it is restoring it out of this snapshot: names were
// free before, but somebody else may have taken one since.
func (r *runner) begun(ctx context.Context, u *unit) (bool, error) {
	x, out := u.indices[0], u.outcomes[0]
	for range 10 { // a recovery is told of when it has a node
		settings, err := r.settings(ctx, out.Target)
		if statusOf(err) == http.StatusNotFound {
			return false, nil
		}
		if err != nil || x.Created != 0 && number(settings["index.creation_date"]) == x.Created {
			return err == nil, err
		}
		answer, err := r.recovery(ctx, []string{url.PathEscape(out.Target)})
		if err != nil && !denied(err) {
			return false, err
		}
		if answer[out.Target].from(recoverySource{r.repo.Name, out.Snapshot, out.Index}) {
			return true, nil
		}
		if err := sleep(ctx, r.o.Poll/2); err != nil {
			return false, err
		}
	}
	return false, nil
}

// uuid is an index's, by its name and not an alias; "": there is none.
func (r *runner) uuid(ctx context.Context, name string) (string, error) {
	var answer map[string]struct{ Settings map[string]any }
	err := r.get(ctx, "/"+url.PathEscape(name)+"/_settings/index.uuid?flat_settings=true", &answer)
	if statusOf(err) == http.StatusNotFound {
		return "", nil
	}
	text, _ := answer[name].Settings["index.uuid"].(string)
	return text, err
}

// fail notes that shards of an index cannot be restored, and deletes it if this run created it.
func (r *runner) fail(ctx context.Context, u *unit, out *Outcome, why string, before bool) {
	out.State, out.Why = Failed, why
	switch {
	case r.o.KeepFailed, out.uuid == "" && !before:
	case before:
		out.Why += "; an earlier run left it so: delete it (DELETE /" + out.Target + ") and run this again"
	default:
		uuid, err := r.uuid(ctx, out.Target)
		if err == nil && uuid != out.uuid { // somebody has deleted it, and may have another one by that name
			break
		}
		if err == nil {
			err = r.call(ctx, http.MethodDelete, "/"+url.PathEscape(out.Target), nil, nil)
		}
		switch {
		case err == nil, statusOf(err) == http.StatusNotFound:
			out.Deleted = true
		case u.stream != "" && denied(err):
			out.Why += "; it is left as it is, for the data stream " + u.stream + " writes to it: roll that over (POST /" + u.stream + "/_rollover), then delete it"
		default:
			out.Why += "; it could not be deleted again: " + err.Error()
		}
	}
	r.o.Log.Warn("an index could not be restored", "index", out.Target, "why", out.Why)
}

// finish brings a restored index to what it is to be: repaired, checked, with its replicas, closed if it was.
func (r *runner) finish(ctx context.Context, x *Index, out *Outcome) error {
	settings, err := r.settings(ctx, out.Target)
	if err != nil {
		return err
	}
	before := out.State == WasThere
	closed := before && r.cluster.indices[out.Target].closed
	if closed && len(x.Repairs) > 0 { // interrupted, or closed by somebody: what is not known to be repaired is
		done, err := r.marks(ctx, out.Target)
		if err != nil {
			return err
		}
		if closed = done.all(x.Repairs); !closed {
			if err := r.reopen(ctx, out.Target); err != nil {
				return err
			}
		}
	}
	if closed {
		for _, repair := range x.Repairs {
			out.Repaired = append(out.Repaired, Repaired{Repair: repair, Done: true, Before: true})
		}
		out.Checks = append(out.Checks, Check{"documents", Unknown, "the index is closed"})
		out.Notes = append(out.Notes, "it is closed")
		return nil
	}
	if err := r.describe(ctx, out, settings); err != nil {
		return err
	}
	if r.o.CheckOnStartup && x.DataStream != "" {
		out.Checks = append(out.Checks, Check{"segments", Unknown, "not read by CheckIndex: it is of a data stream, whose indices cannot be closed to take the setting back"})
	}
	if err := r.check(ctx, x, out, before, settings["index.blocks.read"] == "true"); err != nil {
		return err
	}
	mended, err := r.repair(ctx, x, out, settings)
	if err != nil {
		return err
	}
	if mended {
		if err := r.recheck(ctx, x, out); err != nil {
			return err
		}
	}
	if r.o.CheckOnStartup && x.DataStream == "" && settings["index.shard.check_on_startup"] == "true" {
		if err := r.checkedOnce(ctx, x, out); err != nil {
			return err
		}
	}
	if r.o.Replicas != nil && !before {
		path := "/" + url.PathEscape(out.Target) + "/_settings"
		if err := r.call(ctx, http.MethodPut, path, map[string]any{"index.number_of_replicas": *r.o.Replicas}, nil); err != nil {
			return fmt.Errorf("set the number of replicas: %w", err)
		}
	}
	if x.Closed {
		if err := r.call(ctx, http.MethodPost, "/"+url.PathEscape(out.Target)+"/_close", nil, nil); err != nil {
			return fmt.Errorf("close it again: %w", err)
		}
		out.Notes = append(out.Notes, "it is closed, as it was")
		return nil
	}
	return r.settle(ctx, out)
}

// settings gives those of an index, flat; those that are lists are left out.
func (r *runner) settings(ctx context.Context, name string) (map[string]string, error) {
	var answer map[string]struct{ Settings map[string]any }
	if err := r.get(ctx, "/"+url.PathEscape(name)+"/_settings?flat_settings=true", &answer); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	flat := map[string]string{}
	for key, v := range answer[name].Settings {
		if text, ok := v.(string); ok {
			flat[key] = text
		}
	}
	return flat, nil
}

// describe notes what else came with an index.
func (r *runner) describe(ctx context.Context, out *Outcome, settings map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if strings.HasPrefix(key, "index.blocks.") && settings[key] == "true" {
			out.Notes = append(out.Notes, key+" is set, as in the snapshot")
		}
	}
	var answer map[string]struct{ Aliases map[string]any }
	if err := r.get(ctx, "/"+url.PathEscape(out.Target)+"/_alias", &answer); err != nil {
		return fmt.Errorf("aliases: %w", err)
	}
	out.Aliases = slices.Sorted(maps.Keys(answer[out.Target].Aliases))
	return nil
}

// checkedOnce takes back that an index's shards are checked whenever they start. The setting can only be changed while
// the index is closed: so it is closed, and opened again unless it is to be closed.
func (r *runner) checkedOnce(ctx context.Context, x *Index, out *Outcome) error {
	path := "/" + url.PathEscape(out.Target)
	err := r.call(ctx, http.MethodPost, path+"/_close", nil, nil)
	if err == nil {
		err = r.call(ctx, http.MethodPut, path+"/_settings", map[string]any{"index.shard.check_on_startup": nil}, nil)
	}
	if err == nil && !x.Closed {
		err = r.reopen(ctx, out.Target)
	}
	if err != nil {
		return fmt.Errorf("take index.shard.check_on_startup back: %w", err)
	}
	return nil
}

// reopen opens an index and waits until its primary shards are there.
func (r *runner) reopen(ctx context.Context, name string) error {
	if err := r.call(ctx, http.MethodPost, "/"+url.PathEscape(name)+"/_open", nil, nil); err != nil {
		return fmt.Errorf("open it: %w", err)
	}
	broken, err := r.follow(ctx, &unit{indices: make([]Index, 1), outcomes: []*Outcome{{Target: name}}})
	if err == nil && broken[name] != "" {
		err = errors.New(broken[name])
	}
	return err
}
