# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the overlay to flanneld and back on a lab host: refused while both would write the lease; the subnet stays."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from ansible_collections.podnet.cni.tests.integration import _flanneld
from ansible_collections.podnet.cni.tests.integration.upgrade._lab import Lab, lab

NETWORK = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
SUBNET_FILE = "/run/flannel/subnet.env"


def leases(hosts: Lab) -> dict[str, int]:
    """The keys of the leases, and the ID of the etcd lease of each, 0 for one that does not expire."""
    said = hosts.command("etcd", "etcdctl", "get", "-w", "json", "--prefix", "/coreos.com/network/subnets/")
    pairs = json.loads(said[said.index('{"header"') :])["kvs"]
    return {pair["key"]: pair.get("lease", 0) for pair in pairs}


def started(hosts: Lab, url: str) -> None:
    words = [
        _flanneld.program(),
        f"--etcd-endpoints={url}",
        "--iface=eth0",
        "--ip-masq",
        f"--subnet-file={SUBNET_FILE}",
    ]
    hosts.command(
        "node1", "sh", "-c", f"rm {SUBNET_FILE}; setsid {shlex.join(words)} >/run/flanneld.log 2>&1 </dev/null &"
    )
    hosts.command(
        "node1", "sh", "-c", f"for i in $(seq 300); do [ -e {SUBNET_FILE} ] && exit 0; sleep 0.1; done; exit 1"
    )


def test_to_flanneld_and_back(tmp_path: Path) -> None:
    _flanneld.program()
    with lab(tmp_path) as hosts:
        code, said = hosts.run("podnet.cni.overlay", overlay_network_config=NETWORK)
        assert code == 0, said
        limited = {"overlay_network_config": NETWORK, "overlay_subnet": "10.244.77.0/24"}
        code, said = hosts.run("podnet.cni.overlay", "--limit", "node2", **limited)
        assert code == 0, said
        assert "10.244.77.0/24" not in hosts.command("node1", "ip", "route"), "it was left out"
        assert "via" in hosts.command("node2", "ip", "route", "show", "dev", "flannel.1"), "and node2 knows the others"
        code, said = hosts.run("podnet.cni.overlay", overlay_network_config=NETWORK)
        assert code == 0, said
        assert "10.244.77.0/24 via" in hosts.command("node1", "ip", "route"), "the run over all finishes it"
        ours = leases(hosts)
        assert set(ours.values()) == {0}
        url = next(line.split()[-1] for line in hosts.inventory.read_text().splitlines() if "http://" in line)
        started(hosts, url)
        theirs = leases(hosts)
        assert theirs.keys() == ours.keys(), "flanneld finds the lease by the host's public IP"
        assert sorted(map(bool, theirs.values())) == [False] * (len(ours) - 1) + [True]
        code, said = hosts.run("podnet.cni.overlay", overlay_network_config=NETWORK)
        assert code != 0
        assert "flanneld works on this host (process " in said
        assert "overlay_flanneld=stop" in said
        assert leases(hosts) == theirs, "nothing was written"
        code, said = hosts.run("podnet.cni.overlay", overlay_network_config=NETWORK, overlay_flanneld="stop")
        assert code == 0, said
        assert leases(hosts) == ours
        code, said = hosts.run("podnet.cni.overlay", overlay_network_config=NETWORK)
        assert code == 0, "flanneld has ended: " + said
        assert said.count("changed=0") >= 2, said
