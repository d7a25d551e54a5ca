# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Address ranges out of the many spellings CNI plugins use.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Cidr
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses

_SEPARATORS = re.compile(r"[,\s]+")


def parse_cidrs(value: Any, source: str, confidence: str = "high") -> tuple[list[Cidr], list[str]]:
    """Ranges in a string (comma or space separated) or a list; and the raw texts that are none.

    Host bits are masked, as flannel and Kubernetes do. A text without a prefix length is not a range.
    """
    if isinstance(value, str):
        texts: Sequence[Any] = [part for part in _SEPARATORS.split(value.strip()) if part]
    elif isinstance(value, (list, tuple)):
        texts = value
    else:
        texts = [] if value is None else [value]
    good: list[Cidr] = []
    bad: list[str] = []
    for text in texts:
        try:
            network = addresses.parse_cidr(text.strip() if isinstance(text, str) else text)
        except ValueError:
            bad.append(str(text))
            continue
        good.append(Cidr(str(network), network.version, source, confidence))
    return unique(good), bad


def strip_host_prefix(value: str) -> str:
    """C(10.128.0.0/14/23,fd01::/48/64) as OVN-Kubernetes writes it, without the length of a node's share.

    Source: the key net_cidr of the ConfigMap ovn-config, ovn-kubernetes helm/ovn-kubernetes/values.yaml.
    """
    return ",".join(
        part.rsplit("/", 1)[0] if part.count("/") > 1 else part for part in _SEPARATORS.split(value.strip())
    )


def unique(cidrs: Iterable[Cidr]) -> list[Cidr]:
    """The same ranges in the same order, each once."""
    seen = set()
    kept = []
    for item in cidrs:
        if item.cidr not in seen:
            seen.add(item.cidr)
            kept.append(item)
    return kept


def families(*lists: Sequence[Cidr]) -> list[str]:
    """C(ipv4) and C(ipv6) in the order of the first list that knows more than the ones before it.

    Pass the service ranges first: the first of them decides which family is primary in Kubernetes.
    """
    order: list[str] = []
    for cidrs in lists:
        for item in cidrs:
            name = f"ipv{item.family}"
            if name not in order:
                order.append(name)
    return order


def contains(cidrs: Sequence[Cidr], text: str) -> bool:
    """Whether one of the ranges holds the given one; a text that is not a range is in none."""
    try:
        inner = addresses.parse_cidr(text)
    except ValueError:
        return False
    for item in cidrs:
        outer = addresses.parse_cidr(item.cidr)
        if outer.version != inner.version or outer.prefixlen > inner.prefixlen:
            continue
        if int(inner.network_address) & int(outer.netmask) == int(outer.network_address):
            return True
    return False
