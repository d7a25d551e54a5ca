# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Kubernetes API server for tests: etcd and kube-apiserver on free loopback ports, RBAC on, an audit log.

There is no kubelet, scheduler or controller manager: objects stay as a test writes them.
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube_binaries
from ansible_collections.podnet.cni.tests.integration._kube_pki import DAY, Authority

# In the guest of the gate of that name everything takes ten times as long.
START_TIMEOUT = 600.0 if os.environ.get("PODNET_GUEST") else 60.0
SERVICE_CIDRS = "10.96.0.0/16,fd00:10:96::/112"

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata"}],
}


class KubeServer:
    """One test cluster. C(url) is the server's address, C(admin) the administrator's kubeconfig file.

    Clients that reach the server on another address than it listens on, C(known_as), find that in its certificate.
    """

    def __init__(
        self,
        binaries: _kube_binaries.Binaries,
        *,
        service_cidrs: str = SERVICE_CIDRS,
        address: str = "127.0.0.1",
        known_as: str = "",
    ) -> None:
        self._binaries = binaries
        self.directory = Path(tempfile.mkdtemp(prefix="podnet-kube-"))
        self.authority = Authority(self.directory)
        self.audit_log = self.directory / "audit.log"
        self._service_cidrs = service_cidrs
        self._etcd_port, self._peer_port, self.port = _free_ports(3)
        self.address = address
        self.url = f"https://{address}:{self.port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.admin = self.certificate_kubeconfig("admin", groups=("system:masters",))
        self._tls = ssl.create_default_context(cafile=str(self.authority.certificate))
        self._tls.load_cert_chain(self.directory / "admin.crt", self.directory / "admin.key")
        self._server_pair = self.authority.server("kube-apiserver", addresses=[address, known_as or address])
        self._token_keys = self.authority.signing_key()
        (self.directory / "audit.yaml").write_text(json.dumps(AUDIT_POLICY))

    def start(self) -> None:
        """Start both processes and wait until the API server is ready."""
        self._start_etcd()
        self.start_apiserver()

    def start_apiserver(self) -> None:
        """Start the API server, for the first time or after stop_apiserver(); etcd keeps the objects."""
        private, public = self._token_keys
        certificate, key = self._server_pair
        self._spawn(
            "kube-apiserver",
            str(self._binaries.apiserver),
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--secure-port={self.port}",
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.directory}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.authority.certificate}",
            "--authorization-mode=RBAC",
            "--anonymous-auth=true",
            f"--service-account-issuer={self.url}",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={private}",
            f"--service-cluster-ip-range={self._service_cidrs}",
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={self.directory / 'audit.yaml'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
            "--allow-privileged=true",
            "--profiling=false",
        )
        self._wait("kube-apiserver", self._ready)

    def start_controller_manager(self, cluster_cidr: str, controllers: str = "node-ipam-controller") -> None:
        """Start controllers, by default the one that gives each Node a /24 of C(cluster_cidr). Raises Missing."""
        self._spawn(
            "kube-controller-manager",
            str(_kube_binaries.program("kube-controller-manager")),
            f"--kubeconfig={self.admin}",
            f"--controllers={controllers}",
            "--allocate-node-cidrs=true",
            f"--cluster-cidr={cluster_cidr}",
            f"--service-cluster-ip-range={self._service_cidrs}",
            f"--service-account-private-key-file={self._token_keys[0]}",
            f"--root-ca-file={self.authority.certificate}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
        )

    def stop_controller_manager(self) -> None:
        """Stop it."""
        self._end("kube-controller-manager", signal.SIGKILL)

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """Stop the API server, by request or at once; every open watch breaks."""
        self._end("kube-apiserver", signal.SIGKILL if kill else signal.SIGTERM)

    def stop(self) -> None:
        """End both processes and remove every file."""
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            if name in self._processes:
                self._end(name, signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def compact(self) -> None:
        """Compact etcd to its current revision, so that older watch positions are gone."""
        connection = http.client.HTTPConnection("127.0.0.1", self._etcd_port, timeout=10)
        with contextlib.closing(connection):
            answer = _exchange(connection, "POST", "/v3/kv/range", {"key": "AA=="})
            revision = answer["header"]["revision"]
            _exchange(connection, "POST", "/v3/kv/compaction", {"revision": revision, "physical": True})

    def api(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """A request as administrator, with nothing of ours in between. Raises RuntimeError for 400 and above."""
        connection = http.client.HTTPSConnection(self.address, self.port, timeout=30, context=self._tls)
        with contextlib.closing(connection):
            return _exchange(connection, method, path, body, content_type)

    def create(self, path: str, items: Iterable[dict[str, Any]]) -> None:
        """POST many objects on one connection: a handshake for each would take longer than the objects."""
        connection = http.client.HTTPSConnection(self.address, self.port, timeout=30, context=self._tls)
        with contextlib.closing(connection):
            for item in items:
                _exchange(connection, "POST", path, item)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or update objects by server-side apply, as an administrator would."""
        for item in objects:
            path = self.path_of(item)
            self.api("PATCH", f"{path}?fieldManager=tests&force=true", item, "application/apply-patch+yaml")

    def path_of(self, item: dict[str, Any]) -> str:
        """Path of an object of one of the kinds the tests use."""
        version, kind = str(item["apiVersion"]), str(item["kind"]).lower()
        plural = kind + ("es" if kind.endswith("s") else "s")
        namespace = item["metadata"].get("namespace")
        parts = ["", "api" if "/" not in version else "apis", version]
        parts += ["namespaces", namespace] if namespace else []
        return "/".join([*parts, plural, item["metadata"]["name"]])

    def certificate_kubeconfig(
        self,
        user: str,
        *,
        groups: tuple[str, ...] = (),
        lifetime: datetime.timedelta = DAY,
        authority: Path | None = None,
        context: str | None = None,
    ) -> Path:
        """A kubeconfig with a client certificate for a user; C(authority) replaces the CA of the cluster."""
        certificate, key = self.authority.user(user, groups, lifetime)
        identity = {"client-certificate": str(certificate), "client-key": str(key)}
        return self.write_kubeconfig(user, identity, authority=authority, context=context)

    def limited_kubeconfig(self, user: str, rules: Sequence[dict[str, Any]]) -> Path:
        """A kubeconfig for a service account that may do what the rules say, through a ClusterRole and a binding."""
        self.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": user, "namespace": "default"}},
            cluster_role(user, rules),
            cluster_role_binding(user, user),
        )
        return self.token_kubeconfig(user)

    def token_kubeconfig(self, account: str, namespace: str = "default") -> Path:
        """A kubeconfig with a token of an existing service account."""
        return self.write_kubeconfig(account, {"token": self.token(account, namespace)})

    def token(self, account: str, namespace: str = "default") -> str:
        """A token of an existing service account, good for an hour."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        answer = self.api("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token", body)
        return str(answer["status"]["token"])

    def write_kubeconfig(
        self,
        name: str,
        identity: dict[str, Any],
        *,
        authority: Path | None = None,
        context: str | None = None,
    ) -> Path:
        """A kubeconfig file with one cluster, one user and one context (named after the user unless given)."""
        path = self.directory / f"{name.replace(':', '-')}.kubeconfig"
        context = context or name
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [
                        {
                            "name": "test",
                            "cluster": {
                                "server": self.url,
                                "certificate-authority": str(authority or self.authority.certificate),
                            },
                        }
                    ],
                    "users": [{"name": name, "user": identity}],
                    "contexts": [{"name": context, "context": {"cluster": "test", "user": name}}],
                    "current-context": context,
                }
            )
        )
        return path

    def audit_mark(self) -> int:
        """Where the audit log ends now, for audit()."""
        return self.audit_log.stat().st_size if self.audit_log.exists() else 0

    def audit(self, mark: int = 0, user: str | None = None) -> list[dict[str, Any]]:
        """Requests the server has answered since C(mark): verb, requestURI, user, responseStatus and more.

        What the server asks of itself is left out: it makes and renews objects of its own at any time.
        """
        with self.audit_log.open("rb") as log:
            log.seek(mark)
            events = [json.loads(line) for line in log if line.endswith(b"\n")]
        names = [(event, event["user"].get("username")) for event in events]
        return [event for event, name in names if (name == user if user else name != "system:apiserver")]

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self._spawn(
            "etcd",
            str(self._binaries.etcd),
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )
        self._wait("etcd", self._etcd_ready)

    def _etcd_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._etcd_port, timeout=2)
        with contextlib.closing(connection):
            return bool(_exchange(connection, "GET", "/health").get("health") == "true")

    def _ready(self) -> bool:
        # RBAC defaults are written by a hook that readyz waits for.
        return bool(self.api("GET", "/readyz") == "ok")

    def _spawn(self, name: str, *command: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.directory)
        self._processes[name] = process

    def _end(self, name: str, how: signal.Signals) -> None:
        process = self._processes.pop(name)
        process.send_signal(how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait(self, name: str, ready: Any) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._processes[name].poll() is not None:
                break
            with contextlib.suppress(OSError, http.client.HTTPException, RuntimeError):
                if ready():
                    return
            time.sleep(0.1)
        tail = (self.directory / f"{name}.log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{name} did not become ready:\n{tail}")


@contextlib.contextmanager
def running(**settings: Any) -> Iterator[KubeServer]:
    """A started cluster that is removed at the end. Raises _kube_binaries.Missing where there are no binaries."""
    server = _started(_kube_binaries.find(), settings)
    try:
        yield server
    finally:
        server.stop()


def require(name: str = "kube-apiserver") -> None:
    """Skip the test where a program cannot be had; under PODNET_REQUIRE_KUBE=1 let it fail instead."""
    try:
        if name == "kube-apiserver":
            _kube_binaries.find()
        else:
            _kube_binaries.program(name)
    except _kube_binaries.Missing as reason:
        if required():
            pytest.fail(f"no API server: {reason}")
        pytest.skip(f"no API server: {reason}")


def required() -> bool:
    """Whether a missing server is a failure instead of a skip."""
    return os.environ.get("PODNET_REQUIRE_KUBE", "") not in ("", "0")


def _started(binaries: _kube_binaries.Binaries, settings: dict[str, Any], attempts: int = 3) -> KubeServer:
    """A port that was free a moment ago may be taken by now, so a start that fails is repeated on other ports."""
    for attempt in range(1, attempts + 1):
        server = KubeServer(binaries, **settings)
        try:
            server.start()
        except BaseException as error:
            server.stop()
            if attempt == attempts or not isinstance(error, RuntimeError):
                raise
        else:
            return server
    raise RuntimeError("no attempt to start an API server was allowed")


def cluster_role(name: str, rules: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A ClusterRole object."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": list(rules),
    }


def cluster_role_binding(role: str, account: str, namespace: str = "default") -> dict[str, Any]:
    """A ClusterRoleBinding of a role to a service account."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


def node(
    name: str,
    pod_cidrs: Sequence[str] = (),
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A Node object as a kubelet and a controller manager would leave it, as far as flannel looks."""
    spec: dict[str, Any] = {}
    if pod_cidrs:
        spec = {"podCIDR": pod_cidrs[0], "podCIDRs": list(pod_cidrs)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": spec,
    }


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: Any = None,
    content_type: str = "application/json",
) -> Any:
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, {"Content-Type": content_type, "Accept": "application/json"})
    reply = connection.getresponse()
    text = reply.read().decode()
    if reply.status >= 400:
        raise RuntimeError(f"{method} {urllib.parse.urlsplit(path).path}: {reply.status} {text}")
    return json.loads(text) if text.startswith(("{", "[")) else text


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _number in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
