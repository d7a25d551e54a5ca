# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade looks at on hosts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._upgrade.looks import HOST_GATES, health_port, looks


def rollout(backend: Any = "vxlan", **container: Any) -> dict[str, Any]:
    config = {"Network": "10.244.0.0/16", "Backend": {"Type": backend, "PSK": "secret"}}
    return {
        "container": "kube-flannel",
        "template": {"spec": {"containers": [{"name": "other"}, {"name": "kube-flannel", **container}]}},
        "config_data": {"net-conf.json": json.dumps(config)},
    }


def test_all_of_flannel_and_without_its_key() -> None:
    found = looks("flannel", HOST_GATES, rollout(args=["--ip-masq", "--healthz-port=8081"]))
    assert [found[gate] for gate in HOST_GATES] == [True, True, True]
    assert (found["starts_pods"], found["not_looked_at"]) == (True, [])
    assert (found["writes_sysctls"], found["health_port"]) == (False, 8081)
    assert found["network_config"] == {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}


def test_a_key_is_left_out_whatever_its_case() -> None:
    text = '{"network": "10.244.0.0/16", "backend": {"type": "vxlan", "psk": "secret"}}'
    found = looks("flannel", HOST_GATES, {**rollout(), "config_data": {"net-conf.json": text}})
    assert found["network_config"] == {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}


@pytest.mark.parametrize("backend", ["wireguard", "udp", None])
def test_backends_that_only_flanneld_knows(backend: Any) -> None:
    found = looks("flannel", ["dataplane"], rollout(backend))
    assert not found["dataplane"]
    assert found["not_looked_at"] == [f"the data plane of backend {backend or 'udp'}"]


def test_canal_takes_no_pods_of_ours() -> None:
    found = looks("canal", HOST_GATES, rollout(securityContext={"privileged": True}))
    assert [found[gate] for gate in HOST_GATES] == [True, False, False]
    assert not found["starts_pods"]
    assert found["writes_sysctls"]
    assert "calico" in found["not_looked_at"][0]


def test_what_is_not_asked_for_is_not_missed() -> None:
    for product in ("flannel", "canal"):
        found = looks(product, [], rollout("wireguard"))
        assert [found[gate] for gate in HOST_GATES] == [False, False, False]
        assert found["not_looked_at"] == []


@pytest.mark.parametrize(
    ("container", "port"),
    [
        ({}, 0),
        ({"args": None}, 0),
        ({"args": ["--healthz-port=9"], "command": ["flanneld", "--healthz-port=8"]}, 9),
        ({"args": ["--healthz-port", "9"]}, 0),
    ],
)
def test_health_port(container: dict[str, Any], port: int) -> None:
    assert health_port(container) == port


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_config_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match=r"net-conf\.json is not JSON"):
        looks("flannel", [], {"config_data": {"net-conf.json": text}})
    assert looks("flannel", [], {})["network_config"] == {}
