# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real flanneld on a host of a lab segment, with its leases in a real etcd."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube_binaries
from ansible_collections.podnet.cni.tests.integration._etcd import EtcdServer
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.tools import cache

REFUSED = "Couldn't fetch network config"
READY = "Wrote subnet file"
TIMEOUT = 40.0
# What the container of flanneld's DaemonSet may do: NET_ADMIN and NET_RAW, and no write below /proc/sys.
CONTAINER = """\
mount --bind /proc/sys /proc/sys
mount -o remount,ro,bind /proc/sys
exec setpriv --bounding-set=-all,+net_admin,+net_raw "$@"
"""
_ASKS = ("Waiting 10m0s for node controller to sync", "Node controller skips sync")


def program() -> str:
    """The path of flanneld v0.28.9; the test is skipped where there is none."""
    try:
        return str(_kube_binaries.program("flanneld", cache.flannel("0.28")))
    except cache.Missing as error:
        pytest.skip(str(error))


def kubernetes_refusal(file: Path, log: Path) -> str:
    """Why flanneld does not start with this net-conf.json, empty when it does and asks the API server for Nodes."""
    command = [program(), "--kube-subnet-mgr", f"--net-config-path={file}", "--kube-api-url=http://127.0.0.1:1"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={"NODE_NAME": "node"})
    try:
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            ended = process.poll() is not None
            text = log.read_text(encoding="utf-8", errors="replace")
            asks = any(words in text for words in _ASKS)
            if ended or asks:
                return "" if asks else text[-300:]
            time.sleep(0.01)
        raise TimeoutError(text)
    finally:
        process.kill()
        process.wait(TIMEOUT)


class Flanneld:
    """One flanneld on C(host) that reads C(prefix) of C(etcd); its files lie in C(directory). In a C(container) it has
    the rights of that."""

    def __init__(
        self, host: Host, etcd: EtcdServer, prefix: str, directory: Path, *arguments: str, container: bool = False
    ) -> None:
        self.host = host
        self.subnet_file = directory / "subnet.env"
        self._log = directory / "flanneld.log"
        self._command = host.enter(
            *(("unshare", "--mount", "sh", "-ec", CONTAINER, "sh") if container else ()),
            program(),
            f"--etcd-endpoints=unix://{etcd.socket}",
            f"--etcd-prefix={prefix}",
            "--iface=eth0",
            f"--subnet-file={self.subnet_file}",
            *arguments,
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; it continues in the background."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def running(self) -> bool:
        """Whether it is alive."""
        return self._process is not None and self._process.poll() is None

    def wait(self, *texts: str) -> str:
        """Wait until it logs one of C(texts), and return that; empty when it ends before."""
        return str(self.until(lambda: next((text for text in texts if text in self.log()), "")))

    def until(self, found: Callable[[], object], timeout: float = TIMEOUT) -> object:
        """Wait for a true answer, and return it; the last one when it ends before."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            alive = self.running()
            answer = found()
            if answer or not alive:
                return answer
            time.sleep(0.05)
        raise TimeoutError(self.log()[-2000:])

    def stop(self) -> None:
        """End it as systemd does; what it made in the kernel stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(TIMEOUT)
