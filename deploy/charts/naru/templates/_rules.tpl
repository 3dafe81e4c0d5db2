{{- /* What the operator does to resources of the namespaces that it works on. */}}
{{- define "naru.rules" -}}
# naru's own kinds. An Environment may declare flows: it makes Flows of them, and an ephemeral one deletes itself.
- apiGroups: [naru.dev]
  resources: [flows, migrations, environments]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [naru.dev]
  resources: [flows/status, migrations/status, environments/status]
  verbs: [get, update, patch]
- apiGroups: [naru.dev]
  resources: [flows/finalizers, migrations/finalizers, environments/finalizers]
  verbs: [update]
# What flows and migrations run as.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# Credentials of an Environment's systems, one by one, by the name that it gives.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
