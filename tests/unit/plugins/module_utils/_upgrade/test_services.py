# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Services an upgrade probes, and what it says of those that it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube.client import Listing
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import services


class Cluster:
    def __init__(self, api: Any, dns: Any) -> None:
        self.answers = {services.API: api, services.DNS: dns}

    def get(self, path: str) -> Any:
        if self.answers[path] is None:
            raise Forbidden("you may not", status=403)
        return self.answers[path]

    def list(self, path: str, query: dict[str, str]) -> Listing:
        assert query == {"labelSelector": "k8s-app=kube-dns"}
        return Listing(self.get(path), "1", "ServiceList")


def service(address: str, port: int) -> dict[str, Any]:
    return {"spec": {"clusterIP": address, "ports": [{"port": port}]}}


def test_api_server_and_name_server_by_both_protocols() -> None:
    found, unknown = services.read(Cluster(service("10.96.0.1", 6443), [service("fd00::a", 53)]))
    assert [(each["address"], each["protocol"], each["port"]) for each in found] == [
        ("10.96.0.1", "tcp", 6443),
        ("fd00::a", "udp", 53),
        ("fd00::a", "tcp", 53),
    ]
    assert len({each["name"] for each in found}) == 3
    assert unknown == []


@pytest.mark.parametrize(
    ("api", "dns", "says"),
    [
        (None, [service("10.96.0.10", 53)], "default/kubernetes is not probed: you may not"),
        (service("10.96.0.1", 443), None, "name server is not probed: you may not"),
        (service("10.96.0.1", 443), [], "no Service in kube-system"),
        (service("10.96.0.1", 443), [service("None", 53)], "and an address"),
    ],
)
def test_what_is_not_probed_is_said(api: Any, dns: Any, says: str) -> None:
    found, unknown = services.read(Cluster(api, dns))
    assert found
    assert len(unknown) == 1
    assert says in unknown[0]
