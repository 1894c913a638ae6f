{{/*
Replace groups of values that are null, as a key without anything below it is in YAML, by empty ones: every template reads
.Values.group.key. Each template file begins with it, since Helm promises no order.
*/}}
{{- define "echo.prepare" -}}
{{- range $path := list "image" "config" "tls" "tls.certificate" "tls.certificate.issuerRef" "service" "ingress" "httpRoute" "grpcRoute" "autoscaling" "podDisruptionBudget" "networkPolicy" "podMonitor" "serviceMonitor" "prometheusRule" "grafanaDashboard" "serviceAccount" "deployment" "testPod" "probes" "probes.startup" "probes.liveness" "probes.readiness" "global" -}}
{{- $parent := $.Values -}}
{{- $keys := splitList "." $path -}}
{{- range initial $keys -}}
{{- $parent = get $parent . -}}
{{- end -}}
{{- if not (get $parent (last $keys)) -}}
{{- $_ := set $parent (last $keys) dict -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The chart's name, or nameOverride. */}}
{{- define "echo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/*
The name of every object: release and chart name, or the release's alone if it contains the chart's, so that
`helm install echo` gives `echo`. A Service's name has at most 63 characters and no dots, which a release's may have.
*/}}
{{- define "echo.fullname" -}}
{{- $name := include "echo.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | replace "." "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
A string as the value of a label: at most 63 characters, the first and the last of them alphanumeric.
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
*/}}
{{- define "echo.labelValue" -}}
{{- regexReplaceAll "^[^A-Za-z0-9]+|[^A-Za-z0-9]+$" (regexReplaceAll "[^-A-Za-z0-9_.]" . "_" | trunc 63) "" -}}
{{- end -}}

{{/* The labels that select the pods. A Deployment's selector is immutable: never add one. */}}
{{- define "echo.selectorLabels" -}}
app.kubernetes.io/name: {{ include "echo.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of a pod, without those that change with the chart alone: each upgrade of the chart would restart the pods. */}}
{{- define "echo.podLabels" -}}
{{ include "echo.selectorLabels" . }}
app.kubernetes.io/version: {{ include "echo.labelValue" .Chart.AppVersion | quote }}
app.kubernetes.io/component: server
app.kubernetes.io/part-of: {{ include "echo.name" . | quote }}
{{- end -}}

{{/* Labels that name Helm and the chart: the only ones that the manifests in k8s/ lack. */}}
{{- define "echo.helmLabels" -}}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | include "echo.labelValue" | quote }}
{{- end -}}

{{/* https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ */}}
{{- define "echo.labels" -}}
{{ include "echo.podLabels" . }}
{{ include "echo.helmLabels" . }}
{{- end -}}

{{/* Labels of the pod of `helm test`: not the selector's, or the Service would send requests to it. */}}
{{- define "echo.testLabels" -}}
{{ include "echo.testSelectorLabels" . }}
app.kubernetes.io/version: {{ include "echo.labelValue" .Chart.AppVersion | quote }}
app.kubernetes.io/component: test
app.kubernetes.io/part-of: {{ include "echo.name" . | quote }}
{{ include "echo.helmLabels" . }}
{{- end -}}

{{- define "echo.testSelectorLabels" -}}
app.kubernetes.io/name: {{ printf "%s-test" (include "echo.name" .) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/*
Labels and annotations of an object. `of`: the group of values with its `labels` and `annotations`; `own`: the chart's
labels for it. The chart's own win over the object's, the object's over the common ones.
*/}}
{{- define "echo.metadata" -}}
{{- $labels := merge (.own | fromYaml) (.of.labels | default dict) (.root.Values.commonLabels | default dict) -}}
{{- $annotations := merge (dict) (.of.annotations | default dict) (.root.Values.commonAnnotations | default dict) -}}
labels:
  {{- include "echo.strings" (dict "value" $labels "root" .root) | nindent 2 }}
{{- with include "echo.strings" (dict "value" $annotations "root" .root) }}
annotations:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The metadata of an object by the chart's name, in its own namespace or in the release's. It is always written: who renders
with `helm template` and applies the result would otherwise install into the current namespace. `of`: its group of values.
*/}}
{{- define "echo.named" -}}
metadata:
  name: {{ include "echo.fullname" .root | quote }}
  namespace: {{ .of.namespace | default .root.Release.Namespace | quote }}
  {{- include "echo.metadata" (dict "of" .of "own" (include "echo.labels" .root) "root" .root) | nindent 2 }}
{{- end -}}

