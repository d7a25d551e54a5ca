# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that refreshes its peers as its timer would have it: one file, one process, a store that it reads."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._refresh import archive, program
from ansible_collections.podnet.cni.tests.integration._etcd import PREFIX, EtcdServer
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.dataplane import _leases

CLONE_NEWNET = 0x40000000
UTILITIES = Path(archive.__file__).parents[1]
CONFIG = {"Network": "10.5.0.0/16", "Backend": {"Type": "vxlan"}}


def listener(host: Host, port: int) -> socket.socket:
    """A socket that listens on the loopback of C(host)."""
    found: list[socket.socket] = []

    def listen() -> None:
        # A thread has a network namespace of its own, and a socket stays in the one that it was made in.
        with open(f"/run/netns/{host.name}", "rb") as place:
            if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        found.append(socket.create_server(("127.0.0.1", port)))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    return found[0]


class Store:
    """Leases in an etcd, written with etcd's own client, in a network of one backend."""

    def __init__(self, etcd: EtcdServer, backend: str = "vxlan", *, ipv6: bool = False) -> None:
        self.etcd = etcd
        self.backend = backend
        self.ipv6 = ipv6

    def config(self, value: Any = None) -> None:
        self.etcd.put(f"{PREFIX}/config", json.dumps(value or _leases.config(self.backend, ipv6=self.ipv6)))

    def lease(self, number: int, **changes: Any) -> None:
        """Put the lease of node C(number), with these values of its JSON in place of its own."""
        lease = _leases.lease(number, self.backend, ipv6=self.ipv6)
        data = {"BackendData": lease.get("backend_data"), "BackendV6Data": lease.get("backend_v6_data")}
        value = {
            "PublicIP": lease["public_ip"],
            "PublicIPv6": lease.get("public_ipv6"),
            "BackendType": self.backend,
            **{name: each for name, each in data.items() if each is not None},
            **changes,
        }
        self.put(number, json.dumps(value, separators=(",", ":")))

    def put(self, number: int, text: str) -> None:
        self.etcd.put(self.key(number), text)

    def delete(self, number: int) -> None:
        self.etcd.ctl("del", "--", self.key(number))

    def key(self, number: int) -> str:
        lease = _leases.lease(number, self.backend, ipv6=self.ipv6)
        subnets = [lease[name].replace("/", "-") for name in ("subnet", "ipv6_subnet") if name in lease]
        return f"{PREFIX}/subnets/{'&'.join(subnets)}"


class Node:
    """Node 1 on C(host) with its files in C(directory), and the settings that name its C(store)."""

    def __init__(
        self, host: Host, directory: Path, store: dict[str, Any], backend: str = "vxlan", *, ipv6: bool = False
    ) -> None:
        self.host = host
        self.directory = directory
        self.program = directory / archive.FILE_NAME
        self.program.write_bytes(archive.build(UTILITIES))
        self.lease = functools.partial(_leases.lease, backend=backend, ipv6=ipv6)
        self.config = _leases.config(backend, ipv6=ipv6)
        own = self.lease(1)
        self.made_with: dict[str, Any] = {
            "interface": "eth0",
            "move_bridge": "",
            "firewall": "none",
            "remove_firewall_leftovers": False,
            "ip_masq": True,
            "subnet_file": str(directory / "subnet.env"),
            "restore_dir": str(directory / "restore"),
        }
        self.settings: dict[str, Any] = {
            **self.made_with,
            "flanneld": "refuse",
            "wireguard_key_file": str(directory / "wireguard.key"),
            "lock_timeout": 60,
            "lease": {name: own.get(name) for name in ("subnet", "public_ip", "ipv6_subnet", "public_ipv6")},
            "network_config": self.config,
            "store": "etcd",
            **dict.fromkeys(("etcd_cafile", "etcd_certfile", "etcd_keyfile", "etcd_username")),
            **dict.fromkeys(("kubeconfig", *program.KUBERNETES_OPTIONS)),
            "etcd_endpoints": [],
            "etcd_prefix": PREFIX,
            "etcd_timeout": 2,
            "etcd_password_file": None,
            **store,
        }

    def made(self, *peers: int, **data: Any) -> None:
        """Program the node with these peers, as the playbook does; C(data) is what its backend has in each lease."""
        found = self.host.module(
            network_config=self.config,
            lease={**self.lease(1), **data},
            foreign_peers=[{**self.lease(peer), **data} for peer in peers],
            wireguard_key_file=self.settings["wireguard_key_file"],
            **self.made_with,
        )
        assert not found.get("failed"), found

    def refreshed(self, *arguments: str, **settings: Any) -> tuple[int, str]:
        """Run the program and return its exit code and all that it says."""
        done = self.start(*arguments, **settings)
        # In an emulated guest a process takes that long.
        said, _none = done.communicate(timeout=300)
        return done.returncode, said

    def start(self, *arguments: str, journal: bool = False, **settings: Any) -> subprocess.Popen[str]:
        """Start the program with the settings that the role writes; it sees nothing of Ansible and of the tests."""
        file = self.directory / "settings.json"
        file.write_text(json.dumps({**self.settings, **settings}))
        environment = {"PATH": os.environ["PATH"], **({"JOURNAL_STREAM": "8:1"} if journal else {})}
        return subprocess.Popen(
            self.host.enter(sys.executable, "-I", str(self.program), *arguments, str(file)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )

    def holds(self) -> tuple[dict[str, list[Any]], dict[str, str]]:
        """What the kernel and the files for the boot hold."""
        files = sorted((self.directory / "restore").glob("*"))
        return self.host.state(), {path.name: path.read_text() for path in files}

    def peers(self) -> dict[str, str]:
        """The VTEP MAC of each peer, by the address that its route leads through."""
        neighbours = {entry["dst"]: entry["lladdr"] for entry in self.host.json("ip -j neigh show dev flannel.1")}
        return {
            route["dst"]: neighbours[route["gateway"]] for route in self.host.json("ip -j route show dev flannel.1")
        }
