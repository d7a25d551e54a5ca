# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module kube_ovn_namespace as Ansible runs it, on a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.etcd._lab import run_module
from ansible_collections.podnet.cni.tests.integration.kube_ovn._cluster import (
    CIDR,
    ENABLED,
    GATEWAY,
    ROUTES,
    SECURITY,
    namespace,
)

pytestmark = pytest.mark.kube

RULES = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "patch"]}]


def test_set_again_and_remove(kube: _kube.KubeServer) -> None:
    kube.apply(namespace("ns-one", CIDR, {}), namespace("ns-two", CIDR, {}))
    kubeconfig = str(kube.limited_kubeconfig("namespace-editor", RULES))

    def module(**options: Any) -> dict[str, Any]:
        check = bool(options.pop("check", False))
        given = {"kubeconfig": kubeconfig, "namespaces": ["ns-one", "ns-two"], **options}
        return run_module("kube_ovn_namespace", given, check=check, diff=True)

    wanted = {"routes": [{"gw": "10.16.0.254"}], "port_security": True, "inherit": True}
    planned = module(check=True, **wanted)
    assert planned["changed"], planned
    done = module(**wanted)
    assert (done["actions"], done["diff"], done["namespaces"]) == (
        planned["actions"],
        planned["diff"],
        planned["namespaces"],
    )
    metadata = kube.api("GET", "/api/v1/namespaces/ns-two")["metadata"]
    assert metadata["annotations"] == {**CIDR, ROUTES: GATEWAY, SECURITY: "true"}
    assert ENABLED.items() <= metadata["labels"].items()
    assert not module(**wanted)["changed"]

    refused = module(routes=[{"gw": "10.17.0.1"}], port_security=False)
    assert refused["failed"]
    assert "namespace ns-one" in refused["msg"]
    assert "10.17.0.1" in refused["msg"]
    assert not module(**wanted)["changed"], "a refused task changed something"

    warned = module(routes=[{"dst": "10.0.0.1/8", "gw": "10.16.0.254"}], check=True)
    assert "Write 10.0.0.0/8" in str(warned["warnings"])
    assert module(remove=["routes", "port_security"], inherit=False)["changed"]
    assert kube.api("GET", "/api/v1/namespaces/ns-one")["metadata"]["annotations"] == CIDR
    assert "there is no namespace ns-none" in module(namespaces=["ns-none"], inherit=True)["msg"]
