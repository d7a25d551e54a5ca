# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A flanneld takes up the lease that was restored for it, and a lost etcd is rebuilt out of the hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _etcd, _flanneld
from ansible_collections.podnet.cni.tests.integration._netns import Host
from ansible_collections.podnet.cni.tests.integration._warm import run_module
from ansible_collections.podnet.cni.tests.integration.flanneld._network import CONFIG, end, network, routes

QUIET = "--iptables-forward-rules=false"


def keys(etcd: _etcd.EtcdServer, prefix: str) -> dict[str, str]:
    start = f"{prefix}/subnets/"
    return {key[len(start) :]: value for key, value in etcd.get(start).items()}


def ends(etcd: _etcd.EtcdServer, prefix: str, key: str) -> bool:
    """Whether a lease has a lifetime, as those have that a flanneld holds."""
    pairs = json.loads(etcd.ctl("get", "-w", "json", "--", f"{prefix}/subnets/{key}"))["kvs"]
    return bool(pairs[0].get("lease"))


def agentless(hosts: list[Host], leases: list[dict[str, Any]], files: Path) -> None:
    """Program hosts as the overlay does."""
    for host, own in zip(hosts, (each for each in leases if each["name"] in {host.name for host in hosts})):
        done = host.module(
            network_config=CONFIG,
            lease=own,
            peers=[each for each in leases if each is not own],
            firewall="none",
            subnet_file=str(files / f"{host.name}.env"),
        )
        assert not done.get("failed"), done


def test_flanneld_continues_with_the_lease_in_its_new_store(
    etcd: _etcd.EtcdServer, workers: list[Host], tmp_path: Path
) -> None:
    old, new = "/restore-old", "/restore-new"
    network(
        etcd,
        old,
        [
            (
                "10.60.99.0-24",
                '{"PublicIP":"198.18.8.1","PublicIPv6":null,"BackendType":"vxlan",'
                '"BackendData":{"VNI":1,"VtepMAC":"02:00:00:00:08:01"}}',
            )
        ],
    )
    daemon = _flanneld.Flanneld(workers[0], etcd, old, tmp_path, QUIET)
    daemon.start()
    try:
        assert daemon.wait(_flanneld.READY)
        daemon.until(lambda: "10.60.99.0/24" in routes(workers[0]))
        path = str(tmp_path / "leases.json")
        backup = run_module("flannel_lease_backup", {**etcd.options, "etcd_prefix": old, "path": path})
        own = next(lease for lease in backup["leases"] if lease["public_ip"] == workers[0].public_ip)
        assert own["ttl"] > 86000
        restored = {**etcd.options, "etcd_prefix": new, "path": path, "state": "restored"}
        done = run_module("flannel_lease_backup", restored)
        assert len(done["actions"]) == 3, done
        assert keys(etcd, new) == keys(etcd, old)
        daemon.stop()
        # Without its subnet file it knows its subnet from the store alone.
        daemon.subnet_file.unlink()
        daemon = _flanneld.Flanneld(workers[0], etcd, new, tmp_path, QUIET)
        daemon.start()
        assert daemon.wait(_flanneld.READY)
        assert f"FLANNEL_SUBNET={own['subnet'].replace('.0/', '.1/')}" in daemon.subnet_file.read_text()
        assert "10.60.99.0/24" in routes(workers[0])
        assert keys(etcd, new) == keys(etcd, old), "it found its own lease, and nothing else was written"
        assert ends(etcd, new, own["subnet"].replace("/", "-"))
        assert not run_module("flannel_lease_backup", restored)["changed"], "whoever renews a lease is left alone"
        assert daemon.running()
    finally:
        end(daemon)


