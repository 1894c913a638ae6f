{{/*
What the schema can't see: values that contradict each other. Each is a sentence that says what to write instead, and
all of them are told at once.
*/}}
{{- define "echo.refuseMistakes" -}}
{{- $told := list -}}
{{- range list "echo.mistakesOfTls" "echo.mistakesOfService" "echo.mistakesOfRoutes" "echo.mistakesOfScaling" "echo.mistakesOfPod" "echo.mistakesOfMonitoring" "echo.mistakesOfLabels" -}}
{{- range include . $ | splitList "\n" -}}
{{- with trim . }}{{ $told = append $told . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- with $told -}}
{{- fail (printf "\n\nThe values can't be installed:\n  - %s\n" (join "\n  - " .)) -}}
{{- end -}}
{{- end -}}

{{- define "echo.mistakesOfTls" -}}
{{- $echo := .Values.echo }}
{{- $secret := include "echo.tlsSecret" . }}
{{- with .Values.tls }}
{{- if and .clientAuth (not $secret) }}
tls.clientAuth={{ .clientAuth }} asks for certificates, but there is no TLS: set tls.secretName, or tls.certificate.enabled=true
{{- end }}
{{- if and .certificate.enabled (not .certificate.issuerRef.name) }}
tls.certificate.enabled=true has nobody to sign the certificate: set tls.certificate.issuerRef.name to an Issuer's name
{{- end }}
{{- if and $secret (or $echo.tlsCert $echo.tlsKey) }}
tls.secretName or tls.certificate, and echo.tlsCert or echo.tlsKey, name two certificates: leave one of the two away
{{- end }}
{{- if and .clientAuth (or $echo.tlsClientCa $echo.tlsClientAuth) }}
tls.clientAuth, and echo.tlsClientCa or echo.tlsClientAuth, say two things: leave one of the two away
{{- end }}
{{- end }}
{{- if ne (empty $echo.tlsCert) (empty $echo.tlsKey) }}
echo.tlsCert and echo.tlsKey go together: set both, to files of a volume in extraVolumes, or neither
{{- end }}
{{- if and (not (include "echo.servesTls" .)) (or $echo.tlsClientCa (include "echo.speaksTlsOnly" .)) }}
echo.tlsOnly and echo.tlsClientCa need a certificate: set tls.secretName, or tls.certificate.enabled=true
{{- end }}
{{- end -}}

