# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods that are created all the time, each as a dry run, and what became of what they were to inherit."""

from __future__ import annotations

import threading
from typing import Any

import kubernetes

from ansible_collections.podnet.cni.tests.integration._cluster import Cluster
from ansible_collections.podnet.cni.tests.integration.kube_ovn._cluster import GATEWAY, ROUTES, namespace, pod
from ansible_collections.podnet.cni.tests.tools import images

NAMESPACE = "team"
ENGINE: dict[str, Any] = {
    "kube_ovn_inheritance_engine": "webhook",
    "kube_ovn_inheritance_image": images.PYTHON,
    # Every review that nobody answers is a pod that is refused.
    "kube_ovn_inheritance_failure_policy": "Fail",
}
DEPLOYMENT = ("deployment/kube-ovn-inheritance", "-n", "kube-ovn-inheritance")


class Admissions:
    """Pods that two clients create inside a block: the number C(made), and what C(failed)."""

    def __init__(self, cluster: Cluster) -> None:
        cluster.apply(namespace(NAMESPACE, {ROUTES: GATEWAY}))
        self.made = 0
        self.failed: list[str] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._create, args=(cluster,)) for _each in range(2)]

    def __enter__(self) -> Admissions:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _create(self, cluster: Cluster) -> None:
        api = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(str(cluster.kubeconfig)))
        while not self._end.wait(0.02):
            try:
                answer = api.create_namespaced_pod(NAMESPACE, pod("probe"), dry_run="All")
                if (answer.metadata.annotations or {}).get(ROUTES) != GATEWAY:
                    self.failed.append("a pod without the route of its namespace")
            except kubernetes.client.ApiException as error:
                self.failed.append(str(error.body))
            self.made += 1


def servers(cluster: Cluster) -> dict[str, str]:
    """The pods of the admission server that are to stay, and their nodes."""
    found = cluster.pods("app.kubernetes.io/name=kube-ovn-inheritance", "kube-ovn-inheritance")
    stay = [each for each in found if "deletionTimestamp" not in each["metadata"]]
    return {each["metadata"]["name"]: each["spec"]["nodeName"] for each in stay}
