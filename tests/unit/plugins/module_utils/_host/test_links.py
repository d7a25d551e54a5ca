# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in the way of an overlay's own links and ports."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._host import links

RANGES = [ipaddress.ip_network("10.244.0.0/16"), ipaddress.ip_network("fd00::/48")]
NAMES = {"flannel.1": "vxlan", "flannel-v6.1": "vxlan"}
OURS = {"name": "flannel.1", "kind": "vxlan", "vxlan": {"port": 8472}, "addresses": ["10.244.1.0/32"]}


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        (OURS, ""),
        ({**OURS, "addresses": []}, ""),
        ({**OURS, "vxlan": {"port": 4789}}, ""),
        ({**OURS, "addresses": ["fd00::/128"]}, ""),
        ({**OURS, "addresses": ["10.42.1.0/32"]}, "address"),
        ({**OURS, "kind": "bridge"}, "link"),
        ({**OURS, "name": "flannel.7"}, ""),
        ({**OURS, "name": "cilium_vxlan", "addresses": []}, "port"),
        ({**OURS, "name": "cilium_vxlan", "vxlan": {"port": 4789}, "addresses": []}, ""),
    ],
)
def test_claims(link: dict[str, Any], kind: str) -> None:
    found = links.claims([link], [8472], NAMES, RANGES)
    assert [each.kind for each in found] == ([kind] if kind else [])
    for each in found:
        assert str(link["name"]) in each.seen
        assert each.remedy.endswith(".")


def test_a_port_that_is_held() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("", 0))
        assert links.is_held(holder.getsockname()[1])
        port = holder.getsockname()[1]
    assert not links.is_held(port)
