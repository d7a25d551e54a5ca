# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each check of the audit sees its fault, names place, remedy and source, and is silent where all is well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._distributions import audit
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._distributions import samples

Facts = dict[str, Any]
# The facts of the hosts and, where a cluster is read, of the cluster.
Seed = Callable[[Path], tuple[dict[str, Facts], Any]]

DROPINS = "etc/rancher/k3s/config.yaml.d"
OTHER = '{"Network": "10.42.0.0/16", "Backend": {"Type": "vxlan", "MTU": 8950}}'
MANIFESTS = "var/lib/rancher/rke2/server/manifests"
CONFIG = (
    "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata: {{name: rke2-canal, namespace: kube-system}}\n"
    "spec:\n  valuesContent: |-\n    flannel: {{mtu: {mtu}}}\n"
)
MANAGED = CONFIG.format(mtu=1500)


def failed(hosts: dict[str, Facts], cluster: Facts | None = None) -> list[dict[str, str]]:
    return [each for each in audit.findings(hosts, cluster, []) if each["status"] in ("failed", "unknown")]


def one(config: str | None = None, **more: Any) -> Seed:
    """A host with k3s."""
    return lambda root: ({"a": samples.k3s(root / "a", config, **more)}, None)


def pair(first: str, second: str, *, make: Callable[..., Facts] = samples.k3s, **more: Any) -> Seed:
    """Two servers."""
    return lambda root: ({"a": make(root / "a", first, **more), "b": make(root / "b", second, **more)}, None)


def rke(config: str = "", **more: Any) -> Seed:
    return lambda root: ({"a": samples.rke2(root / "a", config, **more)}, None)


def api(**facts: Any) -> Seed:
    """A cluster alone."""
    return lambda _root: ({}, samples.cluster(**facts))


def values(text: str, name: str = "rke2-canal", **more: Any) -> Seed:
    return api(helm_chart_configs=[samples.chart_config(name, text)], helm_charts=[samples.chart(name)], **more)


def with_cluster(seed: Seed, **facts: Any) -> Seed:
    return lambda root: (seed(root)[0], samples.cluster(**facts))


def two_conf(first: str | None, second: str | None) -> Seed:
    def make(root: Path) -> tuple[dict[str, Facts], None]:
        found = {}
        for name, text in (("a", first), ("b", second)):
            files = {} if text is None else {"etc/f.json": text}
            config = "" if text is None else "flannel-conf: /etc/f.json\n"
            found[name] = samples.k3s(root / name, config, files=files)
        return found, None

    return make


def bridge(**facts: Any) -> Seed:
    """A host without a product, where br_netfilter is as C(facts) say."""

    def make(root: Path) -> tuple[dict[str, Facts], None]:
        found = samples.host(root / "a")
        found["br_netfilter"].update(facts)
        return {"a": found}, None

    return make


def changed(seed: Seed, **facts: Any) -> Seed:
    def make(root: Path) -> tuple[dict[str, Facts], Facts | None]:
        hosts, cluster = seed(root)
        return {name: {**found, **facts} for name, found in hosts.items()}, cluster

    return make


def manifests(*files: dict[str, str]) -> Seed:
    """Servers of RKE2 with these manifests."""

    def make(root: Path) -> tuple[dict[str, Facts], None]:
        return {
            f"s{number}": samples.rke2(root / f"s{number}", "", files={f"{MANIFESTS}/{n}": t for n, t in each.items()})
            for number, each in enumerate(files)
        }, None

    return make


