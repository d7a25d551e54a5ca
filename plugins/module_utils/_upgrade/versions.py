# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which releases run, read from the images of a pod template; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

# By the last part of the repository's name; mirrors put a prefix before it (rancher/mirrored-flannelcni-flannel).
_PRODUCTS = (
    (re.compile(r"(?:^|[/-])flannel-cni-plugin$"), "flannel_cni_plugin"),
    (re.compile(r"(?:^|[/-])(?:flannel|hardened-flannel)$"), "flannel"),
    (re.compile(r"(?:^|[/-])kube-network-policies$"), "kube_network_policies"),
    (re.compile(r"calico[/-](?:node|cni|calico)$"), "calico"),
)
_TAG = re.compile(r"v?([0-9]+\.[0-9]+\.[0-9]+(?:-flannel[0-9]+)?)(?:[-+].*)?")


def product_of(image: str) -> tuple[str, str] | None:
    """Product and version of an image, None for one that is not of the pod network or whose tag is not a version."""
    name = image.partition("@")[0]
    repository, _colon, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
    matched = _TAG.fullmatch(tag)
    for pattern, product in _PRODUCTS:
        if pattern.search(repository):
            return (product, matched.group(1)) if matched else None
    return None


def images(template: Mapping[str, Any]) -> dict[str, str]:
    """The image of every container of a pod template by the container's name."""
    spec = template.get("spec") or {}
    every = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return {str(each.get("name")): str(each.get("image") or "") for each in every}


def of_template(template: Mapping[str, Any]) -> dict[str, str]:
    """Version by product; of several images of one product the one that runs, which comes last."""
    found = (product_of(image) for image in images(template).values())
    return dict(each for each in found if each is not None)
