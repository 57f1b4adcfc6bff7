{{- define "shenscan.fullname" -}}
{{- if contains "shenscan" .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{- else -}}{{ printf "%s-shenscan" .Release.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "shenscan.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "shenscan.fullname" .) }}
{{- end -}}

{{- /* Labels of a selector: (list ROOT ROLE). */ -}}
{{- define "shenscan.selector" -}}
app.kubernetes.io/name: shenscan
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "shenscan.labels" -}}
{{ include "shenscan.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end -}}

{{- define "shenscan.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* The pod of a role: (list ROOT ROLE SETTINGS). */ -}}
{{- define "shenscan.pod" -}}
{{- $root := index . 0 -}}{{- $role := index . 1 -}}{{- $settings := index . 2 -}}
metadata:
  labels:
    {{- include "shenscan.labels" (list $root $role) | nindent 4 }}
  annotations:
    # A changed configuration is another pod.
    checksum/config: {{ toYaml $root.Values.config | sha256sum }}
spec:
  serviceAccountName: {{ include "shenscan.serviceAccount" $root }}
  # The webhook of RRSA mounts a token of its own.
  automountServiceAccountToken: false
  enableServiceLinks: false
  # What is in hand is finished within 10 s.
  terminationGracePeriodSeconds: 20
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "shenscan.selector" (list $root $role) | nindent 10 }}
    {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: {{ $role }}
      image: {{ include "shenscan.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        - {{ $role }}
        - --config=/etc/shenscan/shenscan.yaml
        - --nats-url={{ required "nats.url is the address of NATS, nats://nats.nats:4222" $root.Values.nats.url }}
        - --nats-nkey=/run/secrets/nats/{{ $role }}.nk
        - --nats-replicas={{ $root.Values.nats.replicas }}
        {{- if $root.Values.nats.caSecret }}
        - --nats-ca=/run/secrets/nats-ca/ca.crt
        {{- end }}
        - --listen=0.0.0.0:10470
        # The network policy says who reaches the port.
        - --insecure-listen
        {{- if eq $role "sink" }}
        - --sink-name=$(POD)
        - --store=/var/lib/shenscan
        {{- end }}
        {{- if and (eq $role "producer") $settings.eventsSecret }}
        - --events-secret-file=/run/secrets/events/secret
        {{- end }}
      env:
        - name: POD
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
      {{- if and (ne $role "sink") $root.Values.cloud.secret }}
      envFrom:
        - secretRef: {name: {{ $root.Values.cloud.secret }}}
      {{- end }}
      ports:
        - {name: http, containerPort: 10470}
      startupProbe:
        httpGet: {path: /healthz, port: http}
        failureThreshold: 30
        periodSeconds: 2
      readinessProbe:
        httpGet: {path: /readyz, port: http}
      livenessProbe:
        httpGet: {path: /healthz, port: http}
      resources: {{- toYaml $settings.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/shenscan, readOnly: true}
        - {name: nats, mountPath: /run/secrets/nats, readOnly: true}
        {{- if $root.Values.nats.caSecret }}
        - {name: nats-ca, mountPath: /run/secrets/nats-ca, readOnly: true}
        {{- end }}
        {{- if $root.Values.rulesConfigMap }}
        - {name: rules, mountPath: /etc/shenscan/rules, readOnly: true}
        {{- end }}
        {{- if eq $role "sink" }}
        - {name: store, mountPath: /var/lib/shenscan}
        {{- end }}
        {{- if and (eq $role "producer") $settings.eventsSecret }}
        - {name: events, mountPath: /run/secrets/events, readOnly: true}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "shenscan.fullname" $root }}}
    - name: nats
      secret:
        secretName: {{ $root.Values.nats.keysSecret }}
        items: [{key: {{ $role }}.nk, path: {{ $role }}.nk}]
    {{- with $root.Values.nats.caSecret }}
    - name: nats-ca
      secret: {secretName: {{ . }}}
    {{- end }}
    {{- with $root.Values.rulesConfigMap }}
    - name: rules
      configMap: {name: {{ . }}}
    {{- end }}
    {{- if and (eq $role "producer") $settings.eventsSecret }}
    - name: events
      secret: {secretName: {{ $settings.eventsSecret }}}
    {{- end }}
{{- end -}}
