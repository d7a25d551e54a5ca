# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Helm chart that takes the values of flannel's own.

Like flannel's chart (v0.28.9 chart/kube-flannel/templates/daemonset.yaml) it puts the arguments into the command and
has no sign of the ConfigMap in the pod template.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube

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


def see_kubernetes_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the collection that the role needs for Helm on the path, which the gate keeps from all other tests."""
    places = [os.environ.get(name, "") for name in ("ANSIBLE_COLLECTIONS_PATH", "PODNET_HELM_COLLECTIONS")]
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", os.pathsep.join(filter(None, places)))


def make(directory: Path) -> Path:
    """Write the chart into a directory of its own; the test is skipped, or fails, where there is no Helm."""
    _kube.require("helm")
    chart = directory / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: flannel, version: 1.0.0, appVersion: v0.28.9}\n")
    (chart / "templates" / "all.yaml").write_text(OBJECTS)
    return chart
