# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans of upgrades to judge and to show."""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._upgrade.plan import plan
from ansible_collections.podnet.cni.plugins.module_utils._upgrade.waves import Choice

CONTROL = {"node-role.kubernetes.io/control-plane": ""}


def template(tag: str = "v0.27.4", **more: Any) -> dict[str, Any]:
    image = f"ghcr.io/flannel-io/flannel:{tag}"
    return {"spec": {"containers": [{"name": "kube-flannel", "image": image}], **more}}


def daemonset(nodes: list[str], **changes: Any) -> dict[str, Any]:
    return {
        "place": "kube-flannel/kube-flannel-ds",
        "os": "linux",
        "before": template(),
        "after": template("v0.28.9"),
        "config": {"net-conf.json": '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}'},
        "config_after": {},
        "running": nodes,
        "outdated": [],
        "kept": ["DaemonSet kube-flannel/kube-flannel-ds"],
        **changes,
    }


def made(*items: dict[str, Any], ill: tuple[str, ...] = (), **wanted: Any) -> dict[str, Any]:
    names = [name for item in items for name in item["running"]]
    known = {name: {"labels": CONTROL if name.startswith("c") else {}, "ready": name not in ill} for name in names}
    nodes = wanted.pop("nodes", known)
    wish = {"network": "flannel", "install_method": "manifest", "soak": 30.0, "features": {}, "node_files": []}
    choice = wanted.pop("choice", Choice())
    observed = {"kubernetes": "v1.36.2", "nodes": nodes, "daemonsets": list(items)}
    return plan({**wish, "choice": choice, **wanted}, observed)
