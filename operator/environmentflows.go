package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/estate"
	"github.com/narudata/naru/operator/v1alpha1"
)

// EnvironmentLabel is on Flows that an Environment declares: its name.
const EnvironmentLabel = "naru.dev/environment"

// kubeFlows is where the flows and pipelines of an Environment run: Flows of its namespace. Their state is their generation, so that
// status is no change. They have no owner: what becomes of them is the deletionPolicy's to say.
type kubeFlows struct {
	client client.Client
	env    *v1alpha1.Environment
}

var _ estate.Flows = (*kubeFlows)(nil)

func newFlow() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Flow"))
	return u
}

func (f *kubeFlows) List(ctx context.Context) (map[string]*estate.Live, error) {
	var list v1alpha1.FlowList
	if err := f.client.List(ctx, &list, client.InNamespace(f.env.Namespace)); err != nil {
		return nil, fmt.Errorf("list the Flows of %s: %w", f.env.Namespace, err)
	}
	all := map[string]*estate.Live{}
	for i := range list.Items {
		flow := &list.Items[i]
		if !flow.DeletionTimestamp.IsZero() {
			continue
		}
		live, err := liveFlow(flow)
		if err != nil {
			return nil, err
		}
		all[flow.Name] = live
	}
	return all, nil
}

func (f *kubeFlows) Get(ctx context.Context, name string) (*estate.Live, error) {
	flow, err := f.get(ctx, name)
	if flow == nil || err != nil {
		return nil, err
	}
	return liveFlow(flow)
}

// get reads the Flow as it is now; nil: there is none, or it is on its way out.
func (f *kubeFlows) get(ctx context.Context, name string) (*v1alpha1.Flow, error) {
	var flow v1alpha1.Flow
	err := f.client.Get(ctx, types.NamespacedName{Namespace: f.env.Namespace, Name: name}, &flow)
	if apierrors.IsNotFound(err) || err == nil && !flow.DeletionTimestamp.IsZero() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the Flow %s/%s: %w", f.env.Namespace, name, err)
	}
	return &flow, nil
}

// liveFlow is the spec as an object of an estate.
func liveFlow(flow *v1alpha1.Flow) (*estate.Live, error) {
	raw, err := json.Marshal(flow.Spec)
	if err != nil {
		return nil, fmt.Errorf("the Flow %s/%s: %w", flow.Namespace, flow.Name, err)
	}
	body, err := numbered(raw)
	if err != nil {
		return nil, fmt.Errorf("the Flow %s/%s: %w", flow.Namespace, flow.Name, err)
	}
	return &estate.Live{Body: body, SeqNo: flow.Generation, Term: 1}, nil
}

// errFlowMoved is that somebody changed a Flow since it was looked at.
var errFlowMoved = errors.New("somebody else changed the Flow since")

// Put applies the spec as the field manager of naru: fields that others own, replicas under an autoscaler, say, stay theirs unless the
// body has them.
func (f *kubeFlows) Put(ctx context.Context, name string, body estate.Body, live *estate.Live) error {
	now, err := f.get(ctx, name)
	if err != nil {
		return err
	}
	if (now == nil) != (live == nil) || now != nil && now.Generation != live.SeqNo {
		return errFlowMoved
	}
	spec, err := plainJSON(body)
	if err != nil {
		return fmt.Errorf("flow %s: %w", name, err)
	}
	u := newFlow()
	u.SetNamespace(f.env.Namespace)
	u.SetName(name)
	u.SetLabels(map[string]string{EnvironmentLabel: f.env.Name})
	u.Object["spec"] = spec
	if now != nil {
		u.SetUID(now.UID) // not another one of the same name
	}
	err = f.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(v1alpha1.FieldManager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply the Flow %s/%s: %w", f.env.Namespace, name, err)
	}
	return nil
}

func (f *kubeFlows) Remove(ctx context.Context, name string, live *estate.Live) error {
	now, err := f.get(ctx, name)
	if err != nil || now == nil {
		return err
	}
	if live != nil && now.Generation != live.SeqNo {
		return errFlowMoved
	}
	err = f.client.Delete(ctx, now, client.Preconditions{UID: &now.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	return client.IgnoreNotFound(err)
}

// numbered decodes JSON with numbers as they were written.
func numbered(raw []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var o map[string]any
	return o, d.Decode(&o)
}

// plainJSON is a value as Kubernetes' unstructured objects hold it: int64 and float64 for numbers.
func plainJSON(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	wrapped, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Value", "value": json.RawMessage(raw)})
	if err != nil {
		return nil, err
	}
	if err := u.UnmarshalJSON(wrapped); err != nil {
		return nil, err
	}
	o, _ := u.Object["value"].(map[string]any)
	return o, nil
}
