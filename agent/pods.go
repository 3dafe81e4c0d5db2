package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A pod is what is read of one.
type pod struct {
	Metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		UID         string            `json:"uid"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		Owners      []struct {
			Kind       string `json:"kind"`
			Name       string `json:"name"`
			Controller bool   `json:"controller"`
		} `json:"ownerReferences"`
	} `json:"metadata"`
	Spec struct {
		Node string `json:"nodeName"`
	} `json:"spec"`
	Status struct {
		IP         string            `json:"podIP"`
		Containers []containerStatus `json:"containerStatuses"`
		Init       []containerStatus `json:"initContainerStatuses"`
	} `json:"status"`

	seen time.Time
}

type containerStatus struct {
	Name  string `json:"name"`
	Image string `json:"image"`
	ID    string `json:"containerID"` // containerd://…
}

const (
	podsEvery   = 30 * time.Second // how often the list is asked for
	podsSoon    = 2 * time.Second  // and at most, if a pod is not in it
	podsPatient = 2 * time.Second  // how long an event waits for the answer
	podsKept    = 10 * time.Minute // pods that are gone: their logs are still read
	mostPods    = 5000
	mostAnswer  = 64 << 20 // bytes
)

// A podList is the pods of this node, as the API server lists them. It is asked when it is needed, and not at all while no
// event comes.
type podList struct {
	url    string // of the API server
	node   string
	token  string // a file: it is renewed
	client *http.Client
	log    *slog.Logger
	now    func() time.Time

	mu         sync.Mutex // guards what follows
	pods       map[string]*pod
	byID       map[string]*pod // by the id of a container
	byUID      map[string]*pod
	generation uint64
	asked      time.Time
	warned     time.Time
}

// serviceAccount is where a pod finds its credentials.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// newPodList gives the list of a node; nil: this is no pod, or its node is not known.
func newPodList(node, account string, variable func(string) string, log *slog.Logger, now func() time.Time) *podList {
	host, port := variable("KUBERNETES_SERVICE_HOST"), variable("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil
	}
	for _, name := range []string{"NODE_NAME", "KUBERNETES_NODE_NAME"} {
		if node == "" {
			node = variable(name)
		}
	}
	if node == "" {
		log.Warn("labels of pods are not asked for: set NODE_NAME to spec.nodeName in the agent's pod")
		return nil
	}
	ca, err := os.ReadFile(filepath.Join(account, "ca.crt"))
	if err != nil {
		log.Warn("labels of pods are not asked for: the pod has no service account", "error", err)
		return nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DialContext: (&net.Dialer{Timeout: podsPatient}).DialContext,
		MaxIdleConns: 1, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: podsPatient,
	}
	return &podList{
		url: "https://" + net.JoinHostPort(host, port), node: node, token: filepath.Join(account, "token"),
		client: &http.Client{Transport: transport}, log: log, now: now,
		pods: map[string]*pod{}, byID: map[string]*pod{}, byUID: map[string]*pod{},
	}
}

// find gives the pod of a log; nil: it is not known. The list is asked for if it is old, or does not have it.
func (l *podList) find(p podPath) (*pod, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.have(p)
	since := l.now().Sub(l.asked)
	if since > podsEvery || found == nil && since > podsSoon {
		l.refresh()
		found = l.have(p)
	}
	return found, l.generation
}

func (l *podList) have(p podPath) *pod {
	if f := l.byID[p.id]; f != nil && p.id != "" {
		return f
	}
	if f := l.byUID[p.uid]; f != nil && p.uid != "" {
		return f
	}
	if f := l.pods[p.namespace+"/"+p.pod]; f != nil && p.pod != "" && p.uid == "" {
		return f
	}
	return nil
}

func (l *podList) refresh() {
	l.asked = l.now()
	pods, err := l.ask()
	if err != nil {
		if l.asked.Sub(l.warned) > time.Minute {
			l.warned = l.asked
			l.log.Warn("the API server of Kubernetes does not list the node's pods: events have what paths say", "node", l.node, "error", err)
		}
		return
	}
	l.generation++
	old := l.byUID
	l.pods, l.byID, l.byUID = map[string]*pod{}, map[string]*pod{}, map[string]*pod{}
	for i := range pods {
		pods[i].seen = l.asked
		l.enter(&pods[i])
	}
	for uid, p := range old {
		if _, there := l.byUID[uid]; !there && l.asked.Sub(p.seen) < podsKept && len(l.byUID) < mostPods {
			l.enter(p)
		}
	}
}

func (l *podList) enter(p *pod) {
	l.byUID[p.Metadata.UID] = p
	// A static pod has another UID on its node than in the API server.
	if mirror := p.Metadata.Annotations["kubernetes.io/config.hash"]; mirror != "" {
		l.byUID[mirror] = p
	}
	if name := p.Metadata.Namespace + "/" + p.Metadata.Name; l.pods[name] == nil {
		l.pods[name] = p
	}
	for _, of := range [][]containerStatus{p.Status.Containers, p.Status.Init} {
		for _, c := range of {
			if _, id, ok := strings.Cut(c.ID, "://"); ok {
				l.byID[id] = p
			}
		}
	}
}

func (l *podList) ask() (pods []pod, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), podsPatient)
	defer cancel()
	q := url.Values{"fieldSelector": {"spec.nodeName=" + l.node}, "resourceVersion": {"0"}} // 0: of the API server's memory
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"/api/v1/pods?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(l.token)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	r.Header.Set("Accept", "application/json")
	answer, err := l.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if answer.StatusCode != http.StatusOK {
		why := ""
		if answer.StatusCode == http.StatusForbidden {
			why = ": its service account may not list pods"
		}
		return nil, fmt.Errorf("it answers %s%s", answer.Status, why)
	}
	var list struct {
		Items []pod `json:"items"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, mostAnswer)).Decode(&list); err != nil {
		return nil, fmt.Errorf("its answer cannot be read: %w", err)
	}
	if len(list.Items) > mostPods {
		list.Items = list.Items[:mostPods]
	}
	return list.Items, nil
}
