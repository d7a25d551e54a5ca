# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans of a change: what is written where, what is refused and why, and that a second plan has nothing left to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._distributions import change, change_k3s, network_change
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._distributions import samples

Facts = dict[str, Any]
DROPIN = "/etc/rancher/k3s/config.yaml.d/60-podnet-network.yaml"
CONF = "/etc/rancher/k3s/podnet-flannel.json"
MANIFEST = "/var/lib/rancher/rke2/server/manifests/canal.yaml"


def trio(root: Path, server: str = "", agent: str = "", **more: Any) -> dict[str, Facts]:
    """Two servers and an agent of k3s."""
    made = {name: samples.k3s(root / name, server, **more) for name in ("s1", "s2")}
    return {**made, "a1": samples.k3s(root / "a1", agent, command="k3s agent", **more)}


def node(name: str, **more: Any) -> Facts:
    return {**samples.api_node(name, **more), "pod_cidrs": ["10.42.0.0/24"]}


def nodes(*names: str, **more: Any) -> Facts:
    return samples.cluster(nodes=[node(name, kubelet="v1.36.2+k3s1") for name in names], **more)


def plan(hosts: dict[str, Facts], cluster: Facts | None = None, **options: Any) -> Facts:
    return network_change.plan(hosts, cluster or nodes(*hosts), options)


def texts(made: Facts, host: str) -> dict[str, str]:
    return {each["path"]: each["text"] for each in made["files"].get(host, [])}


def applied(root: Path, hosts: dict[str, Facts], made: Facts) -> dict[str, Facts]:
    """The facts of the hosts after the plan has been carried out."""
    found = {}
    for name in hosts:
        files: dict[str, str | None] = {path.lstrip("/"): text for path, text in texts(made, name).items()}
        samples.write(root / name, files, name=name)
        found[name] = samples.host(root / name)
    return found


def test_a_backend_is_a_key_of_servers_and_everybody_restarts(tmp_path: Path) -> None:
    hosts = trio(tmp_path)
    made = plan(hosts, backend="host-gw")
    assert made["problems"] == []
    assert {name: list(texts(made, name)) for name in hosts} == {"s1": [DROPIN], "s2": [DROPIN], "a1": []}
    assert texts(made, "s1")[DROPIN] == change_k3s.HEADER + "flannel-backend: host-gw\n"
    assert made["restart"] == ["s1", "s2", "a1"] and made["drain"] and made["renew"]
    assert (made["former"]["device"], made["expect"]["device"], made["expect"]["backend"]) == (
        "flannel.1",
        "",
        "host-gw",
    )
    shown = change.text(made, network_change.order(made, made["restart"], ["1"]))
    assert (
        "s1: flannel-backend: vxlan -> host-gw" in shown
        and "Wave 3 of 3: drain, restart, prove: a1 (k3s-agent)" in shown
    )
    again = plan(applied(tmp_path, hosts, made), backend="host-gw")
    assert (again["changes"], again["files"], again["restart"]) == ([], {}, [])


def test_wireguard_has_k3ss_name_and_a_key_that_is_in_no_plan(tmp_path: Path) -> None:
    hosts = trio(tmp_path)
    made = plan(hosts, backend="wireguard", wireguard_mode="auto", wireguard_psk=True, port=51900)
    assert made["problems"] == []
    assert "flannel-backend: wireguard-native\n" in texts(made, "s1")[DROPIN]
    backend = json.loads(texts(made, "a1")[CONF])["Backend"]
    assert backend == {
        "Type": "wireguard",
        "PersistentKeepaliveInterval": 25,
        "ListenPort": 51900,
        "Mode": "auto",
        "PSK": change.PSK,
    }
    assert made["expect"]["device"] == "flannel-wg"
    assert all(each["after"] != change.PSK for each in made["changes"])


