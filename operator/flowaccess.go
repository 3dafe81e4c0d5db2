package operator

import (
	"context"
	"crypto/rand"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/narudata/naru/operator/v1alpha1"
)

// Where pods of pipelines answer, and the Secret with the password for it, one in each namespace: keys username and password.
const (
	apiPort   = 9600
	apiSecret = "naru-api" //nolint:gosec // a name
	apiUser   = "naru"
)

// apiAccess is what pods of a namespace answer to, as it was read at a time.
type apiAccess struct {
	username, password string
	at                 time.Time
}

// believed is how long a password that was read is believed to be the one, unless there is a reason to doubt it.
const believed = 5 * time.Minute

// access reads the Secret of a namespace, and makes it if there is none. It is nobody's child: all Flows of the namespace use it, and
// whoever makes it first, an external secret say, decides.
func (r *Flows) access(ctx context.Context, namespace string) (apiAccess, error) {
	r.mu.Lock()
	known, ok := r.passwords[namespace]
	r.mu.Unlock()
	if ok && time.Since(known.at) < believed {
		return known, nil
	}
	var s corev1.Secret
	name := types.NamespacedName{Namespace: namespace, Name: apiSecret}
	err := r.Reader.Get(ctx, name, &s)
	if apierrors.IsNotFound(err) {
		s = corev1.Secret{Type: corev1.SecretTypeBasicAuth, Data: map[string][]byte{
			// Logstash wants letters of both cases and digits.
			corev1.BasicAuthUsernameKey: []byte(apiUser), corev1.BasicAuthPasswordKey: []byte("Aa1-" + rand.Text()),
		}}
		s.Name, s.Namespace, s.Labels = apiSecret, namespace, labelled(nil, nil)
		err = r.Client.Create(ctx, &s, client.FieldOwner(v1alpha1.FieldManager))
		if apierrors.IsAlreadyExists(err) { // another Flow was quicker
			err = r.Reader.Get(ctx, name, &s)
		}
	}
	if apierrors.IsForbidden(err) && !gone(err) {
		return apiAccess{}, &refusedError{"Secret " + apiSecret, err}
	}
	if err != nil {
		return apiAccess{}, err
	}
	known = apiAccess{string(s.Data[corev1.BasicAuthUsernameKey]), string(s.Data[corev1.BasicAuthPasswordKey]), time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.passwords == nil {
		r.passwords = map[string]apiAccess{}
	}
	r.passwords[namespace] = known
	return known, nil
}

// doubt has the Secret read anew: somebody may have changed it, or taken it away.
func (r *Flows) doubt(namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a, ok := r.passwords[namespace]; ok && time.Since(a.at) > time.Second {
		delete(r.passwords, namespace)
	}
}
