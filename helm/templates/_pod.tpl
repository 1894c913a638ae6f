{{/* The pod's own story as variables: what the downward API tells, and what it can't. */}}
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
# Empty where Kubernetes does not copy the node's topology labels onto its pods.
- name: NODE_ZONE
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['topology.kubernetes.io/zone']
- name: NODE_REGION
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['topology.kubernetes.io/region']
{{- with .Values.echo.labels }}
# Labels are told one by one, empty where the pod lacks one: the kubelet puts them together.
{{- range $index, $label := . }}
- name: POD_LABEL_{{ $index }}
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['{{ $label }}']
{{- end }}
- name: POD_LABELS
  value: "{{ range $index, $label := . }}{{ if $index }},{{ end }}{{ $label }}=$(POD_LABEL_{{ $index }}){{ end }}"
{{- end }}
# What the downward API can't tell: the image, and the Service in front.
- name: IMAGE
  value: {{ include "echo.image" . | quote }}
- name: SERVICE_NAME
  value: {{ include "echo.fullname" . | quote }}
{{- end -}}

{{/*
The sleep before SIGTERM: the kubelet's own, which is on by default since Kubernetes 1.30; before, one of Python's, since
the image has no shell to speak of. https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
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
