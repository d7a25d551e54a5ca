# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-router, as the network or for policy and services only.

Source: kube-router v2.5 daemonset/kubeadm-kuberouter.yaml, docs/user-guide.md.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser, Snapshot


def is_kube_router(container: Obj) -> bool:
    return objects.image_is(container, "kube-router")


def match(daemonset: Obj) -> int:
    if any(is_kube_router(container) for container in objects.containers(daemonset)):
        return build.SIGNATURE
    return build.LABEL_ONLY if objects.labels(daemonset).get("k8s-app") == "kube-router" else 0


def recognise(_snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    return [_record(group) for group in build.by_namespace(daemonsets).values()]


def _record(group: Sequence[Obj]) -> Record:
    record = build.start("kube-router", group, is_kube_router, match)
    daemon = build.daemon_of(group[0], is_kube_router)
    words = objects.arguments(daemon) if daemon is not None else []
    record.policy.provider = "kube-router" if _on(words, "run-firewall") else "none"
    record.networking.mtu_auto = True
    if not _on(words, "run-router"):
        record.role = "policy"
        return record
    record.cni.conf_name = "10-kuberouter.conflist" if _on(words, "enable-cni") else None
    record.networking.ipam = "node-podcidr"
    # Routes inside a subnet, tunnels between subnets unless overlay is turned off.
    overlay = _on(words, "enable-overlay")
    record.networking.encapsulation = "mixed" if overlay else "none"
    record.networking.masquerade = _on(words, "enable-pod-egress")
    services = objects.flag(words, "service-cluster-ip-range")
    build.add_cidrs(record, "service", services, "kube-router --service-cluster-ip-range", "medium")
    return record


def _on(words: Sequence[str], name: str) -> bool:
    """kube-router's switches are on unless they are turned off."""
    given = any(word.lstrip("-").partition("=")[0] == name for word in words)
    return objects.switch(words, name) if given else True


RECOGNISER = Recogniser(
    plugin="kube-router",
    order=70,
    match=match,
    recognise=recognise,
    labels={"k8s-app": ("kube-router",)},
    node_annotations=("kube-router.io/",),
)
