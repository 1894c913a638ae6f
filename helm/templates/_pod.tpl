{{/* Where the pod runs, as environment variables: what the downward API knows, and what it does not. */}}
{{- define "echo.identity" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: HOST_IP
  valueFrom:
    fieldRef:
      fieldPath: status.hostIP
- name: SERVICE_ACCOUNT
  valueFrom:
    fieldRef:
      fieldPath: spec.serviceAccountName
# Empty unless Kubernetes copies the node's topology labels onto its pods.
- name: NODE_ZONE
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['topology.kubernetes.io/zone']
- name: NODE_REGION
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['topology.kubernetes.io/region']
{{- with .Values.reflectedLabels }}
# One variable for each label, empty if the pod lacks it: the kubelet joins them.
{{- range $index, $label := . }}
- name: POD_LABEL_{{ $index }}
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['{{ $label }}']
{{- end }}
- name: POD_LABELS
  value: "{{ range $index, $label := . }}{{ if $index }},{{ end }}{{ $label }}=$(POD_LABEL_{{ $index }}){{ end }}"
{{- end }}
# What the downward API does not know by itself, from annotations.
- name: IMAGE
  valueFrom:
    fieldRef:
      fieldPath: metadata.annotations['echo-image']
- name: SERVICE_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.annotations['echo-service']
{{- end -}}

{{/*
The pod's annotations for the variables above. They are not values of the variables: kustomize, which changes names and
images in k8s/, cannot select one variable of a list.
*/}}
{{- define "echo.podAnnotations" -}}
echo-image: {{ include "echo.image" . | quote }}
echo-service: {{ include "echo.fullname" . | quote }}
{{- end -}}

{{/*
The sleep before SIGTERM: the kubelet's own, which is on by default since Kubernetes 1.30; before that, Python's, since the
image has no shell. https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
*/}}
{{- define "echo.preStop" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version -}}
sleep:
  seconds: {{ int64 .Values.preStopSeconds }}
{{- else -}}
exec:
  command:
    - python3
    - -c
    - import time; time.sleep({{ int64 .Values.preStopSeconds }})
{{- end -}}
{{- end -}}

{{/* Whether the cluster is OpenShift: "yes", or nothing. */}}
{{- define "echo.isOpenShift" -}}
{{- if kindIs "bool" .Values.openshift | ternary .Values.openshift (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}yes{{- end -}}
{{- end -}}

{{/*
The security context of a pod. OpenShift rejects users and groups that it did not assign: there the chart's own, 10001, are
left out, since a parent chart cannot remove them by null with every Helm 4.
*/}}
{{- define "echo.podSecurityContext" -}}
{{- $context := .Values.podSecurityContext | default dict | deepCopy -}}
{{- if include "echo.isOpenShift" . -}}
{{- range $name := list "runAsUser" "runAsGroup" "fsGroup" -}}
{{- if eq (get $context $name | toString) "10001" -}}
{{- $_ := unset $context $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $context -}}
securityContext:
  {{- include "echo.tpl" (dict "value" . "root" $) | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Environment variables from values: numbers and booleans are quoted, which the API server requires. */}}
{{- define "echo.env" -}}
{{- $variables := list -}}
{{- range .value -}}
{{- $variable := deepCopy . -}}
{{- if not (kindIs "invalid" $variable.value) -}}
{{- $_ := set $variable "value" (include "echo.text" $variable.value) -}}
{{- end -}}
{{- $variables = append $variables $variable -}}
{{- end -}}
{{- include "echo.tpl" (dict "value" $variables "root" .root) -}}
{{- end -}}

{{/* Containers from values, their environment as above. */}}
{{- define "echo.containers" -}}
{{- $containers := list -}}
{{- range .value -}}
{{- $container := deepCopy . -}}
{{- with .env -}}
{{- $_ := set $container "env" (include "echo.env" (dict "value" . "root" $.root) | fromYamlArray) -}}
{{- end -}}
{{- $containers = append $containers $container -}}
{{- end -}}
{{- include "echo.tpl" (dict "value" $containers "root" .root) -}}
{{- end -}}