def test_a_lost_etcd_is_rebuilt_out_of_its_hosts(workers: list[Host], tmp_path: Path) -> None:
    _flanneld.program()
    with _etcd.running(today=True) as server:
        prefix = _etcd.PREFIX
        network(server, prefix, [])
        own, *rest = workers[:4]
        daemon = _flanneld.Flanneld(own, server, prefix, tmp_path, QUIET)
        daemon.start()
        try:
            assert daemon.wait(_flanneld.READY)
            nodes = [{"name": host.name, "public_ip": host.public_ip} for host in rest]
            leased = run_module("flannel_lease", {**server.options, "nodes": nodes, "others": True})
            agentless(rest, [*leased["leases"], *leased["others"]], tmp_path)
            lost = keys(server, prefix)
            assert len(lost) == 4
            daemon.until(lambda: len(routes(own)) == 3)

            server.kill()
            server.wipe()
            server.start()
            files = {host: str(tmp_path / f"{host.name}.env") for host in rest} | {own: str(daemon.subnet_file)}
            planes = {
                host: host.module(module="flannel_dataplane_info", diff=False, subnet_file=file, network_config=CONFIG)
                for host, file in files.items()
            }
            hosts = [{"name": host.name, "dataplane": plane} for host, plane in planes.items()]
            given = {**server.options, "recover_from": hosts}
            assert "write it first" in run_module("flannel_lease", given)["msg"]
            assert run_module("flannel_network", {**server.options, "network_config": CONFIG})["changed"]

            partly = run_module("flannel_lease", {**given, "recover_from": hosts[:-1]}, check=True)
            assert "none of the given hosts has that subnet" in str(partly["warnings"])
            cloned = [*hosts[:-1], {**hosts[0], "name": "clone"}]
            refused = run_module("flannel_lease", {**given, "recover_from": cloned})
            for part in ("has the same subnet", "names the same public IP", "has the same VTEP MAC"):
                assert part in refused["msg"]
            assert keys(server, prefix) == {}

            planned = run_module("flannel_lease", given, check=True, diff=True)
            assert (planned["changed"], planned.get("warnings", [])) == (True, [])
            done = run_module("flannel_lease", given, diff=True)
            assert not done.get("failed"), done
            assert done["diff"] == planned["diff"]
            assert keys(server, prefix) == lost, "the network that was lost, to the octet"
            assert not run_module("flannel_lease", given)["changed"]
            assert run_module("flannel_lease_info", server.options)["problems"] == []
            assert len(routes(own)) == 3, "no peer was lost meanwhile"
        finally:
            end(daemon)
            for host in rest:
                host.module(state="absent", network_config=CONFIG, firewall="none", subnet_file="")


@pytest.mark.parametrize("kind", ["taken", "moved"])
def test_hosts_do_not_win_over_what_the_store_holds(
    etcd: _etcd.EtcdServer, workers: list[Host], tmp_path: Path, kind: str
) -> None:
    prefix = f"/recover-{kind}"
    network(etcd, prefix, [])
    host = workers[5]
    options = {**etcd.options, "etcd_prefix": prefix}
    leases = run_module("flannel_lease", {**options, "nodes": [{"name": host.name, "public_ip": host.public_ip}]})
    agentless([host], leases["leases"], tmp_path)
    try:
        plane = host.module(module="flannel_dataplane_info", diff=False, subnet_file=str(tmp_path / f"{host.name}.env"))
        given = {**options, "recover_from": [{"name": host.name, "dataplane": plane}]}
        assert not run_module("flannel_lease", given)["changed"]
        etcd.ctl("del", "--prefix", f"{prefix}/subnets")
        subnet = leases["leases"][0]["subnet"] if kind == "taken" else "10.60.200.0/24"
        address = "198.18.0.99" if kind == "taken" else host.public_ip
        run_module("flannel_lease", {**options, "nodes": [{"name": "new", "public_ip": address, "subnet": subnet}]})
        before = keys(etcd, prefix)
        refused = run_module("flannel_lease", given)
        assert f"in the store, lease {subnet} of public IP {address}" in refused["msg"], refused
        assert keys(etcd, prefix) == before
    finally:
        host.module(state="absent", network_config=CONFIG, firewall="none", subnet_file="")
