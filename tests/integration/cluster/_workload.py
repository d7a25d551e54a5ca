# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods that answer on every node, and a ping between two of them that counts what it loses."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.tests.integration._cluster import CLIENT, Cluster

ECHO = "while true; do hostname | nc -l -p 8080; done"
PORT = 8080
INTERVAL = 0.1
"""Seconds between two echo requests."""


def echo() -> tuple[dict[str, Any], dict[str, Any]]:
    """A pod on every node that answers with its name, and a Service for them."""
    labels = {"app": "echo"}
    container = {"name": "echo", "image": CLIENT, "command": ["/bin/sh", "-c", ECHO]}
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}
    metadata = {"name": "echo", "namespace": "default"}
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata,
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    ports = [{"port": 80, "targetPort": PORT}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": labels, "ports": ports},
    }
    return daemon_set, service


def pods(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """The pods by their node."""
    return {pod["spec"]["nodeName"]: pod for pod in cluster.pods("app=echo")}


def address(pod: dict[str, Any]) -> str:
    """The address of a pod."""
    return str(pod["status"]["podIP"])


def ask(cluster: Cluster, pod: dict[str, Any], where: str, port: int) -> str:
    """What a pod hears when it connects: the name of the one that answers."""
    command = f"for try in 1 2 3 4 5; do nc -w 2 {where} {port} </dev/null && exit 0; sleep 1; done"
    return cluster.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-c", command).strip()


def every_pair(cluster: Cluster) -> None:
    """Every pod reaches every pod by its address."""
    there = pods(cluster)
    assert set(there) == set(cluster.nodes)
    for source in there.values():
        heard = [ask(cluster, source, address(each), PORT) for each in there.values()]
        assert heard == [each["metadata"]["name"] for each in there.values()]


class Ping:
    """Echo requests from a pod to an address, ten in a second, from the start to the end of a block."""

    def __init__(self, pod: dict[str, Any], target: str) -> None:
        command = ["nsenter", f"--net=/proc/{_process(pod)}/ns/net", "ping", "-n", "-q", f"-i{INTERVAL}", target]
        self._ping = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.sent = self.received = 0

    def __enter__(self) -> Ping:
        return self

    def __exit__(self, *_error: object) -> None:
        self._ping.send_signal(signal.SIGINT)
        said, _nothing = self._ping.communicate(timeout=30)
        counted = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        assert counted, said
        self.sent, self.received = int(counted[1]), int(counted[2])

    @property
    def lost(self) -> int:
        """The requests without an answer."""
        return self.sent - self.received


def _process(pod: dict[str, Any]) -> str:
    """A process of the pod's first container, by the control group that it is in."""
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    for entry in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if container in entry.read_text():
                return entry.parent.name
        except OSError:
            continue
    raise AssertionError(f"no process of {pod['metadata']['name']}")