def test_mtu_needs_a_network_config_on_every_node(tmp_path: Path) -> None:
    hosts = trio(tmp_path, "cluster-cidr: 10.50.0.0/16,fd00:50::/56\n")
    made = plan(hosts, mtu="9000", vni=7)
    assert made["problems"] == [] and made["restart"] == ["s1", "s2", "a1"]
    for name in hosts:
        config = json.loads(texts(made, name)[CONF])
        assert config["Network"] == "10.50.0.0/16" and config["IPv6Network"] == "fd00:50::/56"
        assert config["Backend"] == {"Type": "vxlan", "MTU": 9000, "VNI": 7}
        assert f"flannel-conf: {CONF}" in texts(made, name)[DROPIN]
    assert (made["expect"]["device"], made["expect"]["pods_mtu"]) == ("flannel.7", 8950)
    after = applied(tmp_path, hosts, made)
    assert plan(after, mtu=9000, vni=7)["files"] == {}
    # To another backend, the options that it does not have go, and the MTU with them.
    other = plan(after, backend="host-gw")
    assert json.loads(texts(other, "a1")[CONF])["Backend"] == {"Type": "host-gw"}
    assert other["problems"] == []


def test_a_network_config_of_somebody_else_stays_and_is_the_base(tmp_path: Path) -> None:
    own = json.dumps({"Network": "10.42.0.0/16", "Backend": {"Type": "vxlan", "DirectRouting": True}, "Note": "x"})
    key = "flannel-conf: /etc/rancher/f.json\n"
    hosts = trio(tmp_path, key, key, files={"etc/rancher/f.json": own})
    made = plan(hosts, mtu=1400)
    config = json.loads(texts(made, "a1")[CONF])
    assert config["Note"] == "x" and config["Backend"] == {"Type": "vxlan", "DirectRouting": True, "MTU": 1400}
    assert not any(path == "/etc/rancher/f.json" for name in hosts for path in texts(made, name))
    assert made["expect"]["direct"] is True


@pytest.mark.parametrize(
    ("files", "command", "named"),
    [
        ({"etc/rancher/k3s/config.yaml.d/99-z.yaml": "flannel-backend: vxlan\n"}, "server", "99-z.yaml:1 sets"),
        ({"etc/rancher/k3s/config.yaml.d/70-a.yml": "flannel-backend+: vxlan\n"}, "server", "70-a.yml:1 sets"),
        ({}, "server --flannel-backend=vxlan", "k3s.service:3 sets"),
    ],
)
def test_what_wins_over_the_drop_in_is_named(tmp_path: Path, files: Any, command: str, named: str) -> None:
    hosts = {"s1": samples.k3s(tmp_path / "s1", "", command=f"k3s {command}", files=files)}
    [problem] = plan(hosts, backend="host-gw")["problems"]
    assert named in problem and "flannel-backend" in problem


def test_an_earlier_file_is_overridden_and_stays(tmp_path: Path) -> None:
    files = {"etc/rancher/k3s/config.yaml.d/10-a.yaml": "flannel-backend: wireguard-native\n"}
    made = plan({"s1": samples.k3s(tmp_path / "s1", "", files=files)}, backend="vxlan")
    assert made["problems"] == [] and list(texts(made, "s1")) == [DROPIN]
    assert made["former"]["device"] == "flannel-wg"