{{- define "echo.mistakesOfService" -}}
{{- with .Values.service }}
{{- if and (eq .type "ClusterIP") (or .nodePort .tlsNodePort) }}
service.nodePort and service.tlsNodePort need a Service with ports on the nodes: set service.type to NodePort or LoadBalancer
{{- end }}
{{- if and (eq .type "ClusterIP") .externalTrafficPolicy }}
service.externalTrafficPolicy is for what comes from outside: set service.type to NodePort or LoadBalancer, or leave it empty
{{- end }}
{{- if and (ne .type "ClusterIP") (eq .clusterIP "None") }}
service.clusterIP=None makes a headless Service, which can't be a {{ .type }}: set service.type to ClusterIP
{{- end }}
{{- if and (eq .clusterIP "None") (ne (int64 .port) 8080) }}
service.clusterIP=None makes a headless Service, whose clients ask the pods themselves, by their port: set service.port=8080
{{- end }}
{{- if and (ne .type "LoadBalancer") (or .loadBalancerClass .loadBalancerSourceRanges) }}
service.loadBalancerClass and service.loadBalancerSourceRanges need a load balancer: set service.type to LoadBalancer
{{- end }}
{{- if and .sessionAffinitySeconds (ne .sessionAffinity "ClientIP") }}
service.sessionAffinitySeconds needs service.sessionAffinity=ClientIP
{{- end }}
{{- if and (include "echo.httpsPort" $) (eq (int64 .port) (int64 .tlsPort)) }}
service.port and service.tlsPort are both {{ int64 .port }}: give them different ports
{{- end }}
{{- if and .tlsNodePort (not (include "echo.httpsPort" $)) }}
service.tlsNodePort needs TLS: set tls.secretName, or tls.certificate.enabled=true
{{- end }}
{{- if and (eq .ipFamilyPolicy "SingleStack") (gt (len .ipFamilies) 1) }}
service.ipFamilyPolicy=SingleStack has one family, and service.ipFamilies names two: write PreferDualStack, or one family
{{- end }}
{{- $needs := dict "PreferClose" "1.31" "PreferSameZone" "1.34" "PreferSameNode" "1.34" }}
{{- with .trafficDistribution }}
{{- $least := get $needs . }}
{{- if semverCompare (printf "<%s.0-0" $least) $.Capabilities.KubeVersion.Version }}
service.trafficDistribution={{ . }} needs Kubernetes {{ $least }}, and this is {{ $.Capabilities.KubeVersion.Version }}: leave it empty
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.mistakesOfRoutes" -}}
{{- if or (include "echo.speaksTlsOnly" .) (include "echo.isOn" .Values.echo.proxyProtocol) }}
{{- range $name, $probe := .Values.probes }}
{{- if $probe.grpc }}
probes.{{ $name }}.grpc=true asks port 8080 in clear, which echo.tlsOnly and echo.proxyProtocol do not let in: leave it false
{{- end }}
{{- end }}
{{- end }}
{{- range $name := list "httpRoute" "grpcRoute" }}
{{- $of := get $.Values $name }}
{{- if and $of.enabled (not $of.parentRefs) }}
{{ $name }}.enabled=true without parents would route nothing: name the Gateway in {{ $name }}.parentRefs, such as [{name: gateway}]
{{- end }}
{{- end }}
{{- if not (include "echo.httpsPort" .) }}
{{- range $name := list "ingress" "httpRoute" "grpcRoute" }}
{{- $of := get $.Values $name }}
{{- if and $of.enabled (eq $of.servicePort "https") }}
{{ $name }}.servicePort=https leads to a port that the Service has not: set tls.secretName, or {{ $name }}.servicePort=http
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.mistakesOfScaling" -}}
{{- with .Values.autoscaling }}
{{- if .enabled }}
{{- if gt (int64 .minReplicas) (int64 .maxReplicas) }}
autoscaling.minReplicas={{ int64 .minReplicas }} is above autoscaling.maxReplicas={{ int64 .maxReplicas }}: make it that, or less
{{- end }}
{{- if not (or .targetCPUUtilizationPercentage .targetMemoryUtilizationPercentage .metrics) }}
autoscaling.enabled=true has nothing to decide by: set autoscaling.targetCPUUtilizationPercentage, or autoscaling.metrics
{{- end }}
{{- $requests := $.Values.resources.requests | default dict }}
{{- if and .targetCPUUtilizationPercentage (not $requests.cpu) }}
autoscaling.targetCPUUtilizationPercentage is a part of what a pod requests: set resources.requests.cpu
{{- end }}
{{- if and .targetMemoryUtilizationPercentage (not $requests.memory) }}
autoscaling.targetMemoryUtilizationPercentage is a part of what a pod requests: set resources.requests.memory
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if .enabled }}
{{- $replicas := include "echo.replicas" $ | int64 }}
{{- if not (or (kindIs "invalid" .minAvailable) (kindIs "invalid" .maxUnavailable)) }}
podDisruptionBudget.minAvailable and podDisruptionBudget.maxUnavailable exclude each other: set one of the two
{{- end }}
{{- if not (kindIs "invalid" .maxUnavailable) }}
{{- if eq (toString .maxUnavailable | trimSuffix "%" | int64) 0 }}
podDisruptionBudget.maxUnavailable={{ .maxUnavailable }} never lets a pod go, so that no node can be drained: set 1 or more
{{- end }}
{{- end }}
{{- if and (gt $replicas 0) (not (kindIs "invalid" .minAvailable)) }}
{{- $least := toString .minAvailable | trimSuffix "%" | int64 }}
{{- if hasSuffix "%" (toString .minAvailable) }}
{{- $least = divf (mulf $least $replicas) 100 | ceil | int64 }}
{{- end }}
{{- if ge $least $replicas }}
podDisruptionBudget.minAvailable={{ .minAvailable }} of {{ $replicas }} never lets a pod go, so that no node can be drained: set less than {{ $replicas }}, or maxUnavailable in its place
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.mistakesOfPod" -}}
{{- $needed := include "echo.leavingSeconds" . | int64 }}
{{- with .Values.terminationGracePeriodSeconds }}
{{- if lt (int64 .) $needed }}
terminationGracePeriodSeconds={{ int64 . }} is less than preStopSeconds and echo.drainSeconds together, {{ $needed }}: set it to {{ add $needed 5 }}, or leave it away
{{- end }}
{{- end }}
{{- if le (int64 .Values.progressDeadlineSeconds) (int64 .Values.minReadySeconds) }}
progressDeadlineSeconds={{ int64 .Values.progressDeadlineSeconds }} must be more than minReadySeconds={{ int64 .Values.minReadySeconds }}
{{- end }}
{{- with .Values.updateStrategy }}
{{- $rolling := .rollingUpdate | default dict }}
{{- if and (eq .type "RollingUpdate") (has (toString $rolling.maxSurge) (list "0" "0%")) (has (toString $rolling.maxUnavailable) (list "0" "0%")) }}
updateStrategy.rollingUpdate can replace no pod with maxSurge and maxUnavailable at 0: set maxSurge to 1
{{- end }}
{{- end }}
{{- $taken := dict }}
{{- range printf "%s\n%s" (include "echo.settings" .) (include "echo.identity" .) | fromYamlArray }}
{{- $_ := set $taken .name true }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if has .name (list "ECHO_HOST" "ECHO_PORT" "ECHO_ADMIN_PORT") }}
extraEnv sets {{ .name }}, which is the chart's own: take it away; service.port is what clients see
{{- else if hasKey $taken .name }}
extraEnv sets {{ .name }}, which the chart sets already: take it away, or set it by its value in echo
{{- end }}
{{- $_ := set $taken .name true }}
{{- end }}
{{- if include "echo.tlsSecret" . }}
{{- range .Values.extraVolumes }}
{{- if eq .name "tls" }}
extraVolumes has a volume named tls, which is that of tls.secretName: give it another name
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.extraContainers }}
{{- if eq .name "echo" }}
extraContainers has a container named echo, which is the service: give it another name
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.mistakesOfMonitoring" -}}
{{- $values := .Values }}
{{- if has (toString .Values.echo.metrics) (list "off" "false") }}
{{- range $name := list "podMonitor" "serviceMonitor" "prometheusRule" "grafanaDashboard" }}
{{- if (get $values $name).enabled }}
{{ $name }}.enabled=true needs /metrics, and echo.metrics=off takes it away: leave one of the two away
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.echo.otlpEndpoint .Values.networkPolicy.enabled (not .Values.networkPolicy.egress) }}
echo.otlpEndpoint is where spans are sent, and the NetworkPolicy lets nothing out: name the collector, and DNS, in networkPolicy.egress
{{- end }}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled }}
podMonitor.enabled=true and serviceMonitor.enabled=true would have each pod asked, and counted, twice: leave one of the two away
{{- end }}
{{- range $name := list "podMonitor" "serviceMonitor" }}
{{- with get $values $name }}
{{- if and .enabled $values.networkPolicy.enabled (not $values.networkPolicy.adminFrom) }}
{{ $name }}.enabled=true asks port 9090, which the NetworkPolicy opens to nobody: name the namespace of Prometheus in networkPolicy.adminFrom, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
{{- end }}
{{- if and .enabled .interval .scrapeTimeout (gt (include "echo.seconds" .scrapeTimeout | float64) (include "echo.seconds" .interval | float64)) }}
{{ $name }}.scrapeTimeout={{ .scrapeTimeout }} is longer than {{ $name }}.interval={{ .interval }}, which the operator passes over in silence: make it that, or less
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.mistakesOfLabels" -}}
{{- $own := include "echo.labels" . | fromYaml }}
{{- $values := .Values }}
{{- $given := dict
  "commonLabels" $values.commonLabels
  "podLabels" $values.podLabels
  "deployment.labels" $values.deployment.labels
  "service.labels" $values.service.labels
  "serviceAccount.labels" $values.serviceAccount.labels
  "ingress.labels" $values.ingress.labels
  "httpRoute.labels" $values.httpRoute.labels
  "grpcRoute.labels" $values.grpcRoute.labels
  "autoscaling.labels" $values.autoscaling.labels
  "podDisruptionBudget.labels" $values.podDisruptionBudget.labels
  "networkPolicy.labels" $values.networkPolicy.labels
  "podMonitor.labels" $values.podMonitor.labels
  "serviceMonitor.labels" $values.serviceMonitor.labels
  "prometheusRule.labels" $values.prometheusRule.labels
  "grafanaDashboard.labels" $values.grafanaDashboard.labels
  "tls.certificate.labels" $values.tls.certificate.labels }}
{{- range $name, $labels := $given }}
{{- range $label, $_ := $labels }}
{{- if hasKey $own $label }}
{{ $name }} sets {{ $label }}, which the chart sets, and finds its pods by: take it away; nameOverride changes the name
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