def kubeadm(subnet: str, flag: str, network: str) -> Seed:
    flags = "".join(f"    - --{each}\n" for each in (f"cluster-cidr={flag}", "allocate-node-cidrs=true") if flag)
    manifest = f"spec:\n  containers:\n  - command:\n    - kube-controller-manager\n{flags}"
    stored = {
        "kube-system/kubeadm-config": {"ClusterConfiguration": f"networking: {{podSubnet: {subnet}}}\n"},
        "kube-flannel/kube-flannel-cfg": {
            "net-conf.json": f'{{"Network": "{network}", "Backend": {{"Type": "vxlan"}}}}'
        },
    }
    path = "etc/kubernetes/manifests/kube-controller-manager.yaml"
    return lambda root: ({"a": samples.host(root / "a", {path: manifest})}, samples.cluster(config_maps=stored))


def pod(**more: Any) -> Facts:
    return {"name": "rke2-canal-x", "node": "a", "ready": False, "restarts": 7, "waiting": "CrashLoopBackOff", **more}


def k3s_node(name: str, args: str, **more: Any) -> Facts:
    return samples.api_node(name, args, kubelet="v1.36.3+k3s1", distribution="k3s", **more)


NET_D = "var/lib/rancher/k3s/agent/etc/cni/net.d/10-flannel.conflist"
CNI = "flannel-cni-conf: /etc/c.conflist\n"
OWNED = "/var/lib/rancher/rke2/server/manifests/own.yaml"
WINDOWS = samples.api_node("w", os="windows")


def variable(config: str) -> Seed:
    """A server of RKE2 whose environment names calico."""
    unit = {"usr/local/lib/systemd/system/rke2-server.service": samples.ENDED.format(command="rke2 server")}
    return rke(config, files={**unit, "etc/default/rke2-server": "RKE2_CNI=calico\n"})


def harvester(own: str) -> Seed:
    """A node of Harvester, whose own file comes after Rancher's."""
    folder = "etc/rancher/rke2/config.yaml.d"
    rancher = '{"cni": "multus,canal", "cluster-cidr": "10.52.0.0/16", "token": "x"}'
    return rke(files={f"{folder}/50-rancher.yaml": rancher, f"{folder}/90-harvester-server.yaml": own})


def with_agentless(config: str) -> Seed:
    """A node with a file for flannel-conf, and a server with C(config)."""

    def make(root: Path) -> tuple[dict[str, Facts], None]:
        first = samples.k3s(root / "a", "flannel-conf: /etc/f\n", files={"etc/f": OTHER})
        return {"a": first, "b": samples.k3s(root / "b", config)}, None

    return make


def defaults(text: str) -> Seed:
    """A server of k3s with an environment file."""
    unit = {"etc/systemd/system/k3s.service": samples.ENDED.format(command="k3s server")}
    return one(files={**unit, "etc/default/k3s": text})


def changed_data() -> Seed:
    """An agent of k3s that keeps its data, ipset too, where its environment says."""

    def make(root: Path) -> tuple[dict[str, Facts], None]:
        program = root / "a" / "srv" / "k3s" / "data" / "current" / "bin" / "ipset"
        program.parent.mkdir(parents=True)
        program.write_text("")
        program.chmod(0o755)
        unit = {"etc/systemd/system/k3s-agent.service": samples.ENDED.format(command="k3s agent")}
        files = {**unit, "etc/default/k3s-agent": "K3S_DATA_DIR=/srv/k3s\n"}
        return {"a": samples.k3s(root / "a", command="k3s agent", ipset=False, files=files)}, None

    return make


