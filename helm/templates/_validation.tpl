{{/*
What the schema cannot express: values that contradict each other, and settings of the service that do not exist. Each
error is one line that says what to set instead; all of them are reported together.
*/}}
{{- define "echo.validate" -}}
{{- $errors := list -}}
{{- range list "echo.errors.moved" "echo.errors.required" "echo.errors.config" "echo.errors.image" "echo.errors.tls" "echo.errors.service" "echo.errors.routes" "echo.errors.scaling" "echo.errors.pod" "echo.errors.env" "echo.errors.monitoring" "echo.errors.labels" -}}
{{- range include . $ | splitList "\n" -}}
{{- with trim . }}{{ $errors = append $errors . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- with $errors -}}
{{- fail (printf "\n\nInvalid values:\n  - %s\n" (join "\n  - " .)) -}}
{{- end -}}
{{- end -}}

{{/* Values of 0.1.0 that have another name now. */}}
{{- define "echo.errors.moved" -}}
{{- range $name, $value := .Values.echo }}
{{- if eq $name "labels" }}
echo.labels is now reflectedLabels: move its list there
{{- else if eq $name "drainSeconds" }}
echo.drainSeconds is now drainSeconds: set drainSeconds={{ $value }}
{{- else }}
echo.{{ $name }} is now config.ECHO_{{ $name | snakecase | upper }}: move it there
{{- end }}
{{- end }}
{{- end -}}

{{/* Values without which an object would be rejected by the API server. */}}
{{- define "echo.errors.required" -}}
{{- $required := dict "image.repository" true "service.port" true }}
{{- $_ := set $required "service.tlsPort" (include "echo.httpsPort" .) }}
{{- $_ := set $required "autoscaling.maxReplicas" .Values.autoscaling.enabled }}
{{- $_ := set $required "prometheusRule.selector" .Values.prometheusRule.enabled }}
{{- range $path, $needed := $required }}
{{- $keys := splitList "." $path }}
{{- if and $needed (not (get (get $.Values (first $keys)) (last $keys))) }}
{{ $path }} is empty: set it, or remove the key to get the default
{{- end }}
{{- end }}
{{- if regexMatch "^[^a-z]" (include "echo.fullname" .) }}
the name of the Service would be {{ include "echo.fullname" . }}, which does not begin with a letter: set fullnameOverride
{{- end }}
{{- end -}}

{{- define "echo.errors.config" -}}
{{- $known := .Files.Get "files/settings.txt" | trim | splitList "\n" }}
{{- range $name, $value := .Values.config }}
{{- if has $name (list "ECHO_HOST" "ECHO_PORT" "ECHO_ADMIN_PORT") }}
config sets {{ $name }}, which the chart sets: remove it; service.port is the port that clients use
{{- else if eq $name "ECHO_DRAIN_SECONDS" }}
config sets ECHO_DRAIN_SECONDS, from which the grace period of the pods is computed: set drainSeconds instead
{{- else if not (has $name $known) }}
{{- with include "echo.nearestSetting" (dict "name" $name "known" $known) }}
config.{{ $name }} is not a setting of the service: did you mean {{ . }}?
{{- else }}
config.{{ $name }} is not a setting of the service: `docker run IMAGE -m app --help` lists them
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
The known setting that is most like a name: it shares at least half of the name's groups of three letters, and more than
any other; nothing if there is none. Sprig has no edit distance. `maxBody` is compared as ECHO_MAX_BODY. `name`, `known`.
*/}}
{{- define "echo.nearestSetting" -}}
{{- $name := .name | snakecase | upper | replace "-" "_" | trimPrefix "ECHO_" | printf "_%s_" -}}
{{- $groups := sub (len $name) 2 | int -}}
{{- $best := "" -}}
{{- $bestScore := 0 -}}
{{- range $setting := .known -}}
{{- $shared := 0 -}}
{{- range $start := until $groups -}}
{{- if contains (substr $start (add $start 3 | int) $name) (trimPrefix "ECHO" $setting | printf "%s_") -}}
{{- $shared = add1 $shared -}}
{{- end -}}
{{- end -}}
{{- /* of two that share as many, the shorter one */ -}}
{{- $score := sub (mul 100 $shared) (len $setting) -}}
{{- if and (ge (mul 2 $shared) (int64 $groups)) (gt $score (int64 $bestScore)) -}}
{{- $best = $setting -}}
{{- $bestScore = $score -}}
{{- end -}}
{{- end -}}
{{- $best -}}
{{- end -}}

