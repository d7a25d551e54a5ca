# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lab hosts with the owners' files in their places, and a cluster."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.tests.integration import _kube, _plain, _warm
from ansible_collections.podnet.cni.tests.integration._as_typed import as_typed

UNIT = "[Service]\nExecStartPre=-/sbin/modprobe br_netfilter\nExecStart=/usr/local/bin/{command}\n"
CONFIG = "etc/rancher/k3s/config.yaml"
IPSET = "var/lib/rancher/k3s/data/current/bin/ipset"
K3S = "v1.36.2+k3s1"


class Hosts:
    """A lab of three hosts, and a cluster."""

    def __init__(self, path: Path, server: _kube.KubeServer) -> None:
        self.path = path
        self.server = server
        self.name = f"test-distribution-{os.getpid()}"
        self.inventory = path / "lab.yml"

    def lab(self, **variables: Any) -> None:
        given = {"lab_name": self.name, "lab_inventory_path": str(self.inventory), **variables}
        done = _warm.ansible("playbook", "podnet.cni.lab", "-e", json.dumps(given))
        assert done.returncode == 0, done.stdout + done.stderr

    def enter(self, host: str, *command: str) -> list[str]:
        """The command line that runs a command in a host."""
        pins = f"/run/podnet-lab/{self.name}/hosts/{host}"
        return ["nsenter", f"--net={pins}/net", f"--mount={pins}/mnt", f"--uts={pins}/uts", "--", *command]

    def inside(self, host: str, *command: str, data: bytes = b"") -> str:
        done = subprocess.run(self.enter(host, *command), input=data, capture_output=True, check=True)
        return done.stdout.decode()

    def write(self, host: str, files: dict[str, str]) -> None:
        """Put files into a host, programs executable."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path, text in files.items():
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(text.encode()), 0o755 if text.startswith("#!") else 0o600
                archive.addfile(entry, io.BytesIO(text.encode()))
        self.inside(host, "tar", "-C", "/", "-xf", "-", data=packed.getvalue())

    def k3s(self, host: str, command: str, config: str, more: dict[str, str] | None = None) -> None:
        """Leave what k3s leaves on a host."""
        unit = "k3s-agent" if "agent" in command else "k3s"
        self.inside(host, "rm", "-rf", "/etc/rancher", "/var/lib/rancher")
        files = {
            f"etc/systemd/system/{unit}.service": UNIT.format(command=command),
            CONFIG: config,
            IPSET: "#!/bin/sh\n",
        }
        self.write(host, {**files, **(more or {})})

    def audit(self, *options: str, cluster: bool = True, **variables: Any) -> tuple[int, dict[str, Any], str]:
        """The exit code, the document and what was shown."""
        target = self.path / "distribution.json"
        target.unlink(missing_ok=True)
        given = {"distribution_cluster": cluster, "distribution_kubeconfig": str(self.server.admin), **variables}
        given["distribution_json"] = str(target)
        done = _warm.ansible(
            "playbook",
            *("-i", str(self.inventory), *options, "podnet.cni.distribution"),
            *("-e", json.dumps(as_typed("distribution", given))),
        )
        assert target.exists(), done.stdout + done.stderr
        assert _plain.faults(done.stdout) == [] or done.returncode
        assert "changed=0" in done.stdout and "changed=1" not in done.stdout
        return done.returncode, json.loads(target.read_text()), done.stdout

    def preflight(self, **variables: Any) -> dict[str, Any]:
        """The document of the playbook preflight, which judges the same hosts."""
        target = self.path / "preflight.json"
        given = {"preflight_json": str(target), "preflight_fail_at": "never", "preflight_hosts": "all:!localhost"}
        done = _warm.ansible(
            "playbook",
            *("-i", str(self.inventory), "podnet.cni.preflight"),
            *("-e", json.dumps(as_typed("preflight", {**given, **variables}))),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(target.read_text()))
