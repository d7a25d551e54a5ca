# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of leases, as Ansible reads it from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.doc_fragments import constructed, inventory_cache
from ansible.template import Templar

from ansible_collections.podnet.cni.plugins.doc_fragments import _etcd, _kubernetes
from ansible_collections.podnet.cni.plugins.inventory import flannel
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.plugin_utils import _lease_inventory

NODE_1 = {
    "name": "node-1",
    "subnet": "10.244.1.0/24",
    "ipv6_subnet": None,
    "public_ip": "192.0.2.1",
    "public_ipv6": None,
    "backend_type": "vxlan",
    "backend_data": {"VNI": 1, "VtepMAC": "02:00:00:00:00:01"},
    "backend_v6_data": None,
    "ttl": None,
}
NODE_2 = {**NODE_1, "name": "node-2", "subnet": "10.244.2.0/24", "public_ip": "192.0.2.2"}
ANSWER = {
    "leases": [NODE_1, NODE_2],
    "nodes": {
        "node-1": {"labels": {"topology.kubernetes.io/zone": "eu-1", "note": "{{ 1 + 1 }}"}, "ready": True},
        "node-2": {"labels": {}, "ready": False},
    },
    "problems": ["Node node-3 has no podCIDR; give it one"],
}
STATUS = {
    "schema": "podnet.cni/status",
    "version": 1,
    "taken": "2026-11-29T11:58:08+00:00",
    "hosts": [
        {
            "name": "web",
            "verdict": "broken",
            "state": "heard",
            "compared": True,
            "drift": [{"part": "peer"}],
            "public_ips": {"4": "192.0.2.1"},
        }
    ],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of each question to the store, which answers ANSWER."""
    options: list[dict[str, Any]] = []

    def read(given: dict[str, Any]) -> dict[str, Any]:
        options.append(given)
        return json.loads(json.dumps(ANSWER))

    monkeypatch.setattr(_lease_inventory, "read", read)
    return options


FRAGMENTS = (
    constructed.ModuleDocFragment.DOCUMENTATION,
    inventory_cache.ModuleDocFragment.DOCUMENTATION,
    _etcd.ModuleDocFragment.DOCUMENTATION,
    _kubernetes.ModuleDocFragment.DOCUMENTATION,
    _kubernetes.ModuleDocFragment.FLANNEL,
    flannel.DOCUMENTATION,
)


def plugin() -> flannel.InventoryModule:
    """The plugin with the options that its documentation gives it."""
    options = {name: one for text in FRAGMENTS for name, one in yaml.safe_load(text)["options"].items()}
    C.config.initialize_plugin_configuration_definitions("inventory", "podnet.cni.flannel", options)
    made = flannel.InventoryModule()
    # What the loader of plugins sets; ansible-core 2.18 asks for the last one, too.
    made._load_name = made.ansible_name = "podnet.cni.flannel"
    made._redirected_names = ["podnet.cni.flannel"]
    return made


def parse(directory: Path, *, again: bool = False, **options: Any) -> InventoryData:
    """Read a file with these options."""
    file = directory / "flannel.yml"
    file.write_text(yaml.safe_dump({"plugin": "podnet.cni.flannel", **options}), encoding="utf-8")
    made = plugin()
    assert made.verify_file(str(file))
    inventory = InventoryData()
    made.parse(inventory, DataLoader(), str(file), cache=not again)
    if "cache" in options:
        made.update_cache_if_changed()
    inventory.reconcile_inventory()
    return inventory


def members(inventory: InventoryData, group: str) -> list[str]:
    return [host.name for host in inventory.groups[group].get_hosts()]


@pytest.mark.usefixtures("asked")
def test_hosts_with_their_groups_and_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventory = parse(tmp_path, store="kubernetes")
    assert members(inventory, "flannel") == ["node-1", "node-2"]
    assert members(inventory, "flannel_backend_vxlan") == ["node-1", "node-2"]
    assert members(inventory, "flannel_zone_eu_1") == ["node-1"]
    assert members(inventory, "flannel_silent") == ["node-2"]
    assert "flannel_drift" not in inventory.groups
    variables = inventory.hosts["node-1"].get_vars()
    assert (variables["ansible_host"], variables["pod_network_lease"]) == ("192.0.2.1", NODE_1)
    assert variables["pod_network_node"]["ready"] is True
    assert Templar(DataLoader(), variables).template(variables["pod_network_node"]["labels"]["note"]) == "{{ 1 + 1 }}"
    assert "node-3 has no podCIDR" in " ".join(capsys.readouterr().err.split())


@pytest.mark.usefixtures("asked")
def test_constructed_groups_and_another_prefix(tmp_path: Path) -> None:
    inventory = parse(
        tmp_path,
        group="pods",
        keyed_groups=[{"key": "pod_network_lease.backend_data.VNI | string", "prefix": "vni"}],
        compose={"ansible_user": "'admin'"},
        groups={"first": "pod_network_lease.subnet == '10.244.1.0/24'"},
    )
    assert members(inventory, "pods_backend_vxlan") == ["node-1", "node-2"]
    assert members(inventory, "vni_1") == ["node-1", "node-2"]
    assert members(inventory, "first") == ["node-1"]
    assert inventory.hosts["node-2"].get_vars()["ansible_user"] == "admin"


@pytest.mark.usefixtures("asked")
def test_what_the_last_look_found(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(json.dumps(STATUS), encoding="utf-8")
    inventory = parse(tmp_path, status_file="status.json")
    assert members(inventory, "flannel_drift") == ["node-1"]
    assert inventory.hosts["node-1"].get_vars()["pod_network_status"] == {
        "verdict": "broken",
        "state": "heard",
        "compared": True,
        "drift": [{"part": "peer"}],
        "taken": "2026-11-29T11:58:08+00:00",
    }


def test_answers_are_remembered_where_that_is_wanted(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    options = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(tmp_path / "cache")}
    for _turn in range(2):
        inventory = parse(tmp_path, **options)
        assert members(inventory, "flannel") == ["node-1", "node-2"]
    assert len(asked) == 1
    parse(tmp_path, again=True, **options)
    assert len(asked) == 2
    parse(tmp_path)
    assert len(asked) == 3


def test_a_template_as_option(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    parse(tmp_path, etcd_username="{{ 'rea' ~ 'der' }}")
    assert asked[0]["etcd_username"] == "reader"


def test_an_error_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_options: dict[str, Any]) -> dict[str, Any]:
        raise InputError("etcd_endpoints is empty")

    monkeypatch.setattr(_lease_inventory, "read", read)
    with pytest.raises(AnsibleError, match=r"flannel\.yml: etcd_endpoints is empty"):
        parse(tmp_path)


def test_files_of_other_names_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("plugin: podnet.cni.flannel\n", encoding="utf-8")
    assert not plugin().verify_file(str(tmp_path / "hosts.yml"))
