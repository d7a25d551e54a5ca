# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts and clusters for tests of the distributions: files below a folder, gathered as a node's are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._distributions import node

K3S = "etc/rancher/k3s/config.yaml"
RKE2 = "etc/rancher/rke2/config.yaml"
UNIT = "[Service]\nExecStartPre=-/sbin/modprobe br_netfilter\nExecStart=/usr/local/bin/{command}\n"
ENDED = "[Service]\nEnvironmentFile=-/etc/default/%N\n" + UNIT.partition("\n")[2]

Facts = dict[str, Any]


def write(root: Path, files: dict[str, str | None], *, links: tuple[str, ...] = ("eth0", "lo"), name: str = "") -> None:
    """Put files below C(root), a folder where the text is None, and what every healthy host has."""
    base: dict[str, str | None] = {
        "proc/sys/kernel/hostname": f"{name or root.name}\n",
        "proc/sys/net/bridge/bridge-nf-call-iptables": "1\n",
        "etc/modules-load.d/k8s.conf": "overlay\nbr_netfilter\n",
        "sys/module/br_netfilter/refcnt": "0\n",
        **{f"sys/class/net/{link}/mtu": "1500\n" for link in links},
    }
    for path, text in {**base, **files}.items():
        target = root / path
        if text is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())


def host(root: Path, files: dict[str, str | None] | None = None, **more: Any) -> Facts:
    """The facts of a host with these files."""
    root.mkdir(parents=True, exist_ok=True)
    write(root, files or {}, **more)
    programs = root / "usr" / "sbin"
    return {**node.gather(str(programs), str(root)), "root": True}


def k3s(
    root: Path, config: str | None = None, *, command: str = "k3s server", ipset: bool = True, **more: Any
) -> Facts:
    """A host with k3s. Keywords: C(files), further ones; C(links)."""
    unit = "k3s-agent" if " agent" in command else "k3s"
    files: dict[str, str | None] = {f"etc/systemd/system/{unit}.service": UNIT.format(command=command)}
    if config is not None:
        files[K3S] = config
    files.update(more.pop("files", {}))
    if ipset:
        program = root / "var" / "lib" / "rancher" / "k3s" / "data" / "current" / "bin" / "ipset"
        program.parent.mkdir(parents=True)
        program.write_text("")
        program.chmod(0o755)
    return host(root, files, **more)


def rke2(root: Path, config: str | None = None, *, command: str = "rke2 server", **more: Any) -> Facts:
    """A host with RKE2."""
    unit = f"rke2-{command.split()[1]}"
    files: dict[str, str | None] = {f"usr/local/lib/systemd/system/{unit}.service": UNIT.format(command=command)}
    if config is not None:
        files[RKE2] = config
    files.update(more.pop("files", {}))
    return host(root, files, **more)


def chart_config(name: str = "rke2-canal", values: str = "", **spec: Any) -> Facts:
    """A HelmChartConfig as the facts of a cluster have it; C(owner) is the name of its Addon."""
    owner = spec.pop("owner", "")
    annotations = {"objectset.rio.cattle.io/owner-name": owner} if owner else {}
    spec = {"valuesContent": values, **spec}
    return {
        "name": name,
        "namespace": "kube-system",
        "annotations": annotations,
        "spec": spec,
        "conditions": [],
        "job": "",
    }


def chart(name: str = "rke2-canal", **spec: Any) -> Facts:
    """A HelmChart, with what RKE2 injects; C(conditions) are those of its status."""
    conditions = spec.pop("conditions", [])
    spec = {"failurePolicy": "retry", "set": {"global.clusterCIDRv4": "10.42.0.0/16"}, **spec}
    return {
        "name": name,
        "namespace": "kube-system",
        "annotations": {},
        "spec": spec,
        "conditions": conditions,
        "job": f"helm-install-{name}",
    }


def api_node(name: str, args: str = "", **more: Any) -> Facts:
    """A Node as the facts of a cluster have it."""
    return {
        "name": name,
        "os": "linux",
        "kubelet": "v1.36.3+rke2r1",
        "distribution": "rke2",
        "microk8s": False,
        "ready": "True",
        "node_args": args,
        "flannel": {"backend-type": "vxlan"},
        **more,
    }


def cluster(**facts: Any) -> Facts:
    """The facts of a cluster that has nothing but what is given."""
    lists = ("nodes", "helm_charts", "helm_chart_configs", "addons", "rancher_clusters", "daemonsets", "pods")
    return {"subject": "cluster", **{name: [] for name in lists}, "config_maps": {}, "reasons": {}, **facts}
