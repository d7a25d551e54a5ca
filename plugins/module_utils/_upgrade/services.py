# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Services that pods of every cluster reach. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound

API = "/api/v1/namespaces/default/services/kubernetes"
DNS = "/api/v1/namespaces/kube-system/services"
DNS_SELECTOR = "k8s-app=kube-dns"
"""CoreDNS keeps the label of its predecessor (kubernetes v1.36 cluster/addons/dns/coredns)."""


def read(client: KubeClient) -> tuple[list[dict[str, Any]], list[str]]:
    """Targets of a probe, and what is not known of them. Two requests.

    A target has C(name), C(address), C(protocol) and C(port). Raises KubeError.
    """
    found: list[dict[str, Any]] = []
    unknown = []
    try:
        found += api_targets(client.get(API))
    except (Forbidden, NotFound) as error:
        unknown.append(f"Service default/kubernetes is not probed: {error}")
    try:
        dns = client.list(DNS, {"labelSelector": DNS_SELECTOR}).items
    except Forbidden as error:
        unknown.append(f"the cluster's name server is not probed: {error}")
    else:
        targets = [target for each in dns[:1] for target in dns_targets(each)]
        found += targets
        if not targets:
            unknown.append(
                f"the cluster's name server is not probed: no Service in kube-system has {DNS_SELECTOR} and an address"
            )
    return found, unknown


def api_targets(service: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The API server as pods reach it."""
    spec = service.get("spec") or {}
    ports = spec.get("ports") or [{"port": 443}]
    return _targets("Service kubernetes", spec, [("tcp", int(ports[0]["port"]), "")])


def dns_targets(service: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The name server by both protocols."""
    return _targets("Service kube-dns", service.get("spec") or {}, [("udp", 53, " (UDP)"), ("tcp", 53, " (TCP)")])


def _targets(name: str, spec: Mapping[str, Any], ways: list[tuple[str, int, str]]) -> list[dict[str, Any]]:
    address = spec.get("clusterIP")
    if address in (None, "", "None"):
        return []
    return [
        {"name": f"{name}{suffix}", "address": address, "protocol": protocol, "port": port}
        for protocol, port, suffix in ways
    ]
