package agent

import (
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/narudata/naru/format/filebeat"
	"github.com/narudata/naru/format/tree"
)

// A podPath is what the path of a container's log says:
//
//	/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log
//	/var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log
//	/var/lib/docker/containers/ID/ID-json.log
type podPath struct {
	pod, namespace, uid, container, id string
}

// parsePodPath takes a path apart; false: it is none of these.
func parsePodPath(p string) (podPath, bool) {
	folder, name := path.Split(p)
	folder = strings.TrimSuffix(folder, "/")
	parts := strings.Split(folder, "/")
	if stem, ok := strings.CutSuffix(name, ".log"); ok && parts[len(parts)-1] == "containers" {
		if f := strings.SplitN(stem, "_", 3); len(f) == 3 && f[0] != "" && f[1] != "" {
			if dash := strings.LastIndexByte(f[2], '-'); dash > 0 && isHex(f[2][dash+1:]) {
				return podPath{pod: f[0], namespace: f[1], container: f[2][:dash], id: f[2][dash+1:]}, true
			}
		}
	}
	for i := len(parts) - 3; i >= 0; i-- {
		if parts[i] == "pods" && i+2 == len(parts)-1 {
			if f := strings.Split(parts[i+1], "_"); len(f) == 3 && f[0] != "" && f[1] != "" {
				return podPath{namespace: f[0], pod: f[1], uid: f[2], container: parts[i+2]}, true
			}
		}
	}
	if id := parts[len(parts)-1]; len(parts) >= 2 && parts[len(parts)-2] == "containers" && isHex(id) && strings.HasPrefix(name, id) {
		return podPath{id: id}, true
	}
	return podPath{}, false
}

func isHex(s string) bool {
	if len(s) < 12 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// addKubernetes adds what the path of a container's log says of its pod and, if the API server can be asked, its labels,
// annotations, owners, node and image.
func addKubernetes(s *filebeat.Section, env *environment) Processor {
	k := &kubernetes{env: env, known: map[string]tree.Object{}}
	k.labels = s.Texts("include_labels")
	k.without = s.Texts("exclude_labels")
	k.annotations = s.Texts("include_annotations")
	k.dots, k.annotationDots = !s.Bool("labels.dedot", true), !s.Bool("annotations.dedot", true)
	node := s.Text("node", s.Text("host", ""))
	s.Each(filebeat.Different, "naru asks the API server as the pod's own service account does", "give the pod a service account that may list pods", "kube_config", "kube_client_options")
	s.Each(filebeat.Note, "naru looks at paths of logs only", "", "default_indexers.enabled", "default_matchers.enabled", "indexers", "matchers", "default_indexers", "default_matchers")
	s.Each(filebeat.Different, "metadata of nodes and namespaces are not asked for", "", "add_resource_metadata")
	s.Know("in_cluster", "scope", "sync_period", "use_kubeadm", "skip_older", "cleanup_timeout", "wait_metadata_timeout", "namespace")
	k.api = env.pods(node)
	return k.add
}

// kubernetes is one such processor.
type kubernetes struct {
	env                          *environment
	api                          *podList // nil: there is no API server
	labels, without, annotations []string
	dots, annotationDots         bool

	mu    sync.Mutex             // guards what follows
	known map[string]tree.Object // what is said of a path
	of    uint64                 // the generation of the list of pods that it is of
}

// mostPaths bounds the paths that are remembered.
const mostPaths = 10_000

func (k *kubernetes) add(e *Event) bool {
	file := e.Text("log.file.path")
	if file == "" {
		return true
	}
	if fields := k.fields(file); fields != nil {
		e.Fields = merge(e.Fields, fields, true)
	}
	return true
}

func (k *kubernetes) fields(file string) tree.Object {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := parsePodPath(file)
	if !ok {
		return nil
	}
	var found *pod
	if k.api != nil {
		var generation uint64
		if found, generation = k.api.find(p); generation != k.of || len(k.known) >= mostPaths {
			clear(k.known)
			k.of = generation
		}
	}
	if f, ok := k.known[file]; ok {
		return f
	}
	f := k.describe(p, found)
	k.known[file] = f
	return f
}

func (k *kubernetes) describe(p podPath, found *pod) tree.Object {
	var o tree.Object
	set := func(name, value string) {
		if value != "" {
			o = put(o, name, value)
		}
	}
	var image, runtime string
	if found != nil {
		p.pod, p.namespace, p.uid = found.Metadata.Name, found.Metadata.Namespace, found.Metadata.UID
		for _, c := range slices.Concat(found.Status.Containers, found.Status.Init) {
			kind, id, _ := strings.Cut(c.ID, "://")
			if p.id != "" && id == p.id || p.id == "" && c.Name == p.container {
				p.container, p.id, image, runtime = c.Name, id, c.Image, kind
			}
		}
	}
	set("kubernetes.pod.name", p.pod)
	set("kubernetes.pod.uid", p.uid)
	set("kubernetes.namespace", p.namespace)
	set("kubernetes.container.name", p.container)
	set("container.id", p.id)
	set("container.image.name", image)
	set("container.runtime", runtime)
	if found == nil {
		if node := k.env.variable("NODE_NAME"); node != "" {
			set("kubernetes.node.name", node)
		}
		return o
	}
	set("kubernetes.node.name", found.Spec.Node)
	set("kubernetes.pod.ip", found.Status.IP)
	for _, owner := range found.Metadata.Owners {
		if !owner.Controller {
			continue
		}
		switch owner.Kind {
		case "ReplicaSet":
			set("kubernetes.replicaset.name", owner.Name)
			if hash := found.Metadata.Labels["pod-template-hash"]; hash != "" {
				if name, ok := strings.CutSuffix(owner.Name, "-"+hash); ok {
					set("kubernetes.deployment.name", name)
				}
			}
		case "StatefulSet", "DaemonSet", "Job", "CronJob", "Deployment":
			set("kubernetes."+strings.ToLower(owner.Kind)+".name", owner.Name)
		}
	}
	if l := k.selected(found.Metadata.Labels, k.dots, func(n string) bool {
		return (len(k.labels) == 0 || slices.Contains(k.labels, n)) && !slices.Contains(k.without, n)
	}); len(l) > 0 {
		o = put(o, "kubernetes.labels", l)
	}
	if a := k.selected(found.Metadata.Annotations, k.annotationDots, func(n string) bool { return slices.Contains(k.annotations, n) }); len(a) > 0 {
		o = put(o, "kubernetes.annotations", a)
	}
	return o
}

// selected gives labels; their dots become underscores, unless they are to be fields within fields.
func (k *kubernetes) selected(from map[string]string, dots bool, want func(string) bool) tree.Object {
	var o tree.Object
	for _, name := range slices.Sorted(maps.Keys(from)) {
		switch {
		case !want(name):
		case dots:
			o = merge(o, expand(tree.Object{{Name: name, Value: from[name]}}), true)
		default:
			o = append(o, tree.Member{Name: strings.ReplaceAll(name, ".", "_"), Value: from[name]})
		}
	}
	return o
}
