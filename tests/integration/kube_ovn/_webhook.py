# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The admission server as a process on the loopback address, and the API server told to ask it."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration._kube_pki import Authority
from ansible_collections.podnet.cni.tests.integration.etcd._lab import environment
from ansible_collections.podnet.cni.tests.integration.kube_ovn._cluster import ENABLED, apply, remove, until

PROGRAM = "ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.server.program"
RULES = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}]
SYNC_RULES = [*RULES, {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "patch"]}]


class Server:
    """One replica."""

    def __init__(
        self, kube: _kube.KubeServer, directory: Path, document: dict[str, Any], *options: str, mode: str = "admission"
    ) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)
        account = f"inherit-{mode}"
        kube.limited_kubeconfig(account, RULES if mode == "admission" else SYNC_RULES)
        (directory / "token").write_text(kube.token(account))
        (directory / "config.json").write_text(json.dumps(document))
        self.authority = Authority(directory)
        self.certificate, self.key = self.authority.server("server")
        port, self.status_port = _kube._free_ports(2)
        self.port = port
        self.log = directory / "log"
        command = [
            *(sys.executable, "-m", PROGRAM, "--config", str(directory / "config.json"), "--mode", mode),
            *("--host", "127.0.0.1", "--port", str(port), "--status-port", str(self.status_port)),
            *("--certificate", str(self.certificate), "--key", str(self.key), "--reload-interval", "0.2"),
            *("--api-server", kube.url, "--ca-file", str(kube.authority.certificate)),
            *("--token-file", str(directory / "token"), "--drain", "0.5", *options),
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)
        until(lambda: self.status("/readyz")[0] == 200, f"readiness ({self.log})")

    @property
    def bundle(self) -> str:
        """The CA that signed our certificate, as PEM."""
        return self.authority.certificate.read_text()

    def status(self, path: str) -> tuple[int, str]:
        """Status and text of a status path; 0 when nobody answers."""
        self.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}{path}", timeout=5) as reply:
                return int(reply.status), reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def check(self) -> None:
        """Raise when the process has ended."""
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended:\n{self.log.read_text()}")

    def metric(self, name: str) -> float:
        """The value of a line of /metrics, 0 when there is none."""
        for line in self.status("/metrics")[1].splitlines():
            if line.startswith(f"kube_ovn_inheritance_{name} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def stop(self) -> None:
        """End the process by request."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextlib.contextmanager
def replica(
    kube: _kube.KubeServer, directory: Path, document: dict[str, Any], *options: str, **more: Any
) -> Iterator[Server]:
    """A server that is ended at the end."""
    server = Server(kube, directory, document, *options, **more)
    try:
        yield server
    finally:
        server.stop()


def configuration(
    name: str, url: str, bundle: str, policy: str = "Fail", namespaces: bool = True
) -> list[dict[str, Any]]:
    """What tells the API server to ask us, at an address instead of a Service."""
    selector = {
        "matchLabels": ENABLED,
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "default"]}
        ],
    }

    def webhook(path: str, resource: str, operations: list[str]) -> dict[str, Any]:
        return {
            "name": f"{resource}.{name}.example.org",
            "clientConfig": {"url": f"{url}{path}", "caBundle": base64.b64encode(bundle.encode()).decode()},
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": policy,
            "timeoutSeconds": 3,
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": [resource], "operations": operations}],
        }

    mutating = {**webhook("/mutate-pods", "pods", ["CREATE"]), "namespaceSelector": selector}
    group = "admissionregistration.k8s.io/v1"
    objects = [
        {"kind": "MutatingWebhookConfiguration", "webhooks": [{**mutating, "reinvocationPolicy": "IfNeeded"}]},
        {
            "kind": "ValidatingWebhookConfiguration",
            "webhooks": [webhook("/validate-namespaces", "namespaces", ["CREATE", "UPDATE"])],
        },
    ]
    chosen = objects if namespaces else objects[:1]
    return [{"apiVersion": group, "metadata": {"name": name}, **item} for item in chosen]


@contextlib.contextmanager
def registered(kube: _kube.KubeServer, objects: list[dict[str, Any]]) -> Iterator[None]:
    """The API server asks us inside the block."""
    for item in objects:
        apply(kube, item)
    try:
        yield
    finally:
        remove(kube, objects)
