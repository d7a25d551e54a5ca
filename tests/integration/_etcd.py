# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real etcd for tests, on loopback with free ports and a directory of its own: plain, with TLS, with users.

It can be killed and started again, and keeps its data. Look at it and change it through C(ctl), which is etcd's own
client, so that nothing of ours is in between.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.podnet.cni.tests.integration import _kube_binaries
from ansible_collections.podnet.cni.tests.integration._kube_pki import DAY, Authority

START_TIMEOUT = 30.0
PREFIX = "/coreos.com/network"


class EtcdAuthority(Authority):
    """A CA whose server certificates are client certificates too: etcd's gateway is a client of its own server."""

    def member(self, name: str = "etcd") -> tuple[Path, Path]:
        """Certificate and key of an etcd member on loopback."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = self._builder(subject, key, DAY).add_extension(names, critical=False)
        signed = builder.add_extension(usage, critical=False).sign(self._key, hashes.SHA256())
        certificate, key_file = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key_file.write_bytes(pem)
        return certificate, key_file


class EtcdServer:
    """One etcd. C(url) is its client address; with an C(authority) it demands client certificates.

    Only a C(durable) one waits for the disk. Without that a killed process loses nothing. C(today) is an etcd of today
    in place of Debian's 3.4, which knows no path of a socket. C(members) are the ports of all members of its cluster by
    their names, of which C(name) is its own.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        durable: bool = False,
        today: bool = False,
        arguments: tuple[str, ...] = (),
        name: str = "default",
        members: Mapping[str, int] | None = None,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="podnet-etcd-"))
        self.authority = EtcdAuthority(self.directory) if tls else None
        self.port, peer_port = free_ports(2)
        members = members or {name: peer_port}
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        # Processes in other network namespaces have the same files, but another loopback.
        self.socket = self.directory / "etcd.sock"
        peers = {each: f"http://127.0.0.1:{port}" for each, port in members.items()}
        peer = peers[name]
        self._arguments = [
            *(
                f"--data-dir={self.directory / 'data'}",
                f"--listen-client-urls={self.url}{f',unix://{self.socket}' if today else ''}",
            ),
            *(f"--advertise-client-urls={self.url}", f"--listen-peer-urls={peer}"),
            *(f"--initial-advertise-peer-urls={peer}", f"--name={name}"),
            *(f"--initial-cluster={','.join(f'{each}={url}' for each, url in peers.items())}", *arguments),
            *(() if durable else ("--unsafe-no-fsync",)),
        ]
        if self.authority is not None:
            certificate, key = self.authority.member()
            self.client_certificate, self.client_key = self.authority.user("client")
            self._arguments += [f"--cert-file={certificate}", f"--key-file={key}", "--client-cert-auth=true"]
            self._arguments += [f"--trusted-ca-file={self.authority.certificate}"]
        self._program = str(_kube_binaries.program("etcd")) if today else "etcd"
        self._user: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The module options that reach it."""
        options: dict[str, Any] = {"etcd_endpoints": [self.url], "etcd_prefix": PREFIX}
        if self.authority is not None:
            options["etcd_cafile"] = str(self.authority.certificate)
            options["etcd_certfile"], options["etcd_keyfile"] = str(self.client_certificate), str(self.client_key)
        return options

    def start(self) -> None:
        """Start it, for the first time or again, and wait until it answers."""
        self.launch()
        self.await_health()

    def launch(self) -> None:
        """Start it, and leave it to itself."""
        with (self.directory / "etcd.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *self._arguments], stdout=log, stderr=log)

    def await_health(self) -> None:
        """Wait until it answers."""
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._run("endpoint", "health").returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError((self.directory / "etcd.log").read_text()[-2000:])

    def kill(self) -> None:
        """End it with SIGKILL; what it acknowledged was written."""
        self._end(signal.SIGKILL)

    def wipe(self) -> None:
        """Remove the data of a killed etcd; it starts again as a new one."""
        shutil.rmtree(self.directory / "data")

    def freeze(self) -> None:
        """Stop it in its tracks: connections stay, answers do not come."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it continue."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove every file."""
        self._end(signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def ctl(self, *arguments: str, text: str | None = None) -> str:
        """Run etcdctl with *arguments* and *text* as its input, and return what it prints."""
        done = self._run(*arguments, text=text)
        if done.returncode:
            raise RuntimeError(f"etcdctl {arguments}: {done.stderr}")
        return done.stdout

    def put(self, key: str, value: str) -> None:
        """Store *value* under *key*."""
        self.ctl("put", "--", key, value)

    def get(self, key: str = "", *, prefix: bool = True) -> dict[str, str]:
        """Return the keys that start with *key* (all without one) and their values."""
        pairs = json.loads(self.ctl("get", "-w", "json", *(["--prefix"] if prefix else []), "--", key))
        return {_text(pair["key"]): _text(pair.get("value", "")) for pair in pairs.get("kvs", [])}

    def revision(self) -> int:
        """Return the current revision."""
        return int(json.loads(self.ctl("get", "-w", "json", "--", "/none"))["header"]["revision"])

    def compact(self) -> None:
        """Forget all revisions but the current one."""
        self.ctl("compact", "--physical=true", str(self.revision()))

    def leases(self) -> list[int]:
        """Return the IDs of all etcd leases."""
        return [int(lease["ID"]) for lease in self.api("lease/leases", {}).get("leases", [])]

    def add_user(self, name: str, password: str, *, prefix: str = "", access: str = "readwrite") -> None:
        """Add a user with a role of the same name, which may do *access* under *prefix*."""
        self.ctl("user", "add", f"{name}:{password}")
        self.ctl("role", "add", name)
        if prefix:
            self.ctl("role", "grant-permission", name, "--prefix=true", access, prefix)
        self.ctl("user", "grant-role", name, name)

    def enable_auth(self) -> None:
        """Demand users from now on; C(ctl) then works as root."""
        self.ctl("user", "add", "root:rootpw")
        self.ctl("user", "grant-role", "root", "root")
        self.ctl("auth", "enable")
        self._user = ["--user=root:rootpw"]

    def api(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST to the gateway of an etcd without TLS and users."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", f"/v3/{path}", json.dumps(body))
            return dict(json.loads(connection.getresponse().read()))

    def _run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        command = ["etcdctl", f"--endpoints={self.url}", "--command-timeout=5s", *self._user]
        if self.authority is not None:
            command += [f"--cacert={self.authority.certificate}"]
            command += [f"--cert={self.client_certificate}", f"--key={self.client_key}"]
        environment = {**os.environ, "ETCDCTL_API": "3"}
        return subprocess.run(
            [*command, *arguments], check=False, text=True, capture_output=True, input=text, env=environment
        )

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=10)
            self._process = None


@contextlib.contextmanager
def running(
    *, tls: bool = False, durable: bool = False, today: bool = False, arguments: tuple[str, ...] = ()
) -> Iterator[EtcdServer]:
    """A started etcd that is gone afterwards; skips the test where etcd is not installed."""
    for program in ("etcd", "etcdctl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: etcd-server, etcd-client)")
    server = EtcdServer(tls=tls, durable=durable, today=today, arguments=arguments)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def three() -> Iterator[list[EtcdServer]]:
    """The three members of a cluster, all of them at work."""
    ports = dict(zip(("one", "two", "three"), free_ports(3)))
    members = [EtcdServer(name=name, members=ports) for name in ports]
    try:
        for member in members:
            member.launch()
        for member in members:
            member.await_health()
        yield members
    finally:
        for member in members:
            member.stop()


def free_ports(count: int) -> list[int]:
    """Return ports on loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _number in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("utf-8", "surrogateescape")