{{- define "echo.errors.image" -}}
{{- with .Values.image }}
{{- $inTag := splitList "@" (.tag | default "") | rest | join "@" }}
{{- if and .digest $inTag (ne .digest $inTag) }}
image.digest and image.tag name different digests: remove one of them
{{- end }}
{{- if and .registry (include "echo.registryInRepository" $) }}
image.registry and image.repository={{ .repository }} both name a registry: remove it from image.repository
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.errors.tls" -}}
{{- $config := .Values.config }}
{{- $secret := include "echo.tlsSecret" . }}
{{- with .Values.tls }}
{{- if and .clientAuth (not $secret) }}
tls.clientAuth={{ .clientAuth }} needs TLS: set tls.secretName, or tls.certificate.enabled=true
{{- end }}
{{- if and .certificate.enabled (not .certificate.issuerRef.name) }}
tls.certificate.enabled=true has no issuer: set tls.certificate.issuerRef.name to an Issuer's name
{{- end }}
{{- if and $secret (or $config.ECHO_TLS_CERT $config.ECHO_TLS_KEY) }}
tls.secretName or tls.certificate, and config.ECHO_TLS_CERT or config.ECHO_TLS_KEY, name two certificates: remove one of them
{{- end }}
{{- if and .clientAuth (or $config.ECHO_TLS_CLIENT_CA $config.ECHO_TLS_CLIENT_AUTH) }}
tls.clientAuth, and config.ECHO_TLS_CLIENT_CA or config.ECHO_TLS_CLIENT_AUTH, contradict each other: remove one of them
{{- end }}
{{- end }}
{{- if ne (empty $config.ECHO_TLS_CERT) (empty $config.ECHO_TLS_KEY) }}
config.ECHO_TLS_CERT and config.ECHO_TLS_KEY go together: set both, to files of a volume in extraVolumes, or neither
{{- end }}
{{- if and (not (include "echo.servesTls" .)) (or $config.ECHO_TLS_CLIENT_CA (include "echo.tlsOnly" .)) }}
config.ECHO_TLS_ONLY and config.ECHO_TLS_CLIENT_CA need a certificate: set tls.secretName, or tls.certificate.enabled=true
{{- end }}
{{- end -}}