# check, fault, words of what is seen or to be done, the same without the fault
CASES: list[tuple[str, Seed, str, Seed]] = [
    ("files", one("cni: [\n"), "config.yaml:1", one("flannel-backend: vxlan\n")),
    ("files", one("flannel-conf: /etc/f\n", files={"etc/f": "{"}), "/etc/f", one()),
    (
        "files",
        one(command="k3s server --config /x"),
        "/x",
        one(command="k3s server --config /y", files={"y": "a: 1\n"}),
    ),
    ("ambiguous", one("token: a\ntoken: b\n"), "config.yaml:2", one("token: a\n")),
    ("key_names", one("flannel_backend: vxlan\n"), "Call it flannel-backend", one("flannel-backend: vxlan\n")),
    ("key_names", one("flannel-backends: vxlan\n"), "Call it flannel-backend", one("kube-apiserver-arg: [x]\n")),
    ("key_names", one("--flannel-backend: vxlan\n"), "dashes away", one("write-kubeconfig-mode: 600\n")),
    (
        "key_names",
        one("flannel-backend: vxlan\n", files={f"{DROPINS}/1.yaml": "flannel-backend+: host-gw\n"}),
        "1.yaml:1",
        one("node-label: [a]\n", files={f"{DROPINS}/1.yaml": "node-label+: b\n"}),
    ),
    (
        "key_place",
        one("flannel-backend: host-gw\n", command="k3s agent"),
        "every server",
        one("flannel-iface: eth0\n", command="k3s agent"),
    ),
    ("key_place", rke("flannel-backend: host-gw\n"), "HelmChartConfig", rke("cni: canal\n")),
    (
        "key_place",
        rke("cni: canal\n", command="rke2 agent"),
        "every server",
        rke("node-ip: 10.0.0.1\n", command="rke2 agent"),
    ),
    (
        "both_places",
        one("cluster-cidr: 10.1.0.0/16\n", command="k3s server --cluster-cidr 10.2.0.0/16"),
        "k3s.service:3",
        one("flannel-backend: vxlan\n", command="k3s server --cluster-cidr 10.2.0.0/16"),
    ),
    (
        "rancher_file",
        one(
            files={
                f"{DROPINS}/50-rancher.yaml": "cluster-cidr: 10.1.0.0/16\n",
                f"{DROPINS}/99.yaml": "cluster-cidr: 10.2.0.0/16\n",
            }
        ),
        "99.yaml:1",
        one("cluster-cidr: 10.2.0.0/16\n", files={f"{DROPINS}/50-rancher.yaml": "cluster-cidr: 10.1.0.0/16\n"}),
    ),
    (
        "restart",
        with_cluster(one("flannel-backend: host-gw\n"), nodes=[k3s_node("a", '["server"]')]),
        "systemctl restart k3s",
        with_cluster(one("flannel-backend: vxlan\n"), nodes=[k3s_node("a", '["server"]')]),
    ),
    ("interface", one("flannel-iface: eth7\n"), "no link called eth7", one("flannel-iface: eth0\n")),
    ("interface", one("flannel-iface: 10.0.0.1\n"), "config.yaml:1", rke("node-ip: 10.0.0.1\n")),
    ("flannel_conf", one("flannel-conf: /etc/f\n"), "/etc/f is not there", two_conf(OTHER, OTHER)),
    (
        "flannel_conf",
        two_conf(OTHER.replace("vxlan", "ipip"), None),
        "ipip",
        two_conf(OTHER.replace("vxlan", "host-gw"), None),
    ),
    (
        "flannel_conf",
        one("cluster-cidr: 10.1.0.0/16\nflannel-conf: /etc/f\n", files={"etc/f": OTHER}),
        "10.1.0.0/16",
        one("cluster-cidr: 10.42.0.0/16,fd00::/56\nflannel-conf: /etc/f\n", files={"etc/f": OTHER}),
    ),
    (
        "no_effect",
        two_conf(OTHER.replace("}}", '}, "EnableNFTables": true}'), None),
        "iptables",
        two_conf(OTHER.replace("}}", '}, "EnableNFTables": false}'), None),
    ),
    (
        "no_effect",
        one("flannel-backend: host-gw\nflannel-conf: /etc/f\n", files={"etc/f": OTHER}),
        "flannel-backend is host-gw",
        one(
            "flannel-backend: wireguard-native\nflannel-conf: /etc/f\n",
            files={"etc/f": OTHER.replace("vxlan", "wireguard")},
        ),
    ),
    ("flannel_cni_conf", one(CNI), "is not there", one("")),
    (
        "flannel_cni_conf",
        one(CNI, files={"etc/c.conflist": "{}"}),
        NET_D,
        one(CNI, files={"etc/c.conflist": "{}", NET_D: "{}\n"}),
    ),
    ("flannel_cni_conf", one(CNI, files={"etc/c.conflist": "{}", NET_D: "[]"}), "14597", one("")),
    ("ipset", one(ipset=False), "package ipset", one()),
    (
        "ipset",
        one("disable-network-policy: false\n", ipset=False),
        "ipset",
        one("disable-network-policy: true\n", ipset=False),
    ),
    ("br_netfilter", bridge(setting=None, module="available"), "modprobe br_netfilter", bridge()),
    (
        "br_netfilter",
        bridge(setting=None, module="missing"),
        "kernel-modules-extra",
        bridge(module="builtin", at_boot=[]),
    ),
    ("br_netfilter", bridge(module="loaded", at_boot=[]), "at boot", bridge(module=None, at_boot=[])),
    (
        "br_netfilter",
        changed(bridge(), br_netfilter={"setting": None, "module": None}),
        "49246",
        changed(bridge(), br_netfilter={}),
    ),
    ("devices", one(links=("flannel.1", "flannel-wg")), "9338", one(links=("flannel.1", "flannel-v6.1", "cni0"))),
    ("devices", one(links=("flannel.1", "flannel.4096")), "flannel.4096", one(links=("flannel-wg", "flannel-wg-v6"))),
    ("host_read", changed(one(), root=False), "become", one()),
    ("host_read", lambda _root: ({"a": {}}, None), "did not answer", one()),
    (
        "shared_keys",
        pair("flannel-backend: vxlan\n", "flannel-backend: host-gw\n"),
        "host-gw on b; vxlan on a",
        pair("flannel-backend: vxlan\n", ""),
    ),
    ("shared_keys", pair("flannel-ipv6-masq: true\n", ""), "true on a", pair("flannel-ipv6-masq: false\n", "")),
    (
        "shared_keys",
        pair("service-cidr: 10.9.0.0/16\ndatastore-endpoint: x\n", "datastore-endpoint: x\n"),
        "nothing else compares",
        pair("datastore-endpoint: x\n", "datastore-endpoint: y\n"),
    ),
    (
        "shared_keys",
        pair("disable-kube-proxy: true\n", "", make=samples.rke2),
        "disable-kube-proxy",
        pair("cni: canal\n", "", make=samples.rke2),
    ),
    (
        "shared_keys",
        with_cluster(
            one(""), nodes=[k3s_node("a", '["server"]'), k3s_node("b", '["server","--flannel-backend","none"]')]
        ),
        "none on Node/b",
        with_cluster(
            one(""), nodes=[k3s_node("a", '["server"]'), k3s_node("b", '["agent","--flannel-backend","none"]')]
        ),
    ),
    (
        "cni",
        pair("cni: calico\n", "", make=samples.rke2),
        "calico on a; canal on b",
        pair("cni: canal\n", "", make=samples.rke2),
    ),
    ("flannel_conf_differs", two_conf(OTHER, None), "no file on b", two_conf(OTHER, OTHER.replace(" ", ""))),
    ("flannel_conf_differs", two_conf(OTHER, OTHER.replace("8950", "1400")), "Backend.MTU 1400", two_conf(None, None)),
    (
        "backend_types",
        api(nodes=[samples.api_node("a"), samples.api_node("b", flannel={"backend-type": "wireguard"})]),
        "wireguard on Node/b",
        api(nodes=[samples.api_node("a"), samples.api_node("b"), samples.api_node("c", flannel={})]),
    ),
    ("chart_values", values("a:\n\tb: 1\n"), "valuesContent:2", values("a: {b: 1}\n")),
    ("chart_values", values("a: 1\na: 2\n", addons=[]), "twice", values("")),
    ("values_no_effect", values("podCidr: 10.9.0.0/16\n"), "clusterCIDRv4", values("flannel: {iface: eth1}\n")),
    (
        "values_no_effect",
        values("calico: {vethMTU: 1400}\n"),
        "calico.vethuMTU",
        values("calico: {felixIptablesBackend: nft}\n"),
    ),
    (
        "values_no_effect",
        values("calico: {masquerade: false}\n"),
        "--ip-masq",
        values("calico: {masquerade: false}\nflannel: {args: [--kube-subnet-mgr]}\n"),
    ),
    ("mtu_pair", values("flannel: {mtu: 8950}\n"), "calico.vethuMTU 8900", values("flannel: {mtu: 1500}\n")),
    (
        "mtu_pair",
        values("calico: {vethuMTU: 8900}\n"),
        "interfaces with MTU 8950",
        values("flannel: {mtu: 8950}\ncalico: {vethuMTU: 8900}\n"),
    ),
    (
        "mtu_pair",
        values("flannel: {mtu: 1500, backend: wireguard}\ncalico: {vethuMTU: 1450}\n"),
        "1420",
        values("flannel: {mtu: 1500, backend: wireguard}\ncalico: {vethuMTU: 1420}\n"),
    ),
    (
        "windows",
        with_cluster(two_conf(OTHER, None), nodes=[WINDOWS]),
        "VNI 4096",
        with_cluster(two_conf(OTHER.replace('"MTU": 8950', '"VNI": 4096, "Port": 4789'), None), nodes=[]),
    ),
    (
        "windows",
        values("flannel: {vni: 1}\n", "rke2-flannel", nodes=[WINDOWS]),
        "flannel.vni 1",
        values("flannel: {mtu: 1400}\n", "rke2-flannel", nodes=[WINDOWS]),
    ),
    (
        "chart_owner",
        manifests({"own.yaml": CONFIG.format(mtu=9000), "rancher/managed-chart-config.yaml": MANAGED}),
        "chartValues",
        manifests({"rancher/managed-chart-config.yaml": MANAGED}, {"rancher/managed-chart-config.yaml": MANAGED}),
    ),
    ("chart_owner", manifests({"a.yaml": MANAGED}, {"b.yaml": MANAGED}), "a.yaml", manifests({"a.yaml": MANAGED}, {})),
    (
        "chart_owner",
        manifests({"a.yaml": MANAGED}, {"a.yaml": CONFIG.format(mtu=9000)}),
        "between servers",
        manifests({"a.yaml": MANAGED}, {"a.yaml": MANAGED}),
    ),
    (
        "chart_owner",
        with_cluster(
            manifests({"own.yaml": CONFIG.format(mtu=9000)}),
            helm_chart_configs=[samples.chart_config(values='{"global": {"cattle": {"clusterId": "c-1"}}}')],
        ),
        "managed-chart-config.yaml",
        with_cluster(
            manifests({"own.yaml": MANAGED}),
            helm_chart_configs=[samples.chart_config(owner="own")],
            addons=[{"name": "own", "namespace": "kube-system", "source": OWNED}],
        ),
    ),
    (
        "failure_policy",
        api(helm_charts=[samples.chart(failurePolicy="")]),
        "failurePolicy: abort",
        api(helm_charts=[samples.chart()]),
    ),
    (
        "failure_policy",
        api(helm_charts=[samples.chart()], helm_chart_configs=[samples.chart_config(failurePolicy="reinstall")]),
        "50921",
        api(
            helm_charts=[samples.chart(failurePolicy="")],
            helm_chart_configs=[samples.chart_config(failurePolicy="abort")],
        ),
    ),
    (
        "chart_failed",
        api(
            helm_charts=[
                samples.chart(conditions=[{"type": "Failed", "status": "True", "reason": "Job", "message": "no"}])
            ]
        ),
        "helm-install-rke2-canal",
        api(helm_charts=[samples.chart(conditions=[{"type": "Failed", "status": "False"}])]),
    ),
    (
        "pod_range",
        kubeadm("10.244.0.0/16", "10.1.0.0/16", ""),
        "10.1.0.0/16",
        kubeadm("10.244.0.0/16", "10.244.0.0/16", "10.244.0.0/16"),
    ),
    (
        "pod_range",
        kubeadm("10.244.0.0/16", "10.244.0.0/16", "10.1.0.0/16"),
        "Network 10.1.0.0/16",
        kubeadm("10.244.0.0/16", "10.244.0.0/16", "10.0.0.0/8"),
    ),
    (
        "pod_range",
        kubeadm("10.244.0.0/16", "", "10.244.0.0/16"),
        "allocate-node-cidrs",
        kubeadm("", "10.244.0.0/16", "10.244.0.0/16"),
    ),
    (
        "pod_range",
        api(config_maps={"kube-flannel/kube-flannel-cfg": {"net-conf.json": "{"}}),
        "kube-flannel-cfg",
        api(config_maps={}),
    ),
    (
        "network_waits",
        api(pods=[pod(message="Failed\nto check")]),
        "7 restarts: Failed to check",
        api(pods=[pod(ready=True)]),
    ),
    (
        "network_waits",
        with_cluster(bridge(setting=None), pods=[pod()]),
        "br_netfilter is missing on a",
        with_cluster(bridge(), pods=[]),
    ),
    (
        "network_waits",
        with_cluster(bridge(setting=None), pods=[pod(node="b")]),
        "Look whether br_netfilter is loaded on the node",
        with_cluster(bridge(setting=None), pods=[]),
    ),
    (
        "shared_keys",
        pair("disable: [traefik, servicelb]\n", "disable: [traefik]\n"),
        "disable=servicelb: false on b; true on a",
        pair("disable: [traefik, servicelb]\n", "disable: servicelb\n"),
    ),
    (
        "shared_keys",
        pair("secrets-encryption: true\n", ""),
        "secrets-encryption: false on b; true on a",
        pair("secrets-encryption: false\n", ""),
    ),
    (
        "shared_keys",
        pair("service-cidr: 10.9.0.0/16,fd09::/112\ncluster-dns: 10.9.0.1\n", "service-cidr: 10.9.0.0/16,fd09::/112\n"),
        "10.9.0.10,fd09::a on b",
        pair(
            "service-cidr: 10.9.0.0/16,fd09::/112\ncluster-dns: 10.9.0.10,fd09::a\n",
            "service-cidr: 10.9.0.0/16,fd09::/112\n",
        ),
    ),
    (
        "restart",
        with_cluster(
            one("kube-proxy-arg: [a=1]\n", command="k3s server --kube-proxy-arg b=2"),
            nodes=[k3s_node("a", '["server","--kube-proxy-arg","b=2"]')],
        ),
        "kube-proxy-arg is b=2 and the files say a=1,b=2",
        with_cluster(
            one("flannel-backend: vxlan\nkube-proxy-arg: a=1\n", command="k3s server --flannel-backend none"),
            nodes=[
                k3s_node(
                    "a", '["server","--flannel-backend","vxlan","--kube-proxy-arg","a=1","--flannel-backend","none"]'
                )
            ],
        ),
    ),
    (
        "restart",
        with_cluster(variable("cni: canal\n"), nodes=[samples.api_node("a", '["server","--cni","calico"]')]),
        "cni is calico",
        with_cluster(variable(""), nodes=[samples.api_node("a", '["server"]')]),
    ),
    (
        "rancher_file",
        harvester("cluster-cidr: 10.54.0.0/16\n"),
        "cluster-cidr overrides",
        harvester("cluster-cidr: 10.52.0.0/16\ncni: [multus, canal]\n"),
    ),
    (
        "files",
        one(command="k3s server --config=/etc/none.yaml"),
        "/etc/none.yaml",
        one(command="k3s server --config=https://198.18.0.1/k3s.yaml"),
    ),
    (
        "network_waits",
        api(pods=[pod(restarts=0, waiting="ImagePullBackOff")]),
        "kubectl describe",
        api(pods=[pod(ready=True, restarts=0)]),
    ),
    (
        "values_no_effect",
        api(helm_chart_configs=[{**samples.chart_config(), "spec": {}}]),
        "beside metadata",
        api(helm_chart_configs=[samples.chart_config(values="", failurePolicy="abort")]),
    ),
    (
        "mtu_pair",
        values("flannel: {backend: wireguard}\n"),
        "interfaces with MTU 1530",
        values("flannel: {backend: wireguard}\ncalico: {vethuMTU: 1420}\n"),
    ),
    ("mtu_pair", values("calico: {vethuMTU: 1400}\n"), "MTU 1450", values("calico: {vethuMTU: 1450}\n")),
    (
        "mtu_pair",
        values("calico: {vethuMTU: 8950}\n"),
        "MTU 9000",
        values("flannel: {iface: eth1, backend: host-gw}\n"),
    ),
    ("mtu_pair", values("flannel: {mtu: '9000'}\n"), "8950", values("flannel: {mtu: 0}\n")),
    (
        "mtu_pair",
        values("flannel: {mtu: 9000}\ncalico: {vethuMTU: 8960}\n"),
        "Set calico.vethuMTU to 8950",
        values("flannel: {mtu: 9000}\ncalico: {vethuMTU: 8900}\n"),
    ),
    (
        "chart_owner",
        manifests({"a.yaml": MANAGED, "b.yaml": MANAGED}),
        "b.yaml",
        manifests({"a.yaml": MANAGED, "b.yaml": MANAGED, "b.yaml.skip": ""}),
    ),
    (
        "key_names",
        rke("kube-controller-manager-args: [x]\n"),
        "Call it kube-controller-manager-arg",
        rke("kube-controller-manager-image: x\nkube-proxy-image: x\n"),
    ),
    (
        "br_netfilter",
        changed(one(), br_netfilter={"setting": None, "module": "missing"}),
        "kernel-modules-extra",
        changed(one(), br_netfilter={"setting": "1", "module": "loaded", "at_boot": []}),
    ),
    (
        "flannel_conf",
        one("flannel-conf: /etc/f\n", files={"etc/f": OTHER.replace("10.42", "10.43")}),
        "a range that holds cluster-cidr",
        one("flannel-conf: /etc/f\n", files={"etc/f": OTHER.replace("10.42.0.0/16", "10.40.0.0/13")}),
    ),
    (
        "flannel_conf",
        one("flannel-conf: /etc/f\n"),
        "is not there",
        one("flannel-conf: /etc/f\n", files={"etc/f": None}),
    ),
    (
        "flannel_cni_conf",
        one(CNI, files={NET_D: "{}"}),
        "/etc/c.conflist is not there",
        one(CNI, files={NET_D: "{}", "etc/c.conflist": None}),
    ),
    (
        "flannel_conf_differs",
        with_agentless(""),
        "no file on b",
        with_agentless("disable-agent: true\n"),
    ),
    (
        "chart_failed",
        api(helm_charts=[samples.chart("rke2-canal-crd", conditions=[{"type": "Failed", "status": "True"}])]),
        "helm-install-rke2-canal-crd",
        api(helm_charts=[samples.chart("traefik", conditions=[{"type": "Failed", "status": "True"}])]),
    ),
    (
        "chart_values",
        values("- a\n"),
        "a mapping of values",
        values("a: &a {b: 1}\nc:\n  <<: *a\n"),
    ),
    (
        "ambiguous",
        defaults("export A=1\n"),
        "default/k3s:1",
        defaults('A="1 \\\n  2"\n'),
    ),
    (
        "ipset",
        one(command="k3s agent", ipset=False),
        "ipset",
        changed_data(),
    ),
    ("cluster_read", api(reasons={"addons": "the right to list addons is missing"}), "addons", api()),
]


