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
app.kubernetes.io/name: {{ printf "%s-test" (include "echo.name" .) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: test
app.kubernetes.io/part-of: {{ include "echo.name" . | quote }}
{{ include "echo.helmLabels" . }}
{{- end -}}

{{- define "echo.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "echo.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "echo.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{/*
The restricted profile's part of a pod, for every pod of the chart. The user is the image's, and a number, since the
kubelet can't tell whether a name is root's.
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
*/}}
{{- define "echo.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The restricted profile's part of a container, and a root file system that can't be written. */}}
{{- define "echo.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end -}}