def test_what_stands_in_the_way_is_told(tmp_path: Path) -> None:
    hosts = trio(tmp_path)
    windows = nodes("s1", "s2", "a1")
    windows["nodes"].append({**samples.api_node("w1", kubelet="v1.36.2+k3s1"), "os": "windows"})

    def said(**options: Any) -> str:
        cluster = options.pop("cluster", None)
        return " ".join(plan(options.pop("hosts", hosts), cluster, **options)["problems"])

    assert "issues/12849" in said(nftables=True)
    assert "host-gw has no MTU" in said(backend="host-gw", mtu=9000)
    assert "has no link called eth9" in said(interface="eth9")
    assert "has no node-external-ip" in said(external_ip=True)
    assert "Nodes that are not among the hosts: a2" in said(backend="host-gw", cluster=nodes(*hosts, "a2"))
    assert "VNI 4096 and port 4789" in said(vni=5, cluster=windows)
    assert "vxlan alone" in said(backend="host-gw", cluster=windows)
    assert "MTU 100" not in said(mtu=576)
    assert "s3 does not answer" in said(hosts={**hosts, "s3": {}}, backend="host-gw")
    assert "no server of k3s" in said(hosts={"a1": hosts["a1"]}, backend="host-gw")
    assert "the cluster was not read: forbidden" in said(
        backend="host-gw", cluster={**nodes(*hosts), "reasons": {"nodes": "forbidden"}}
    )
    assert "neither k3s nor RKE2" in said(hosts={"x": samples.host(tmp_path / "x")}, backend="host-gw")
    both = {**hosts, "r": samples.rke2(tmp_path / "r", "")}
    assert "both k3s and RKE2" in said(hosts=both, backend="host-gw")
    none = trio(tmp_path / "n", "flannel-backend: none\n")
    assert "another network runs here" in said(hosts=none, backend="vxlan")
    ranch = {"s1": samples.k3s(tmp_path / "m", "", files={"etc/rancher/k3s/config.yaml.d/50-rancher.yaml": ""})}
    assert "Rancher owns this cluster" in said(hosts=ranch, backend="host-gw")
    tab = {"s1": samples.k3s(tmp_path / "t", "node-label:\n\t- a\n")}
    assert "a tab indents this line" in said(hosts=tab, backend="host-gw")


def test_interface_policy_and_external_ip_are_written_where_they_belong(tmp_path: Path) -> None:
    key = "node-external-ip: 198.51.100.7\n"
    made = plan(trio(tmp_path, key, key), interface="eth0", policy="no", external_ip="yes")
    assert made["problems"] == [] and not made["drain"]
    own = texts(made, "s1")[DROPIN]
    assert "flannel-external-ip: true" in own and "disable-network-policy: true" in own and "flannel-iface: eth0" in own
    assert texts(made, "a1")[DROPIN] == change_k3s.HEADER + "flannel-iface: eth0\n"


def test_a_change_that_was_cut_off_is_finished(tmp_path: Path) -> None:
    hosts = trio(tmp_path, "flannel-backend: host-gw\n")
    hosts["a1"]["unfinished"] = True
    made = plan(hosts, backend="host-gw")
    assert (made["changes"], made["restart"], made["renew"]) == ([], ["a1"], True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing is asked for"),
        ({"backend": "udp"}, "vxlan, host-gw, wireguard"),
        ({"mtu": "many"}, "whole number from 576"),
        ({"vni": -1}, "vni is -1"),
        ({"policy": "perhaps"}, "give true or false"),
        ({"wireguard_mode": "both"}, "separate"),
        ({"speed": 1}, "speed is not a setting"),
    ],
)
def test_options_that_are_not_valid(options: Facts, words: str) -> None:
    with pytest.raises(InputError, match=words):
        change.wanted(options)


def test_servers_come_one_by_one_and_agents_in_batches() -> None:
    made = {"servers": ["s1", "s2"], "agents": [f"a{number}" for number in range(1, 8)]}
    everyone = [*made["servers"], *made["agents"]]
    waves = network_change.order(made, everyone, ["1", "50%", "100%"])
    assert waves == [["s1"], ["s2"], ["a1"], ["a2", "a3", "a4", "a5"], ["a6", "a7"]]
    assert network_change.order(made, ["a2", "s2"], ["100%"]) == [["s2"], ["a2"]]
    with pytest.raises(InputError, match="batch"):
        network_change.order(made, everyone, ["none"])


