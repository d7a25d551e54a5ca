# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Three hosts whose leases move between an etcd and the Nodes of a cluster."""

from __future__ import annotations

import base64
import json
from typing import Any

from ansible_collections.podnet.cni.tests.integration import _etcd, _kube
from ansible_collections.podnet.cni.tests.integration._warm import run_module
from ansible_collections.podnet.cni.tests.integration.etcd._lab import Lab
from ansible_collections.podnet.cni.tests.integration.kube._leases import CONFIG, NODES, PREFIX, Cluster, annotations

CONFIG_MAP = "/api/v1/namespaces/kube-flannel/configmaps/kube-flannel-cfg"
NAMES = ("one", "two", "three")
ME = "a test"


class Network:
    """Three hosts with leases in an etcd, and a cluster."""

    def __init__(self, cluster: Cluster, lab: Lab) -> None:
        self.cluster = cluster
        self.lab = lab
        self.kube = cluster.kube
        self.stores = dict.fromkeys(NAMES, "etcd")
        self.ipv6 = False

    @classmethod
    def fresh(
        cls, kube: _kube.KubeServer, etcd: _etcd.EtcdServer, backend: str = "vxlan", *, ipv6: bool = False
    ) -> Network:
        """One whose flannelds have leases that end."""
        lab, cluster = Lab(etcd, "/test/network"), Cluster(kube)
        both = {"EnableIPv6": True, "IPv6Network": "fd00:44::/48"} if ipv6 else {}
        config = {**CONFIG, **both, "Backend": {"Type": backend}}
        lab.write_config(config)
        data = {"data": {"net-conf.json": json.dumps(config)}}
        kube.api("PATCH", CONFIG_MAP, data, "application/merge-patch+json")
        nodes: list[dict[str, Any]] = []
        for number, name in enumerate(NAMES, 1):
            nodes.append({"name": name, "public_ip": f"198.18.0.{number}", "subnet": f"10.44.{number}.0/24"})
            if ipv6:
                nodes[-1].update(public_ipv6=f"fd00:18::{number}", ipv6_subnet=f"fd00:44:0:{number}::/64")
            if backend == "wireguard":
                nodes[-1]["wireguard_public_key"] = base64.b64encode(bytes([number] * 32)).decode()
        made = lab.module("flannel_lease", nodes=nodes, ttl=86400)
        assert made.get("changed"), made
        found = cls(cluster, lab)
        found.ipv6 = ipv6
        return found

    def options(self, to: str = "kubernetes", **params: Any) -> dict[str, Any]:
        """All options of the module for all hosts, each with the store that its flanneld uses."""
        hosts = [
            {
                "name": name,
                "subnet": f"10.44.{number}.1/24",
                "store": store,
                **({"ipv6_subnet": f"fd00:44:0:{number}::1/64"} if self.ipv6 else {}),
            }
            for number, (name, store) in enumerate(self.stores.items(), 1)
        ]
        stores = {**self.lab.options, "kubeconfig": str(self.cluster.kubeconfig)}
        defaults = {"state": "mirrored", "leave": [], "lock_seconds": 300, "create_nodes": False, "force_lock": False}
        return {**defaults, **stores, "to": to, "hosts": hosts, "lock": ME, "unlock": True, **params}

    def migrate(self, to: str = "kubernetes", *, check: bool = False, diff: bool = False, **params: Any) -> Any:
        """Run the module."""
        options = self.options(to, **params)
        return run_module("flannel_lease_migration", options, check=check, diff=diff)

    def add_nodes(self, *numbers: int) -> None:
        """Nodes with the podCIDRs of their hosts."""
        for number in numbers:
            subnets = [f"10.44.{number}.0/24", *([f"fd00:44:0:{number}::/64"] if self.ipv6 else [])]
            self.kube.apply(_kube.node(NAMES[number - 1], subnets))

    def mac(self, name: str) -> str:
        """The VTEP MAC that peers in the cluster see."""
        found = json.loads(annotations(self.kube, name)[PREFIX + "backend-data"])
        return str(found["VtepMAC"])

    def pod_cidr(self, name: str) -> Any:
        return self.kube.api("GET", f"{NODES}/{name}")["spec"].get("podCIDR")

    def ends(self) -> list[int]:
        """How many etcd leases keys under the prefix have."""
        found = self.cluster.module("flannel_lease_info", **self.lab.options, store="etcd")
        return [one["ttl"] for one in found["leases"] if one["ttl"] is not None]
