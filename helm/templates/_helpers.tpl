{{/* The chart's name, or what replaces it. */}}
{{- define "echo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/*
The name of every object: the release's, with the chart's behind it unless that is in it already, so that
`helm install echo` gives `echo`. At most 63 characters, as a Service's name.
*/}}
{{- define "echo.fullname" -}}
{{- $name := include "echo.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods. A Deployment's selector can't be changed: nothing may ever be added here. */}}
{{- define "echo.selectorLabels" -}}
app.kubernetes.io/name: {{ include "echo.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* A pod's labels. Those that change with the chart alone are left out, or each would cause a rollout. */}}
{{- define "echo.podLabels" -}}
{{ include "echo.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: server
app.kubernetes.io/part-of: {{ include "echo.name" . | quote }}
{{- end -}}

{{/* Labels that say that Helm made it: the only ones that the manifests in k8s/ lack. */}}
{{- define "echo.helmLabels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ */}}
{{- define "echo.labels" -}}
{{ include "echo.podLabels" . }}
{{ include "echo.helmLabels" . }}
{{- end -}}

{{/*
Labels of the pod of `helm test`. Not the selector's: the Service would send requests to a pod that answers none.
*/}}
{{- define "echo.testLabels" -}}
{{ include "echo.testSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: test
app.kubernetes.io/part-of: {{ include "echo.name" . | quote }}
{{ include "echo.helmLabels" . }}
{{- end -}}

{{- define "echo.testSelectorLabels" -}}
app.kubernetes.io/name: {{ printf "%s-test" (include "echo.name" .) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/*
Labels and annotations of an object. `of`: the values with its `labels` and `annotations`; `own`: the chart's labels for
it. What is common comes first, then what is the object's, then the chart's own, which nothing may replace.
*/}}
{{- define "echo.metadata" -}}
{{- $labels := merge (.own | fromYaml) (.of.labels | default dict) .root.Values.commonLabels -}}
{{- $annotations := merge (dict) (.of.annotations | default dict) .root.Values.commonAnnotations -}}
labels:
  {{- include "echo.tpl" (dict "value" $labels "root" .root) | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- include "echo.tpl" (dict "value" . "root" $.root) | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The beginning of an object by the chart's name. `of`: the values with its `labels` and `annotations`. */}}
{{- define "echo.named" -}}
metadata:
  name: {{ include "echo.fullname" .root | quote }}
  {{- include "echo.metadata" (dict "of" .of "own" (include "echo.labels" .root) "root" .root) | nindent 2 }}
{{- end -}}

{{/*
A value as YAML, every text in it taken for a template. Text by text, and not as one text of YAML, so that a template may
hold quotes, and its result anything.
*/}}
{{- define "echo.tpl" -}}
{{- get (include "echo.tplJson" . | printf "{\"value\": %s}" | fromJson) "value" | toYaml -}}
{{- end -}}

{{- define "echo.tplJson" -}}
{{- $root := .root -}}
{{- if kindIs "string" .value -}}
{{- if contains "{{" .value }}{{ tpl .value $root | toJson }}{{ else }}{{ .value | toJson }}{{ end -}}
{{- else if kindIs "map" .value -}}
{{- $parts := list -}}
{{- range $key, $value := .value -}}
{{- $parts = printf "%s: %s" ($key | toJson) (include "echo.tplJson" (dict "value" $value "root" $root)) | append $parts -}}
{{- end -}}
{{ printf "{%s}" (join ", " $parts) }}
{{- else if kindIs "slice" .value -}}
{{- $parts := list -}}
{{- range .value -}}
{{- $parts = include "echo.tplJson" (dict "value" . "root" $root) | append $parts -}}
{{- end -}}
{{ printf "[%s]" (join ", " $parts) }}
{{- else -}}
{{- .value | toJson -}}
{{- end -}}
{{- end -}}

{{- define "echo.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "echo.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* By its digest where one is given; then the tag is there only to be read, and only if somebody wrote it. */}}
{{- define "echo.image" -}}
{{- with .Values.image -}}
{{- if and .digest (not .tag) -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the certificate, or nothing. */}}
{{- define "echo.tlsSecret" -}}
{{- if .Values.tls.secretName -}}
{{- .Values.tls.secretName -}}
{{- else if .Values.tls.certificate.enabled -}}
{{- printf "%s-tls" (include "echo.fullname" . | trunc 59 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* Whether the pods serve TLS, from a Secret or from a file that a volume brings: "yes", or nothing. */}}
{{- define "echo.servesTls" -}}
{{- if or (include "echo.tlsSecret" .) .Values.echo.tlsCert -}}yes{{- end -}}
{{- end -}}

{{/*
Whether the Service has a port for TLS: "yes", or nothing. A headless one has not, since its clients find the pods, and
their one port, by themselves.
*/}}
{{- define "echo.httpsPort" -}}
{{- if and (include "echo.servesTls" .) (ne .Values.service.clusterIP "None") -}}yes{{- end -}}
{{- end -}}

{{/* The Service with the admin port, for a ServiceMonitor; as long as a Service's name can be. */}}
{{- define "echo.metricsName" -}}
{{- printf "%s-metrics" (include "echo.fullname" . | trunc 55 | trimSuffix "-") -}}
{{- end -}}

{{/* Whether a setting that is on or off is on: "yes", or nothing. YAML may have taken it for a boolean. */}}
{{- define "echo.isOn" -}}
{{- if has (toString .) (list "on" "true") -}}yes{{- end -}}
{{- end -}}

{{- define "echo.speaksTlsOnly" -}}
{{- include "echo.isOn" .Values.echo.tlsOnly -}}
{{- end -}}

{{/* The port of the Service that answers for sure. */}}
{{- define "echo.askedPort" -}}
{{- if and (include "echo.speaksTlsOnly" .) (include "echo.httpsPort" .) -}}
{{- int64 .Values.service.tlsPort -}}
{{- else -}}
{{- int64 .Values.service.port -}}
{{- end -}}
{{- end -}}

{{/* Whether somebody without a certificate is answered, as `helm test` is: "yes", or nothing. */}}
{{- define "echo.canBeProbed" -}}
{{- $asked := or (eq .Values.tls.clientAuth "require") (and .Values.echo.tlsClientCa (ne (toString .Values.echo.tlsClientAuth) "request")) -}}
{{- if not (and $asked (include "echo.speaksTlsOnly" .)) -}}yes{{- end -}}
{{- end -}}

{{/*
A setting of the service as the text that its variable has: lists with commas, on and off for what YAML takes for a
boolean, and no exponent in whole numbers, which Helm reads from files as fractions.
*/}}
{{- define "echo.setting" -}}
{{- if kindIs "bool" . -}}
{{- ternary "on" "off" . -}}
{{- else if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* The settings of the service that differ from its own defaults, as variables. */}}
{{- define "echo.settings" -}}
{{- range $name, $value := omit .Values.echo "labels" }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
- name: {{ printf "ECHO_%s" ($name | snakecase | upper) }}
  value: {{ include "echo.setting" $value | quote }}
{{- end }}
{{- end }}
{{- if include "echo.tlsSecret" . }}
- name: ECHO_TLS_CERT
  value: /tls/tls.crt
- name: ECHO_TLS_KEY
  value: /tls/tls.key
{{- with .Values.tls.clientAuth }}
- name: ECHO_TLS_CLIENT_CA
  value: /tls/ca.crt
- name: ECHO_TLS_CLIENT_AUTH
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The seconds that a pod needs to leave: the preStop sleep, and the drain. */}}
{{- define "echo.leavingSeconds" -}}
{{- add .Values.preStopSeconds (ceil .Values.echo.drainSeconds | int64) -}}
{{- end -}}

{{/* The least number of pods that there can be in good times. */}}
{{- define "echo.replicas" -}}
{{- if .Values.autoscaling.enabled }}{{ int64 .Values.autoscaling.minReplicas }}{{ else }}{{ int64 .Values.replicaCount }}{{ end -}}
{{- end -}}

{{/*
How many pods there are, where an autoscaler decides and the Deployment is there; empty where nothing should be said.

Who takes back what it has set, sets the default: one pod, until the autoscaler looks. So what is there is said again,
unless Helm, applying on the server's side, has nothing to take back, or somebody else has set it as well; and unless it
is none, at which an autoscaler would stay.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
*/}}
{{- define "echo.replicasAsTheyAre" -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace (include "echo.fullname" .) -}}
{{- $applied := false -}}
{{- $own := false -}}
{{- $others := false -}}
{{- range .metadata.managedFields -}}
{{- $set := hasKey (dig "f:spec" dict (default dict .fieldsV1)) "f:replicas" -}}
{{- if ne .manager "helm" -}}
{{- $others = or $others $set -}}
{{- else if eq .operation "Apply" -}}
{{- $applied = true -}}
{{- $own = $set -}}
{{- end -}}
{{- end -}}
{{- /* Helm 3, which does not apply, compares with what it said before, whoever has set it since. */ -}}
{{- if and .spec.replicas (or (not $applied) (and $own (not $others))) -}}{{ int64 .spec.replicas }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* A probe of the admin port. `of`: its values; `path`: what it asks. */}}
{{- define "echo.probe" -}}
{{- if .of.grpc -}}
# grpc.health.v1.Health/Check; by number, since a probe of this kind knows no names of ports.
grpc:
  port: 8080
{{- else -}}
httpGet:
  path: {{ .path }}
  port: admin
{{- end }}
{{- with .of.initialDelaySeconds }}
initialDelaySeconds: {{ . }}
{{- end }}
periodSeconds: {{ .of.periodSeconds }}
timeoutSeconds: {{ .of.timeoutSeconds }}
failureThreshold: {{ .of.failureThreshold }}
{{- if gt (int64 (default 1 .of.successThreshold)) 1 }}
successThreshold: {{ .of.successThreshold }}
{{- end }}
{{- end -}}
