{{/* How a pod is scraped. `of`: the values of the monitor; `port`: the name of the port. */}}
{{- define "echo.endpoint" -}}
port: {{ .port }}
path: /metrics
{{- with .of.interval }}
interval: {{ . }}
{{- end }}
{{- with .of.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
relabelings:
  # One job for both monitors, which alerts and dashboard select: by default it is the name of the Service or the monitor.
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

{{/* The namespace of the pods, for a monitor in another one. */}}
{{- define "echo.namespaceSelector" -}}
{{- if .of.namespace -}}
namespaceSelector:
  matchNames:
    - {{ .root.Release.Namespace | quote }}
{{- end -}}
{{- end -}}

{{/* Labels of the Service that the ServiceMonitor selects, which the Service for clients lacks. */}}
{{- define "echo.metricsLabels" -}}
{{ include "echo.labels" . | fromYaml | merge (dict "app.kubernetes.io/component" "metrics") | toYaml }}
{{- end -}}

{{/* The alerts as a YAML list, without those that are disabled or whose threshold is null. */}}
{{- define "echo.alerts" -}}
{{- $of := .Values.prometheusRule -}}
{{- $text := .Files.Get "files/alerts.yaml" | replace "__selector__" (tpl ($of.selector | default "") .) -}}
{{- $disabled := $of.disabled | default list -}}
{{- range $name, $alert := dict "connectionsPercent" "EchoConnectionsNearLimit" "workerRestarts" "EchoWorkerRestarts" "slowSeconds" "EchoSlow" -}}
{{- $threshold := get $of $name -}}
{{- if or (kindIs "invalid" $threshold) (kindIs "string" $threshold) -}}
{{- $disabled = append $disabled $alert -}}
{{- else -}}
{{- $text = replace (printf "__%s__" $name) (include "echo.text" $threshold) $text -}}
{{- end -}}
{{- end -}}
{{- $labels := include "echo.strings" (dict "value" $of.alertLabels "root" .) | fromYaml -}}
{{- $alerts := list -}}
{{- range $text | fromYamlArray -}}
{{- if not (has .alert $disabled) -}}
{{- $alerts = set . "labels" (merge (deepCopy $labels) .labels) | append $alerts -}}
{{- end -}}
{{- end -}}
{{- toYaml $alerts -}}
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