NAMES = st.from_regex(r"[a-z]{3,8}(-[a-z]{2,5})?", fullmatch=True).filter(lambda name: name not in change_k3s.WORDS)
VALUES = st.one_of(st.sampled_from(["true", "false", "on", "012", "1.10", "a: b", "", "x#y", "é"]), NAMES)


@given(st.dictionaries(NAMES, VALUES, max_size=5), st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
def test_a_drop_in_keeps_other_keys_and_says_what_is_wanted(there: dict[str, str], keys: dict[str, str]) -> None:
    text = "# mine\n" + "".join(f"{name}: {json.dumps(value)}\n" for name, value in there.items())
    made = change_k3s.with_keys(text, "d", keys)
    assert change_k3s.with_keys(made, "d", keys) == made
    kept = [line for line in text.splitlines() if line.split(":")[0] not in keys]
    assert [line for line in made.splitlines() if line in kept] == kept
    lines = {line.split(":")[0] for line in made.splitlines()}
    assert set(keys) <= lines


@pytest.mark.parametrize("text", ["a: [1\n", "- a\n", "flannel-iface:\n  - eth0\n", "a: 1\na: 2\n"])
def test_a_drop_in_that_cannot_be_changed_safely(text: str) -> None:
    with pytest.raises(InputError, match=r"d:|d is written"):
        change_k3s.with_keys(text, "d", {"flannel-iface": "eth1"})


CANAL = "flannel:\n  iface: eth1\ncalico:\n  felixIptablesMarkMask: 0xffff0000\n"


def rke2(root: Path, values: str = CANAL, config: str = "", **facts: Any) -> tuple[dict[str, Facts], Facts]:
    """A server and an agent of RKE2, and what their cluster shows."""
    hosts = {
        "s1": samples.rke2(root / "s1", config),
        "a1": samples.rke2(root / "a1", "", command="rke2 agent"),
    }
    made = {
        "nodes": [node(name) for name in hosts],
        "helm_charts": [samples.chart()],
        "helm_chart_configs": [samples.chart_config(values=values)] if values else [],
    }
    return hosts, samples.cluster(**{**made, **facts})


def test_canals_two_mtus_move_together_in_the_object(tmp_path: Path) -> None:
    hosts, cluster = rke2(tmp_path)
    made = network_change.plan(hosts, cluster, {"mtu": 9000})
    assert made["problems"] == [] and made["files"] == {}
    assert made["values"] == {"flannel": {"mtu": 9000}, "calico": {"vethuMTU": 8950}}
    assert made["seen"] == {"flannel.mtu": None, "calico.vethuMTU": None}
    assert (made["object"], made["daemonset"]) == ("HelmChartConfig kube-system/rke2-canal", "rke2-canal")
    assert made["expect"]["pods_mtu"] == 8950 and made["nodes"] == {"s1": "s1", "a1": "a1"}
    assert "DaemonSet kube-system/rke2-canal is restarted" in change.text(made, [])
    there = "flannel: {mtu: 9000}\ncalico: {vethuMTU: 8950}\n"
    assert network_change.plan(*rke2(tmp_path / "2", there), {"mtu": 9000})["changes"] == []


def test_another_backend_needs_consent_and_takes_the_pods_mtu_along(tmp_path: Path) -> None:
    hosts, cluster = rke2(tmp_path)
    [problem] = network_change.plan(hosts, cluster, {"backend": "wireguard"})["problems"]
    assert "accept_unsupported" in problem and "docs.rke2.io/networking/basic_network_options" in problem
    made = network_change.plan(hosts, cluster, {"backend": "wireguard", "accept_unsupported": True})
    assert made["problems"] == [] and made["renew"]
    # 1500 less what wireguard needs.
    assert made["flat"] == {"flannel.backend": "wireguard", "calico.vethuMTU": 1420}
    assert made["expect"]["device"] == "flannel-wg" and made["former"]["device"] == "flannel.1"


def test_a_file_of_servers_owns_the_object(tmp_path: Path) -> None:
    content = "    flannel:\n      iface: eth1\n"
    text = (
        "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata: {name: rke2-canal, namespace: kube-system}\n"
        f"spec:\n  valuesContent: |-\n{content}"
    )
    hosts, cluster = rke2(tmp_path)
    hosts["s1"] = samples.rke2(tmp_path / "f", "", files={MANIFEST.lstrip("/"): text})
    addon = {"name": "canal", "namespace": "kube-system", "source": MANIFEST}
    owned = {**cluster, "addons": [addon], "helm_chart_configs": [samples.chart_config(values=CANAL, owner="canal")]}
    made = network_change.plan(hosts, owned, {"mtu": 9000})
    assert made["problems"] == [] and made["object"] == ""
    assert "mtu: 9000" in texts(made, "s1")[MANIFEST] and "iface: eth1" in texts(made, "s1")[MANIFEST]
    # Without the mark of the Addon nobody knows who would win.
    [problem] = network_change.plan(hosts, cluster, {"mtu": 9000})["problems"]
    assert "does not say that it comes from there" in problem
    [problem] = network_change.plan(rke2(tmp_path / "x")[0], owned, {"mtu": 9000})["problems"]
    assert "was found on no host" in problem
    secret = text.replace("iface: eth1", "psk: abc")
    hosts["s1"] = samples.rke2(tmp_path / "g", "", files={MANIFEST.lstrip("/"): secret})
    [problem] = network_change.plan(hosts, owned, {"mtu": 9000})["problems"]
    assert "holds a secret" in problem


def test_what_the_charts_cannot_do_is_told(tmp_path: Path) -> None:
    def said(values: str = CANAL, config: str = "", **options: Any) -> str:
        more = options.pop("facts", {})
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        return " ".join(network_change.plan(*rke2(root, values, config, **more), options)["problems"])

    assert "external_ip" in said(external_ip=True)
    assert "Felix" in said(policy=False)
    assert "without quotes" in said(wireguard_psk=True)
    assert "has no VNI" in said("flannel: {backend: host-gw}\n", vni=7)
    assert "no value for it" in said("", "cni: flannel\n", interface="eth1")
    assert "vxlan alone" in said("", "cni: flannel\n", backend="host-gw")
    assert "proxy-mode=nftables" in said(nftables=True)
    assert "cni of the servers is cilium" in said(config="cni: cilium\n", mtu=1400)
    rancher = samples.chart_config(values='{"global": {"cattle": {"clusterId": "c-1"}}}')
    assert "Rancher owns this cluster" in said(mtu=1400, facts={"helm_chart_configs": [rancher]})


def test_without_a_change_nothing_is_asked_of_rancher(tmp_path: Path) -> None:
    """A network is proved as it is, whoever owns it; what it expects is what runs."""
    values = '{"flannel": {"mtu": 1420}, "global": {"cattle": {"clusterId": "c-1"}}}'
    made = network_change.plan(*rke2(tmp_path, values), {}, prove=True)
    assert (made["problems"], made["changes"], made["restart"]) == ([], [], [])
    assert (made["expect"]["device"], made["expect"]["mtu"]) == ("flannel.1", 1420)
    files = {"etc/rancher/k3s/config.yaml.d/50-rancher.yaml": "flannel-backend: host-gw\n"}
    hosts = trio(tmp_path / "k3s", files=files)
    made = network_change.plan(hosts, nodes(*hosts), {}, prove=True)
    assert (made["problems"], made["changes"], made["expect"]["backend"]) == ([], [], "host-gw")
    with pytest.raises(InputError, match="nothing is asked for"):
        network_change.plan(hosts, nodes(*hosts), {})


def test_a_change_that_could_not_be_proved_is_refused(tmp_path: Path) -> None:
    bare = {**node("a1"), "pod_cidrs": []}
    hosts, cluster = rke2(tmp_path, nodes=[node("s1"), bare, {**bare, "name": "other"}])
    [problem] = network_change.plan(hosts, cluster, {"mtu": 9000})["problems"]
    assert "Nodes without a podCIDR: a1. " in problem
    hosts, cluster = rke2(tmp_path / "x", nodes=[node("n1"), node("n2")])
    [problem] = network_change.plan(hosts, cluster, {"mtu": 9000})["problems"]
    assert "none of the hosts is a Node" in problem


def test_a_change_of_rke2_that_was_cut_off_is_finished(tmp_path: Path) -> None:
    config = {**samples.chart_config(values="flannel: {mtu: 9000}\ncalico: {vethuMTU: 8950}\n"), "unfinished": True}
    made = network_change.plan(*rke2(tmp_path, helm_chart_configs=[config]), {"mtu": 9000})
    assert (made["changes"], made["unfinished"]) == ([], True)
    assert made["revision"] == network_change.plan(*rke2(tmp_path / "x"), {"mtu": 9000})["revision"]


def rancher_cluster(**config: Any) -> Facts:
    item = {"name": "prod", "namespace": "fleet-default", "unfinished": False}
    return samples.cluster(
        rancher_clusters=[{**item, "spec": {"kubernetesVersion": "v1.36.3+rke2r1", "rkeConfig": config}}]
    )


def test_values_of_a_chart_go_to_ranchers_object(tmp_path: Path) -> None:
    values = '{"flannel": {"iface": "eth1"}, "global": {"cattle": {"clusterId": "c-1"}}}'
    hosts, cluster = rke2(tmp_path, helm_chart_configs=[samples.chart_config(values=values)])
    management = rancher_cluster(chartValues={"rke2-canal": {"flannel": {"iface": "eth1"}}})
    given = {"management": management, "management_cluster": "fleet-default/prod"}
    made = network_change.plan(hosts, cluster, {"mtu": 9000}, **given)
    assert made["problems"] == [] and (made["kind"], made["object"]) == ("Cluster", "Cluster fleet-default/prod")
    chart = {"flannel": {"mtu": 9000}, "calico": {"vethuMTU": 8950}}
    assert made["values"] == {"rkeConfig": {"chartValues": {"rke2-canal": chart}}}
    assert made["seen"]["rkeConfig.chartValues.rke2-canal.flannel.mtu"] is None
    assert made["flat"] == {"flannel.mtu": 9000, "calico.vethuMTU": 8950}
    other = network_change.plan(hosts, cluster, {"mtu": 9000}, management=management, management_cluster="x/y")
    assert "it has fleet-default/prod" in " ".join(other["problems"])
    assert "management_kubeconfig" in " ".join(network_change.plan(hosts, cluster, {"mtu": 9000})["problems"])


def test_keys_of_k3s_go_to_ranchers_object(tmp_path: Path) -> None:
    hosts = trio(tmp_path, files={"etc/rancher/k3s/config.yaml.d/50-rancher.yaml": "cluster-cidr: 10.42.0.0/16\n"})
    given = {"management": rancher_cluster(), "management_cluster": "fleet-default/prod"}
    made = network_change.plan(hosts, nodes(*hosts), {"policy": False, "interface": "eth0"}, **given)
    assert made["problems"] == [] and (made["files"], made["restart"]) == ({}, [])
    keys = {"disable-network-policy": True, "flannel-iface": "eth0"}
    assert made["values"] == {"rkeConfig": {"machineGlobalConfig": keys}}
    assert sorted(each["name"] for each in made["changes"]) == sorted(keys)
    said = " ".join(network_change.plan(hosts, nodes(*hosts), {"backend": "host-gw", "mtu": 0}, **given)["problems"])
    assert "machineGlobalConfig.flannel-backend" in said
    said = " ".join(network_change.plan(hosts, nodes(*hosts), {"mtu": 9000}, **given)["problems"])
    assert "needs a file on each machine" in said
