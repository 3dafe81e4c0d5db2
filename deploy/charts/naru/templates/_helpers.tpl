{{- define "naru.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "naru.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "naru.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "naru.selector" -}}
app.kubernetes.io/name: {{ include "naru.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "naru.labels" -}}
{{ include "naru.selector" . }}
app.kubernetes.io/part-of: naru
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "naru.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "naru.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "naru.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Rules of egress to the DNS. */}}
{{- define "naru.egressDNS" -}}
- to:
  - namespaceSelector: {{ toJson .Values.networkPolicy.dns.namespaceSelector }}
    podSelector: {{ toJson .Values.networkPolicy.dns.podSelector }}
  ports:
  - {port: 53, protocol: UDP}
  - {port: 53, protocol: TCP}
{{- end }}

{{- /* What cannot be rendered into something that works is an error that says what to do. */}}
{{- define "naru.check" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.operator.leaderElection) }}
{{- fail "replicas is more than 1 and operator.leaderElection is false: two operators would work on the same resources. Set operator.leaderElection=true" }}
{{- end }}
{{- if and .Values.flowNetworkPolicy.enabled (not .Values.flowNetworkPolicy.namespaces) (not .Values.operator.namespaces) }}
{{- fail "flowNetworkPolicy.enabled: name the namespaces of flows in flowNetworkPolicy.namespaces; a NetworkPolicy is always of one namespace" }}
{{- end }}
{{- end }}
