# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The VTEP MAC of a flanneld in etcd mode across a reboot: a new one, unless its link is there before it starts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration.flanneld._network import end, network

PAGE = (Path(__file__).parents[3] / "docs" / "peers-that-change.md").read_text(encoding="utf-8")
MAC = "02:00:5e:00:53:01"


def command() -> list[str]:
    """What the page tells a unit to do before flanneld starts, for host 1."""
    (line,) = re.findall(r"^ExecStartPre=-(/\S+/ip link add flannel\.1 .*)$", PAGE, re.MULTILINE)
    words = shlex.split(line)
    words[words.index("address") + 1], words[words.index("local") + 1] = MAC, "198.18.0.1"
    return ["ip", *words[1:]]


def test_a_new_mac_at_each_boot_unless_the_link_is_there_before(
    etcd: _etcd.EtcdServer, workers: list[Host], tmp_path: Path
) -> None:
    host = workers[0]
    store = network(etcd, "/mac", [])
    found: list[Any] = []
    daemon = _flanneld.Flanneld(host, etcd, "/mac", tmp_path, "--iptables-forward-rules=false")
    try:
        for before in ([], [], command()):
            if before:
                host.shell(shlex.join(before))
            daemon.start()
            daemon.wait(_flanneld.READY)
            (lease,) = store.list_leases().leases
            (link,) = host.json("ip -d -j link show dev flannel.1")
            found.append((str(lease.subnet), lease.backend_data["VtepMAC"], link["address"], link["ifindex"]))
            # A reboot takes the link and /run; the lease stays.
            end(daemon)
            daemon.subnet_file.unlink()
    finally:
        end(daemon)
    subnets, leased, linked, _indexes = zip(*found)
    assert len(set(subnets)) == 1, "flanneld finds its lease by the public IP"
    assert leased == linked
    assert leased[0] != leased[1], "etcd mode remembers no MAC"
    assert leased[2] == MAC
    assert "already exists with incompatible configuration" not in daemon.log()
