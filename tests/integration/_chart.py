# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Helm chart that takes the values of flannel's own.

Like flannel's chart (v0.28.9 chart/kube-flannel/templates/daemonset.yaml) it puts the arguments into the command and
has no sign of the ConfigMap in the pod template.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

OBJECTS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: flannel, namespace: {{ .Release.Namespace }}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: flannel}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get, list, watch]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-flannel-cfg, namespace: {{ .Release.Namespace }}, labels: {app: flannel}}
data:
  cni-conf.json: {{ .Values.flannel.cniConf | quote }}
  net-conf.json: {{ dict "Network" .Values.podCidr "Backend" (dict "Type" .Values.flannel.backend) | toJson | quote }}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-flannel-ds, namespace: {{ .Release.Namespace }}, labels: {app: flannel}}
spec:
  selector: {matchLabels: {app: flannel}}
  template:
    metadata: {labels: {app: flannel, tier: node}}
    spec:
      hostNetwork: true
      serviceAccountName: flannel
      containers:
        - name: kube-flannel
          image: {{ .Values.flannel.image.repository }}:{{ .Values.flannel.image.tag }}
          command: {{ concat (list "/opt/bin/flanneld") .Values.flannel.args | toJson }}
      volumes:
        - {name: flannel-cfg, configMap: {name: kube-flannel-cfg}}
"""


def make(directory: Path) -> Path:
    """Write the chart into a directory of its own; the test is skipped where there is no Helm."""
    if not shutil.which("helm"):
        pytest.skip("this machine has no program helm")
    chart = directory / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: flannel, version: 1.0.0, appVersion: v0.28.9}\n")
    (chart / "templates" / "all.yaml").write_text(OBJECTS)
    return chart
