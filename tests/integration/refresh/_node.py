# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that refreshes its peers as its timer would have it: one file, one process, an etcd that it reads."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._refresh import archive
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
    """Leases in an etcd, written with etcd's own client."""

    def __init__(self, etcd: EtcdServer) -> None:
        self.etcd = etcd

    def config(self, value: Any = None) -> None:
        self.etcd.put(f"{PREFIX}/config", json.dumps(value or CONFIG))

    def lease(self, number: int, **changes: Any) -> None:
        """Put the lease of node C(number), with these values of its JSON in place of its own."""
        lease = _leases.lease(number)
        value = {
            "PublicIP": lease["public_ip"],
            "PublicIPv6": None,
            "BackendType": "vxlan",
            "BackendData": lease["backend_data"],
            **changes,
        }
        self.put(number, json.dumps(value, separators=(",", ":")))

    def put(self, number: int, text: str) -> None:
        self.etcd.put(self.key(number), text)

    def delete(self, number: int) -> None:
        self.etcd.ctl("del", "--", self.key(number))

    @staticmethod
    def key(number: int) -> str:
        return f"{PREFIX}/subnets/10.5.{number}.0-24"


class Node:
    """Node 1 on C(host) with its files in C(directory)."""

    def __init__(self, host: Host, etcd: EtcdServer, directory: Path) -> None:
        self.host = host
        self.directory = directory
        self.program = directory / archive.FILE_NAME
        self.program.write_bytes(archive.build(UTILITIES))
        own = _leases.lease(1)
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
            "lease": {
                **{name: own[name] for name in ("subnet", "public_ip")},
                "ipv6_subnet": None,
                "public_ipv6": None,
            },
            "network_config": CONFIG,
            **dict.fromkeys(("etcd_cafile", "etcd_certfile", "etcd_keyfile", "etcd_username")),
            **etcd.options,
            "etcd_timeout": 2,
            "etcd_password_file": None,
        }

    def made(self, *peers: int) -> None:
        """Program the node with these peers, as the playbook does."""
        found = self.host.module(
            network_config=CONFIG,
            lease=_leases.lease(1),
            foreign_peers=[_leases.lease(peer) for peer in peers],
            **self.made_with,
        )
        assert not found.get("failed"), found

    def refreshed(self, *arguments: str, **settings: Any) -> tuple[int, str]:
        """Run the program and return its exit code and all that it says."""
        done = self.start(*arguments, **settings)
        said, _none = done.communicate(timeout=60)
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