@pytest.mark.parametrize(("name", "fault", "words", "well"), CASES, ids=[f"{n}-{c[0]}" for n, c in enumerate(CASES)])
def test_a_fault_is_seen_and_nothing_where_all_is_well(
    tmp_path: Path, name: str, fault: Seed, words: str, well: Seed
) -> None:
    seen = [each for each in failed(*fault(tmp_path / "fault")) if each["id"] == f"distribution.{name}"]
    assert seen, "the fault is not seen"
    assert any(words in f"{each['seen']} {each['expected']} {each['remedy']}" for each in seen), seen
    assert all(each["remedy"] for each in seen)
    assert [each for each in failed(*well(tmp_path / "well")) if each["id"] == f"distribution.{name}"] == []


@pytest.mark.parametrize(
    ("seed", "severity"),
    [
        (api(pods=[pod(restarts=0, waiting="PodInitializing")]), "warning"),
        (api(pods=[pod(restarts=1, waiting="PodInitializing")]), "error"),
        (api(pods=[pod(restarts=0, waiting="ImagePullBackOff")]), "error"),
        (changed(one(), br_netfilter={"setting": None, "module": "available"}), "warning"),
        (changed(one(), br_netfilter={"setting": None, "module": "missing"}), "error"),
        (values("a: 1\na: 2\n"), "warning"),
        (values("a: [\n"), "error"),
    ],
)
def test_what_its_owner_can_live_with_weighs_less(tmp_path: Path, seed: Seed, severity: str) -> None:
    assert [each["severity"] for each in failed(*seed(tmp_path / "a"))] == [severity]


