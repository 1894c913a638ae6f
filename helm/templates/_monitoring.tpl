{{/* The beginning of an object that may be in another namespace. `of`: its values. */}}
{{- define "echo.placed" -}}
{{ include "echo.named" . }}
{{- with .of.namespace }}
  namespace: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* How a pod is asked. `of`: the values of the monitor; `port`: the port's name. */}}
{{- define "echo.scraped" -}}
port: {{ .port }}
path: /metrics
{{- with .of.interval }}
interval: {{ . }}
{{- end }}
{{- with .of.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
relabelings:
  # One job for both monitors, which alerts and dashboard know; else it would be named after the Service, or the monitor.
  - action: replace
    targetLabel: job
    replacement: {{ include "echo.fullname" .root | quote }}
  {{- with .of.relabelings }}
  {{- include "echo.tpl" (dict "value" . "root" $.root) | nindent 2 }}
  {{- end }}
{{- with .of.metricRelabelings }}
metricRelabelings:
  {{- include "echo.tpl" (dict "value" . "root" $.root) | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where to look, for a monitor that is not where the pods are. */}}
{{- define "echo.lookedIn" -}}
{{- if .of.namespace -}}
namespaceSelector:
  matchNames:
    - {{ .root.Release.Namespace | quote }}
{{- end -}}
{{- end -}}

{{/* Labels of the Service that the ServiceMonitor finds, and not of the one that clients ask. */}}
{{- define "echo.metricsLabels" -}}
{{ include "echo.labels" . | fromYaml | merge (dict "app.kubernetes.io/component" "metrics") | toYaml }}
{{- end -}}

{{/* The alerts, as a list of YAML: those that are not left out, with the values in their places. */}}
{{- define "echo.alerts" -}}
{{- $of := .Values.prometheusRule -}}
{{- $text := .Files.Get "files/alerts.yaml" | replace "__selector__" (tpl $of.selector .) -}}
{{- range $name := list "connectionsPercent" "workerRestarts" "slowSeconds" -}}
{{- $text = replace (printf "__%s__" $name) (get $of $name | toString) $text -}}
{{- end -}}
{{- $labels := include "echo.tpl" (dict "value" $of.alertLabels "root" .) | fromYaml -}}
{{- $kept := list -}}
{{- range $text | fromYamlArray -}}
{{- if not (or (has .alert $of.disabled) (and (eq .alert "EchoSlow") (kindIs "invalid" $of.slowSeconds))) -}}
{{- $kept = set . "labels" (merge (deepCopy $labels) .labels) | append $kept -}}
{{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end -}}

{{/* The seconds of an interval, such as 1m30s. */}}
{{- define "echo.seconds" -}}
{{- $sum := 0.0 -}}
{{- $units := dict "d" 86400 "h" 3600 "m" 60 "s" 1 "ms" 0.001 -}}
{{- range regexFindAll "[0-9]+[a-z]+" . -1 -}}
{{- $sum = mulf (regexFind "[0-9]+" . | float64) (get $units (regexFind "[a-z]+" .)) | addf $sum -}}
{{- end -}}
{{- $sum -}}
{{- end -}}
