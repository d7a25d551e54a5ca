# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host on which a flanneld works is refused before it gets a lease, and taken over once that has ended."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration._warm import run_module
from ansible_collections.podnet.cni.tests.integration.flanneld._network import CONFIG, end, network

OWN = {
    "name": "node-1",
    "subnet": "10.60.7.0/24",
    "public_ip": "198.18.0.1",
    "backend_type": "vxlan",
    "backend_data": {"VNI": 1, "VtepMAC": "02:00:00:00:07:01"},
}


def test_a_running_flanneld_is_found_on_its_own_host_only(
    etcd: _etcd.EtcdServer, workers: list[Host], tmp_path: Path
) -> None:
    network(etcd, "/rival", [])
    daemon = _flanneld.Flanneld(workers[0], etcd, "/rival", tmp_path, "--iptables-forward-rules=false")
    daemon.start()
    try:
        daemon.wait(_flanneld.READY)
        refused = workers[0].module(module="flannel_dataplane_prepare")
        assert refused["failed"]
        assert f"flanneld works on this host (process {daemon.pid}" in refused["msg"]
        plane = {"network_config": CONFIG, "lease": OWN, "firewall": "none", "subnet_file": ""}
        refused = workers[0].module(**plane, flanneld="refuse")
        assert f"flanneld works on this host (process {daemon.pid}" in refused["msg"], "started since the look"
        told = workers[0].module(module="flannel_dataplane_prepare", flanneld="ignore")
        assert [one["pid"] for one in told["flannelds"]] == [daemon.pid]
        assert workers[1].module(module="flannel_dataplane_prepare")["flannelds"] == []
        node = {"name": "node-1", "public_ip": workers[0].public_ip}
        lease = run_module("flannel_lease", {**etcd.options, "etcd_prefix": "/rival", "nodes": [node]})
        assert lease["failed"], "flanneld answers the permanent lease with its own"
        assert "was written, and read back it ends in 86" in lease["msg"], lease["msg"]
        assert f"the public IP {workers[0].public_ip}" in lease["msg"]
        daemon.stop()
        lease = run_module("flannel_lease", {**etcd.options, "etcd_prefix": "/rival", "nodes": [node], "others": True})
        assert (lease["changed"], lease["leases"][0]["ttl"], lease["others"]) == (True, None, [])
        assert workers[0].module(module="flannel_dataplane_prepare")["flannelds"] == []
        assert workers[0].json("ip -j link show dev flannel.1"), "what it made stays"
    finally:
        end(daemon)
