# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease modules as processes: bad input fails before anything is asked of etcd, and names what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODULES = Path(__file__).parents[4] / "plugins" / "modules"
# Nobody listens there: a module that asked etcd first would say so instead.
NOWHERE = {"etcd_endpoints": ["http://127.0.0.1:1"]}
CONFIG = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
NODE = {"name": "node-1", "public_ip": "198.18.0.1"}


def run(name: str, **params: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(MODULES / f"{name}.py")],
        check=False,
        text=True,
        capture_output=True,
        input=json.dumps({"ANSIBLE_MODULE_ARGS": params}),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("module", "params", "part"),
    [
        ("flannel_network", {}, "network_config"),
        ("flannel_network", {"network_config": {"Backend": {"Type": "vxlan"}}}, "Network is missing"),
        ("flannel_network", {"network_config": {**CONFIG, "SubnetLen": 17}}, "SubnetLen 17"),
        ("flannel_network", {"network_config": {**CONFIG, "Backend": {"Type": "aws-vpc"}}}, "'aws-vpc' is unknown"),
        ("flannel_lease", {}, "nodes"),
        ("flannel_lease", {"nodes": [{"public_ip": "198.18.0.1"}]}, "name"),
        ("flannel_lease", {"nodes": [{**NODE, "public_ip": "198.18.0"}]}, "nodes[0] (node-1): public_ip '198.18.0'"),
        ("flannel_lease", {"nodes": [{**NODE, "color": "red"}]}, "color"),
        ("flannel_lease", {"nodes": [NODE], "ttl": -1}, "ttl -1 is negative"),
        ("flannel_lease", {"nodes": [NODE], "choice": "any"}, "by_name"),
        ("flannel_lease", {"nodes": [NODE, NODE]}, "the same name as nodes[0]"),
        ("flannel_lease", {"nodes": [NODE], "recover_from": []}, "mutually exclusive: nodes|recover_from"),
        ("flannel_lease", {"recover_from": [{"name": "node-1"}]}, "missing required arguments: dataplane"),
        ("flannel_lease", {"recover_from": [], "state": "absent"}, "recover_from is for state=present"),
        ("flannel_lease_info", {"hosts": ["198.18.0"]}, "hosts[0]: '198.18.0'"),
        ("flannel_lease_backup", {}, "path"),
        ("flannel_lease_backup", {"path": "/", "hosts": ["198.18.0"]}, "hosts[0]: '198.18.0'"),
        ("flannel_lease_backup", {"path": "/", "state": "restored"}, "path: / is not a file"),
        ("flannel_lease_backup", {"path": "/none", "state": "restored", "ttl": -1}, "ttl -1 is negative"),
        ("flannel_lease_backup", {"path": "/", "state": "gone"}, "verified"),
    ],
)
def test_bad_input_fails_before_etcd_is_asked(module: str, params: dict[str, Any], part: str) -> None:
    result = run(module, **NOWHERE, **params)
    assert result["failed"]
    assert part in result["msg"]
    assert "unreachable" not in result["msg"]


@pytest.mark.parametrize(
    ("module", "params"),
    [
        ("flannel_network", {"network_config": CONFIG}),
        ("flannel_lease", {"nodes": [NODE]}),
        ("flannel_lease", {"nodes": [NODE], "state": "absent"}),
        ("flannel_lease", {"recover_from": []}),
        ("flannel_lease_info", {}),
        ("flannel_lease_backup", {"path": "/none.json"}),
    ],
)
def test_unreachable_etcd_is_named_with_reason_and_remedy(module: str, params: dict[str, Any]) -> None:
    message = run(module, **NOWHERE, **params)["msg"]
    assert "http://127.0.0.1:1: Connection refused" in message
    assert "Check etcd_endpoints" in message


def test_no_nodes_is_no_work_but_needs_the_config() -> None:
    assert "unreachable" in run("flannel_lease", **NOWHERE, nodes=[])["msg"]


def test_secrets_stay_inside() -> None:
    psk = "TmV2ZXJTaG93VGhpc1NlY3JldEluQW55T3V0cHV0ISE="
    for params in (
        {"network_config": {**CONFIG, "Backend": {"Type": "wireguard", "Psk": psk}}},
        {"network_config": {**CONFIG, "Backend": {"Type": "wireguard", "Psk": psk, "Mode": "no"}}},
        {"network_config": CONFIG, "etcd_username": "u", "etcd_password": psk},
        {"network_config": CONFIG, "etcd_password": psk},
    ):
        result = run("flannel_network", **NOWHERE, **params)
        assert result["failed"]
        assert psk not in json.dumps(result)
