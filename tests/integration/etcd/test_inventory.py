# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin on a real etcd, as ansible-inventory shows it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.podnet.cni.tests.integration.etcd._lab import Lab, node


def listed(file: Path, options: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return what ansible-inventory prints for a file with these options, and its warnings."""
    file.write_text(yaml.safe_dump({"plugin": "podnet.cni.flannel", **options}), encoding="utf-8")
    command = ["ansible-inventory", "-i", str(file), "--list"]
    environment = {**os.environ, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true", "SECRET": "secret"}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    found = json.loads(done.stdout, object_hook=plain) if done.returncode == 0 else {}
    return found, " ".join(done.stderr.split())


def plain(value: dict[str, Any]) -> Any:
    """The text that ansible-inventory shows as one that is no template."""
    return value.get("__ansible_unsafe", value)


def test_leases_as_hosts(lab: Lab, tmp_path: Path) -> None:
    lab.write_config()
    lab.acquire([node(1), node(2)])
    lab.acquire([node(3)], ttl=600)
    lab.etcd.put(f"{lab.prefix}/subnets/garbage", "x")
    found, warnings = listed(tmp_path / "overlay.flannel.yml", lab.options)
    hosts = found["_meta"]["hostvars"]
    assert sorted(hosts) == ["198.18.0.2", "198.18.0.3", "198.18.0.4"]
    assert hosts["198.18.0.2"]["ansible_host"] == "198.18.0.2"
    assert hosts["198.18.0.2"]["pod_network_lease"]["backend_type"] == "vxlan"
    assert sorted(found["flannel_backend_vxlan"]["hosts"]) == sorted(hosts)
    assert found["flannel_silent"]["hosts"] == ["198.18.0.4"]
    assert "garbage" in warnings


def test_a_password_by_template_and_a_wrong_one(own_lab: Lab, tmp_path: Path) -> None:
    own_lab.write_config()
    own_lab.acquire([node(1)])
    own_lab.etcd.add_user("reader", "secret", prefix=own_lab.prefix, access="read")
    own_lab.etcd.enable_auth()
    reader = {**own_lab.options, "etcd_username": "reader"}
    template = "{{ lookup('ansible.builtin.env', 'SECRET') }}"
    found, warnings = listed(tmp_path / "flannel.yml", {**reader, "etcd_password": template})
    assert list(found["_meta"]["hostvars"]) == ["198.18.0.2"], warnings
    found, warnings = listed(tmp_path / "flannel.yml", {**reader, "etcd_password": "wrong-word"})
    assert not found
    assert "etcd_password" in warnings
    assert "wrong-word" not in warnings
