# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gates on nodes that are hosts: lab hosts that hold the data plane of a cluster's leases, and pods of their own.

The network has both families.
The tests build on one another, in this order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.rollout._agents import Agents
from ansible_collections.podnet.cni.tests.integration.upgrade._lab import Lab, lab
from ansible_collections.podnet.cni.tests.integration.upgrade.conftest import AFTER, BEFORE, IMAGE, install

pytestmark = [pytest.mark.kube, pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")]

NODES = ["node1", "node2", "node3"]
PLUGINS = Path("/usr/lib/cni")
OLDER = {
    "flannel_image_tag": "v0.28.8",
    "upgrade_preflight": False,
    "upgrade_host_gates": ["dataplane", "probe", "services"],
}


def _plugins_that_stay(directory: Path) -> Path:
    """A directory of CNI plugins of which bridge adds pods, and refuses to remove them."""
    made = directory / "plugins"
    made.mkdir()
    for plugin in PLUGINS.iterdir():
        (made / plugin.name).symlink_to(plugin)
    (made / "bridge").unlink()
    refusal = '{"cniVersion": "1.0.0", "code": 100, "msg": "nobody leaves"}'
    (made / "bridge").write_text(
        f'#!/bin/sh\nif [ "$CNI_COMMAND" = DEL ]; then echo \'{refusal}\'; exit 1; fi\nexec {PLUGINS}/bridge "$@"\n'
    )
    (made / "bridge").chmod(0o755)
    return made


class Nodes(NamedTuple):
    """Three hosts that are nodes of a cluster, the settings of their upgrades, and those of their overlay's store."""

    server: _kube.KubeServer
    hosts: Lab
    agents: Agents
    settings: dict[str, Any]
    store: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    _kube.require()
    folder = tmp_path_factory.mktemp("gates")
    with _kube.running() as server, lab(folder, lab_etcd=False) as hosts:
        install(server, folder, flannel_pod_cidr_v6="fd00:10:244::/48")
        agents = Agents(server, "kube-flannel", list(NODES), name="kube-flannel-ds", pause=0.3)
        agents.pod_cidrs = {
            name: [f"10.244.{number}.0/24", f"fd00:10:244:{number}::/64"] for number, name in enumerate(NODES, 1)
        }
        with agents:
            agents.settle()
            store = {
                "overlay_store": "kubernetes",
                "overlay_store_host": "localhost",
                "overlay_kubeconfig": str(server.admin),
            }
            code, said = hosts.run("podnet.cni.overlay", **store)
            assert code == 0, said
            settings = {
                "flannel_kubeconfig": str(server.admin),
                "flannel_pod_cidr_v6": "fd00:10:244::/48",
                "flannel_image_tag": AFTER,
                "flannel_wait": False,
                "upgrade_hosts": "overlay",
                "upgrade_directory": str(folder / "up"),
                "upgrade_batch": ["100%"],
                "upgrade_soak": 0,
                "upgrade_poll": 0.2,
                "upgrade_lease_seconds": 600,
                # No kube-proxy is here that would lead pods to Services.
                "upgrade_host_gates": ["dataplane", "probe"],
            }
            yield Nodes(server, hosts, agents, settings, store, folder)


def test_data_plane_and_traffic_of_each_wave(nodes: Nodes) -> None:
    hosts, agents, settings, folder = nodes.hosts, nodes.agents, nodes.settings, nodes.folder
    before = hosts.command("node2", "cat", "/etc/cni/net.d/10-flannel.conflist")

    hosts.command("node2", "ip", "route", "del", "10.244.3.0/24")
    hosts.command("node2", "ip", "route", "del", "fd00:10:244:3::/64")
    code, said = hosts.run("podnet.cni.upgrade", **settings)
    assert code != 0
    assert "node3 does not answer over the overlay" in said, said
    assert [each.name for each in (folder / "up").iterdir()] == ["plan.json"], "planned before it is checked"
    assert "1 canary linux 1 node1" in said, said
    code, said = hosts.run("podnet.cni.upgrade", **settings, upgrade_plan_only=True)
    assert code == 0, "a plan is no matter of what is wrong with hosts: " + said
    code, said = hosts.run("podnet.cni.upgrade", **settings, upgrade_preflight=False)
    assert code != 0
    assert "node2: the data plane is not as the leases say" in said, said
    assert "loses 100 % to node3, 100 % to node3 over IPv6" in said, said
    assert "the data plane is not as the leases say, to do:" in said, said
    assert "Configuration, pod templates and files were put back" in said, said
    assert set(agents.images().values()) == {f"{IMAGE}{BEFORE}"}
    assert hosts.command("node2", "cat", "/etc/cni/net.d/10-flannel.conflist") == before

    code, said = hosts.run("podnet.cni.overlay", **nodes.store)
    assert code == 0, said
    code, said = hosts.run("podnet.cni.upgrade", **settings)
    assert code == 0, said
    assert set(agents.images().values()) == {f"{IMAGE}{AFTER}"}
    assert "podnet-upgrade" not in hosts.command("overlay", "ip", "netns"), "no pod is left"
    kept = sorted(path.name for path in (folder / "up").glob("flannel-*/nodes/*.files.json"))
    assert kept == sorted(f"{name}.files.json" for name in (*NODES, *NODES)), "of each node in both backups"

    older = {**settings, **OLDER, "upgrade_cni_bin_dirs": [str(_plugins_that_stay(folder))]}
    code, said = hosts.run("podnet.cni.upgrade", **older)
    assert code != 0
    assert "Service kubernetes" in said, said
    assert "nobody leaves" in said, "why the pod is still there does not hide why the gate failed: " + said
    assert set(agents.images().values()) == {f"{IMAGE}{AFTER}"}


def test_a_node_that_does_not_answer_is_not_passed_over(nodes: Nodes) -> None:
    hosts, agents, settings = nodes.hosts, nodes.agents, {**nodes.settings, "flannel_image_tag": "v0.28.8"}
    with hosts.away("node3"):
        code, said = hosts.run("podnet.cni.upgrade", **settings)
        assert code != 0
        assert "Not well: host.answers." in said, said
        code, said = hosts.run("podnet.cni.upgrade", **settings, upgrade_preflight=False)
        assert code != 0
        assert "wave 2: node3: did not answer." in said, said
    assert set(agents.images().values()) == {f"{IMAGE}{AFTER}"}


def test_a_node_that_may_fail_and_what_is_not_looked_at(nodes: Nodes) -> None:
    hosts, agents, settings = nodes.hosts, nodes.agents, nodes.settings
    # A host that holds the Service's address refuses, which is an answer. Of the second wave one node may fail,
    # and does: the other one, which cannot reach it either, is well.
    service = nodes.server.api("GET", "/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]
    hosts.command("overlay", "ip", "address", "add", f"{service}/32", "dev", "lo")
    hosts.command("node3", "ip", "route", "del", "10.244.2.0/24")
    code, said = hosts.run("podnet.cni.upgrade", **{**settings, **OLDER}, upgrade_max_failed="1")
    assert code == 0, said
    assert "Not well: node3: the data plane is not as the leases say" in said, said
    assert "node2: " not in said.partition("Not well:")[2], said
    assert set(agents.images().values()) == {f"{IMAGE}v0.28.8"}
    assert "podnet-upgrade" not in hosts.command("overlay", "ip", "netns"), "what stayed before is gone, too"

    # flanneld's own key is its own: of wireguard the data plane is not looked at, and that is said.
    hosts.command("node3", "ip", "route", "add", "10.244.2.0/24", "via", "10.244.2.0", "dev", "flannel.1", "onlink")
    wireguard = {
        "upgrade_host_gates": ["dataplane", "probe"],
        "flannel_backend": "wireguard",
        "flannel_allow_network_change": True,
    }
    code, said = hosts.run("podnet.cni.upgrade", **{**settings, **OLDER, **wireguard})
    assert code == 0, said
    assert "Not looked at: the data plane of backend wireguard." in said, said