{{- define "echo.errors.service" -}}
{{- with .Values.service }}
{{- $type := .type | default "ClusterIP" }}
{{- $headless := eq (toString .clusterIP) "None" }}
{{- if and (eq $type "ClusterIP") (or .nodePort .tlsNodePort) }}
service.nodePort and service.tlsNodePort need node ports: set service.type to NodePort or LoadBalancer
{{- end }}
{{- if and (eq $type "ClusterIP") .externalTrafficPolicy }}
service.externalTrafficPolicy is for clients outside the cluster: set service.type to NodePort or LoadBalancer, or leave it empty
{{- end }}
{{- if and (ne $type "ClusterIP") $headless }}
service.clusterIP=None makes a headless Service, which cannot be a {{ $type }}: set service.type to ClusterIP
{{- end }}
{{- if and $headless .port (ne (int64 .port) 8080) }}
service.clusterIP=None makes a headless Service, whose clients connect to the port of the pods: set service.port=8080
{{- end }}
{{- if and (ne $type "LoadBalancer") (or .loadBalancerClass .loadBalancerSourceRanges) }}
service.loadBalancerClass and service.loadBalancerSourceRanges need a load balancer: set service.type to LoadBalancer
{{- end }}
{{- if and .sessionAffinitySeconds (ne (toString .sessionAffinity) "ClientIP") }}
service.sessionAffinitySeconds needs service.sessionAffinity=ClientIP
{{- end }}
{{- if and (include "echo.httpsPort" $) (eq (int64 .port) (int64 .tlsPort)) }}
service.port and service.tlsPort are both {{ int64 .port }}: use different ports
{{- end }}
{{- if and .tlsNodePort (not (include "echo.httpsPort" $)) }}
service.tlsNodePort needs TLS: set tls.secretName, or tls.certificate.enabled=true
{{- end }}
{{- if and (eq (toString .ipFamilyPolicy) "SingleStack") (gt (len (.ipFamilies | default list)) 1) }}
service.ipFamilyPolicy=SingleStack has one family, and service.ipFamilies names two: set PreferDualStack, or one family
{{- end }}
{{- $needs := dict "PreferClose" "1.31" "PreferSameZone" "1.34" "PreferSameNode" "1.34" }}
{{- with .trafficDistribution }}
{{- $minimum := get $needs . }}
{{- if semverCompare (printf "<%s.0-0" $minimum) $.Capabilities.KubeVersion.Version }}
service.trafficDistribution={{ . }} needs Kubernetes {{ $minimum }}, and this is {{ $.Capabilities.KubeVersion.Version }}: leave it empty
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.errors.routes" -}}
{{- if or (include "echo.tlsOnly" .) (include "echo.isOn" .Values.config.ECHO_PROXY_PROTOCOL) }}
{{- range $name, $probe := .Values.probes }}
{{- if $probe.grpc }}
probes.{{ $name }}.grpc=true uses cleartext on port 8080, which config.ECHO_TLS_ONLY and config.ECHO_PROXY_PROTOCOL reject: leave it false
{{- end }}
{{- end }}
{{- end }}
{{- range $name := list "httpRoute" "grpcRoute" }}
{{- $of := get $.Values $name }}
{{- if and $of.enabled (not $of.parentRefs) }}
{{ $name }}.enabled=true routes nothing without a parent: name the Gateway in {{ $name }}.parentRefs, such as [{name: gateway}]
{{- end }}
{{- end }}
{{- if not (include "echo.httpsPort" .) }}
{{- range $name := list "ingress" "httpRoute" "grpcRoute" }}
{{- $of := get $.Values $name }}
{{- if and $of.enabled (eq (toString $of.servicePort) "https") }}
{{ $name }}.servicePort=https routes to a port that the Service does not have: set tls.secretName, or {{ $name }}.servicePort=http
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.errors.scaling" -}}
{{- with .Values.autoscaling }}
{{- if .enabled }}
{{- if and .maxReplicas (gt (int64 .minReplicas) (int64 .maxReplicas)) }}
autoscaling.minReplicas={{ int64 .minReplicas }} is above autoscaling.maxReplicas={{ int64 .maxReplicas }}: set at most that
{{- end }}
{{- if not (or .targetCPUUtilizationPercentage .targetMemoryUtilizationPercentage .metrics) }}
autoscaling.enabled=true has no metric: set autoscaling.targetCPUUtilizationPercentage, or autoscaling.metrics
{{- end }}
{{- $requests := dig "requests" dict ($.Values.resources | default dict) | default dict }}
{{- if and .targetCPUUtilizationPercentage (not $requests.cpu) }}
autoscaling.targetCPUUtilizationPercentage is relative to the CPU request: set resources.requests.cpu
{{- end }}
{{- if and .targetMemoryUtilizationPercentage (not $requests.memory) }}
autoscaling.targetMemoryUtilizationPercentage is relative to the memory request: set resources.requests.memory
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if .enabled }}
{{- $replicas := include "echo.replicas" $ | int64 }}
{{- if not (or (kindIs "invalid" .minAvailable) (kindIs "invalid" .maxUnavailable)) }}
podDisruptionBudget.minAvailable and podDisruptionBudget.maxUnavailable exclude each other: set one of them
{{- end }}
{{- if not (kindIs "invalid" .maxUnavailable) }}
{{- if eq (toString .maxUnavailable | trimSuffix "%" | int64) 0 }}
podDisruptionBudget.maxUnavailable={{ .maxUnavailable }} never allows an eviction, so that no node can be drained: set 1 or more
{{- end }}
{{- end }}
{{- if and (gt $replicas 0) (not (kindIs "invalid" .minAvailable)) }}
{{- $minimum := toString .minAvailable | trimSuffix "%" | int64 }}
{{- if hasSuffix "%" (toString .minAvailable) }}
{{- $minimum = divf (mulf $minimum $replicas) 100 | ceil | int64 }}
{{- end }}
{{- if ge $minimum $replicas }}
podDisruptionBudget.minAvailable={{ .minAvailable }} of {{ $replicas }} never allows an eviction, so that no node can be drained: set less than {{ $replicas }}, or maxUnavailable instead
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.errors.pod" -}}
{{- $needed := include "echo.stopSeconds" . | int64 }}
{{- with .Values.terminationGracePeriodSeconds }}
{{- if lt (int64 .) $needed }}
terminationGracePeriodSeconds={{ int64 . }} is less than preStopSeconds and drainSeconds together, {{ $needed }}: set it to {{ add $needed 5 }}, or remove it
{{- end }}
{{- end }}
{{- if and .Values.progressDeadlineSeconds (le (int64 .Values.progressDeadlineSeconds) (int64 .Values.minReadySeconds)) }}
progressDeadlineSeconds={{ int64 .Values.progressDeadlineSeconds }} must be more than minReadySeconds={{ int64 .Values.minReadySeconds }}
{{- end }}
{{- with .Values.updateStrategy }}
{{- $rolling := .rollingUpdate | default dict }}
{{- if and (eq (.type | default "RollingUpdate") "RollingUpdate") (has (toString $rolling.maxSurge) (list "0" "0%")) (has (toString $rolling.maxUnavailable) (list "0" "0%")) }}
updateStrategy.rollingUpdate cannot replace a pod with maxSurge and maxUnavailable at 0: set maxSurge to 1
{{- end }}
{{- end }}
{{- if include "echo.tlsSecret" . }}
{{- range .Values.extraVolumes }}
{{- if eq .name "tls" }}
extraVolumes has a volume named tls, which is the name of the one for tls.secretName: use another name
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.extraContainers }}
{{- if eq .name "echo" }}
extraContainers has a container named echo, which is the name of the service: use another name
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.errors.env" -}}
{{- $own := dict }}
{{- range printf "%s\n%s" (include "echo.settings" .) (include "echo.identity" .) | fromYamlArray }}
{{- $_ := set $own .name true }}
{{- end }}
{{- $seen := dict }}
{{- range .Values.extraEnv }}
{{- if has .name (list "ECHO_HOST" "ECHO_PORT" "ECHO_ADMIN_PORT") }}
extraEnv sets {{ .name }}, which the chart sets: remove it; service.port is the port that clients use
{{- else if hasKey $own .name }}
extraEnv sets {{ .name }}, which the chart sets already: remove it, or set it in config
{{- else if eq (get $seen .name | toString) "once" }}
extraEnv sets {{ .name }} more than once: keep one of them
{{- end }}
{{- $_ := set $seen .name (hasKey $seen .name | ternary "again" "once") }}
{{- end }}
{{- end -}}