{{/* A scalar as text. Helm reads whole numbers from files as floating point, which would be written with an exponent. */}}
{{- define "echo.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* A map of strings as YAML: numbers and booleans quoted, templates rendered, nulls left out; nothing if it is empty. */}}
{{- define "echo.strings" -}}
{{- $strings := dict -}}
{{- $root := .root -}}
{{- range $key, $value := .value -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $text := include "echo.text" $value -}}
{{- if contains "{{" $text -}}
{{- $text = tpl $text $root -}}
{{- end -}}
{{- $_ := set $strings $key $text -}}
{{- end -}}
{{- end -}}
{{- with $strings -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/*
A value as YAML: templates in its strings rendered, keys that are null left out. Each string is rendered by itself, so that
a template may hold quotes and give any text.
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
{{- if not (kindIs "invalid" $value) -}}
{{- $parts = printf "%s: %s" ($key | toJson) (include "echo.tplJson" (dict "value" $value "root" $root)) | append $parts -}}
{{- end -}}
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

{{/* The digest of the image, of image.digest or image.tag, or nothing. */}}
{{- define "echo.imageDigest" -}}
{{- .Values.image.digest | default (splitList "@" (.Values.image.tag | default "") | rest | join "@") -}}
{{- end -}}

{{/* The registry that image.repository begins with, by Docker's rule (a dot, a port, or localhost), or nothing. */}}
{{- define "echo.registryInRepository" -}}
{{- with .Values.image.repository -}}
{{- regexFind "^([^/]*[.:][^/]*|localhost)/" . -}}
{{- end -}}
{{- end -}}

{{/* The image. With a digest, the tag is there for people, and only if it was set. */}}
{{- define "echo.image" -}}
{{- $name := .Values.image.repository -}}
{{- with .Values.global.imageRegistry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .) (trimPrefix (include "echo.registryInRepository" $) $name) -}}
{{- else -}}
{{- with .Values.image.registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .) $name -}}
{{- end -}}
{{- end -}}
{{- $tag := splitList "@" (.Values.image.tag | default "") | first -}}
{{- $digest := include "echo.imageDigest" . -}}
{{- if not (or $tag $digest) -}}
{{- $tag = regexReplaceAll "[^A-Za-z0-9_.-]" .Chart.AppVersion "_" | trunc 128 -}}
{{- end -}}
{{- $name -}}{{- with $tag }}:{{ . }}{{ end -}}{{- with $digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* The names of the pull secrets, the parent chart's first, as the field of a pod; nothing if there are none. */}}
{{- define "echo.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range concat (.Values.global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) -}}
{{- $secret := . -}}
{{- if kindIs "string" . -}}
{{- $secret = dict "name" . -}}
{{- end -}}
{{- $secrets = append $secrets $secret -}}
{{- end -}}
{{- with uniq $secrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
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

{{/* Whether the pods serve TLS, from a Secret or from a file in a volume: "yes", or nothing. */}}
{{- define "echo.servesTls" -}}
{{- if or (include "echo.tlsSecret" .) .Values.config.ECHO_TLS_CERT -}}yes{{- end -}}
{{- end -}}

{{/*
Whether the Service has a port for TLS: "yes", or nothing. A headless one has not: its clients connect to the pods' one
port.
*/}}
{{- define "echo.httpsPort" -}}
{{- if and (include "echo.servesTls" .) (ne (toString .Values.service.clusterIP) "None") -}}yes{{- end -}}
{{- end -}}

{{/* The Service with the admin port, for a ServiceMonitor; at most as long as a Service's name can be. */}}
{{- define "echo.metricsName" -}}
{{- printf "%s-metrics" (include "echo.fullname" . | trunc 55 | trimSuffix "-") -}}
{{- end -}}

{{/* Whether a switch is on: "yes", or nothing. YAML reads `on` as a boolean. */}}
{{- define "echo.isOn" -}}
{{- if has (toString .) (list "on" "true") -}}yes{{- end -}}
{{- end -}}

{{- define "echo.tlsOnly" -}}
{{- include "echo.isOn" .Values.config.ECHO_TLS_ONLY -}}
{{- end -}}

{{/* The port of the Service that is always served. */}}
{{- define "echo.mainPort" -}}
{{- if and (include "echo.tlsOnly" .) (include "echo.httpsPort" .) -}}
{{- int64 .Values.service.tlsPort -}}
{{- else -}}
{{- int64 .Values.service.port -}}
{{- end -}}
{{- end -}}

{{/* Whether clients without a certificate are served, as `helm test` is one: "yes", or nothing. */}}
{{- define "echo.canBeTested" -}}
{{- $config := .Values.config -}}
{{- $required := or (eq (toString .Values.tls.clientAuth) "require") (and $config.ECHO_TLS_CLIENT_CA (ne (toString $config.ECHO_TLS_CLIENT_AUTH) "request")) -}}
{{- if not (and $required (include "echo.tlsOnly" .)) -}}yes{{- end -}}
{{- end -}}

{{/* A setting as the text of its variable: lists with commas, booleans as on and off. `value`, `root`. */}}
{{- define "echo.settingText" -}}
{{- if kindIs "bool" .value -}}
{{- ternary "on" "off" .value -}}
{{- else if kindIs "slice" .value -}}
{{- join "," .value -}}
{{- else -}}
{{- $text := include "echo.text" .value -}}
{{- if contains "{{" $text }}{{ tpl $text .root }}{{ else }}{{ $text }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The settings of the service as environment variables: those that differ from its own defaults. */}}
{{- define "echo.settings" -}}
{{- with .Values.drainSeconds }}
- name: ECHO_DRAIN_SECONDS
  value: {{ include "echo.text" . | quote }}
{{- end }}
{{- range $name, $value := .Values.config }}
{{- if not (or (kindIs "invalid" $value) (eq (toString $value) "")) }}
- name: {{ $name }}
  value: {{ include "echo.settingText" (dict "value" $value "root" $) | quote }}
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

{{/* Seconds from the start of a pod's termination to its end: the preStop sleep, then the drain (10 s in the service). */}}
{{- define "echo.stopSeconds" -}}
{{- add (int64 .Values.preStopSeconds) (.Values.drainSeconds | default 10 | ceil | int64) -}}
{{- end -}}

{{/* The lowest number of pods in normal operation; Kubernetes' default is one. */}}
{{- define "echo.replicas" -}}
{{- $replicas := .Values.replicaCount -}}
{{- if .Values.autoscaling.enabled -}}
{{- $replicas = .Values.autoscaling.minReplicas -}}
{{- end -}}
{{- if kindIs "invalid" $replicas }}1{{ else }}{{ int64 $replicas }}{{ end -}}
{{- end -}}

{{/* A probe. `of`: its group of values; `path`: on the admin port. */}}
{{- define "echo.probe" -}}
{{- if .of.grpc -}}
# grpc.health.v1.Health/Check; by number, since a gRPC probe takes no port names.
grpc:
  port: 8080
{{- else -}}
httpGet:
  path: {{ .path }}
  port: admin
{{- end }}
{{- range $name := list "initialDelaySeconds" "periodSeconds" "timeoutSeconds" "failureThreshold" }}
{{- with get $.of $name }}
{{ $name }}: {{ int64 . }}
{{- end }}
{{- end }}
{{- if gt (int64 (default 1 .of.successThreshold)) 1 }}
successThreshold: {{ int64 .of.successThreshold }}
{{- end }}
{{- end -}}