def test_every_check_has_a_case() -> None:
    assert {f"distribution.{case[0]}" for case in CASES} == {each.id for each in audit.CHECKS}


def test_a_remedy_of_a_check_names_its_source(tmp_path: Path) -> None:
    """A source is a link; what has none is a text that its owner or its reader can correct at once."""
    own = {
        "distribution.files",
        "distribution.host_read",
        "distribution.cluster_read",
        "distribution.flannel_cni_conf",
    }
    for number, (name, fault, _words, _well) in enumerate(CASES):
        for each in failed(*fault(tmp_path / str(number))):
            if (
                each["id"] == f"distribution.{name}"
                and each["id"] not in own
                and "ConfigMap kube-flannel" not in each["seen"]
            ):
                assert "https://" in each["remedy"], each


def test_a_healthy_set_has_no_finding(tmp_path: Path) -> None:
    shared = "flannel-backend: vxlan\ncluster-cidr: 10.42.0.0/16\n"
    hosts = {
        "s1": samples.k3s(tmp_path / "s1", shared + "flannel-iface: eth0\n"),
        "s2": samples.k3s(tmp_path / "s2", shared),
        "a1": samples.k3s(tmp_path / "a1", "flannel-iface: eth0\n", command="k3s agent"),
    }
    nodes = [
        k3s_node("s1", '["server","--flannel-backend","vxlan","--flannel-iface","eth0"]'),
        k3s_node("s2", '["server"]'),
        k3s_node("a1", '["agent","--flannel-iface","eth0"]'),
    ]
    assert failed(hosts, samples.cluster(nodes=nodes)) == []


def test_checks_can_be_left_out_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    hosts, _none = one("flannel_backend: vxlan\n")(tmp_path)
    assert [
        each for each in audit.findings(hosts, None, ["distribution.key_names"]) if each["status"] == "failed"
    ] == []
    with pytest.raises(InputError, match=r"no check 'distribution.x'.*distribution.key_names"):
        audit.findings(hosts, None, ["distribution.x"])


def test_the_gravest_comes_first(tmp_path: Path) -> None:
    found = failed(*one("token: a\ntoken: b\nflannel_backend: x\n")(tmp_path))
    assert [each["severity"] for each in found] == ["error", "warning"]