{{- define "echo.errors.monitoring" -}}
{{- $values := .Values }}
{{- if has (toString .Values.config.ECHO_METRICS) (list "off" "false") }}
{{- range $name := list "podMonitor" "serviceMonitor" "prometheusRule" "grafanaDashboard" }}
{{- if (get $values $name).enabled }}
{{ $name }}.enabled=true needs /metrics, which config.ECHO_METRICS=off disables: remove one of them
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.config.ECHO_OTLP_ENDPOINT .Values.networkPolicy.enabled (not .Values.networkPolicy.egress) }}
config.ECHO_OTLP_ENDPOINT is blocked by the NetworkPolicy: allow the collector, and DNS, in networkPolicy.egress
{{- end }}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled }}
podMonitor.enabled=true and serviceMonitor.enabled=true would scrape, and count, each pod twice: remove one of them
{{- end }}
{{- range $name := list "podMonitor" "serviceMonitor" }}
{{- with get $values $name }}
{{- if and .enabled $values.networkPolicy.enabled (not $values.networkPolicy.adminFrom) }}
{{ $name }}.enabled=true scrapes port 9090, which the NetworkPolicy blocks: allow the namespace of Prometheus in networkPolicy.adminFrom, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
{{- end }}
{{- if and .enabled .interval .scrapeTimeout (gt (include "echo.seconds" .scrapeTimeout | float64) (include "echo.seconds" .interval | float64)) }}
{{ $name }}.scrapeTimeout={{ .scrapeTimeout }} is longer than {{ $name }}.interval={{ .interval }}, which the operator rejects silently: set at most that
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "echo.errors.labels" -}}
{{- $own := include "echo.labels" . | fromYaml }}
{{- $values := .Values }}
{{- $byName := dict
  "commonLabels" $values.commonLabels
  "podLabels" $values.podLabels
  "testPod.labels" $values.testPod.labels
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
{{- range $name, $labels := $byName }}
{{- range $label, $_ := $labels }}
{{- if hasKey $own $label }}
{{ $name }} sets {{ $label }}, which the chart sets and selects its pods by: remove it; nameOverride changes the name
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
