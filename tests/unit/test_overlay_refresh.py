# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The units and the settings of the role overlay's refresh, as systemd and the program read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ansible.template
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader

from ansible_collections.podnet.cni.plugins.module_utils._refresh import archive, program

ROLE = Path(__file__).parents[2] / "roles" / "overlay"
trust_as_template = getattr(ansible.template, "trust_as_template", str)
"""Since ansible-core 2.19 templates have to be called such."""
LEASE = {
    "name": "edge-1",
    "subnet": "10.244.1.0/24",
    "ipv6_subnet": None,
    "public_ip": "198.18.0.1",
    "public_ipv6": None,
    "backend_type": "vxlan",
    "backend_data": {"VNI": 1, "VtepMAC": "02:00:00:00:00:01"},
}
CONFIG = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
HOSTS_PHRASE = "overlay_refresh_etcd_password"


def read(name: str) -> dict[str, Any]:
    """A file of variables of the role, whose values are templates."""
    return dict(yaml.safe_load((ROLE / name / "main.yml").read_text(encoding="utf-8")))


def trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: trusted(each) for name, each in value.items()}
    if isinstance(value, list):
        return [trusted(each) for each in value]
    return trust_as_template(value) if isinstance(value, str) else value


def template(text: str, **changes: Any) -> Any:
    """What Ansible makes of C(text) with the role's variables and C(changes)."""
    host = {
        "inventory_hostname": "edge-1",
        "groups": {},
        "_overlay_prepared": {"interface": "eth0"},
        "_overlay_prepared_again": {},
        "_overlay_plan": {"leases": [LEASE, {**LEASE, "name": "edge-2"}], "network_config": CONFIG},
        "_overlay_leases": {},
        "_overlay_dataplane": {"lease": LEASE},
    }
    variables = {**trusted({**read("defaults"), **read("vars")}), **host, **changes}
    templar = ansible.template.Templar(loader=DataLoader(), variables=variables)
    return templar.template(trust_as_template(text), preserve_trailing_newlines=True, escape_backslashes=False)


def settings(**changes: Any) -> dict[str, Any]:
    """The settings as the task writes them."""
    (task,) = [task for task in tasks("refresh") if task["name"] == "Write the settings"]
    text = template(task["ansible.builtin.copy"]["content"], **changes)
    return dict(text if isinstance(text, dict) else json.loads(text))


def tasks(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((ROLE / "tasks" / f"{name}.yml").read_text(encoding="utf-8")))


def unit(kind: str, **changes: Any) -> dict[str, str]:
    text = str(template((ROLE / "templates" / f"podnet-cni-refresh.{kind}.j2").read_text(encoding="utf-8"), **changes))
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", "["))]
    assert all("=" in line for line in lines), text
    return dict(line.split("=", 1) for line in lines)


def test_it_is_off_unless_it_is_asked_for() -> None:
    assert read("defaults")["overlay_refresh"] is False


def test_the_program_takes_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(settings()))
    found = program.read_settings(str(file))
    assert found["lease"] == {name: LEASE[name] for name in ("subnet", "ipv6_subnet", "public_ip", "public_ipv6")}
    assert found["network_config"] == CONFIG
    assert (found["interface"], found["flanneld"], found["firewall"]) == ("eth0", "refuse", "nftables")
    assert (found["ip_masq"], found["remove_firewall_leftovers"]) == (True, False)
    assert found["etcd_endpoints"] == ["http://127.0.0.1:2379"]
    assert [found[name] for name in ("etcd_username", "etcd_password_file", "etcd_cafile")] == [None, None, None]


@pytest.mark.parametrize(("typed", "meant"), [("false", False), ("yes", True), (False, False)])
def test_what_was_typed_on_a_command_line_is_a_boolean(typed: Any, meant: bool) -> None:
    assert settings(overlay_ip_masq=typed)["ip_masq"] is meant
    assert settings(overlay_etcd_timeout="7")["etcd_timeout"] == 7


def test_the_hosts_have_their_own_way_to_etcd() -> None:
    own = {
        "endpoints": ["https://198.18.0.10:2379"],
        "cafile": "/etc/ssl/etcd.pem",
        "certfile": "/etc/ssl/host.pem",
        "keyfile": "/etc/ssl/host.key",
        "username": "hosts",
    }
    writers = {f"overlay_etcd_{name}": "the writer's" for name in own} | {"overlay_etcd_password": "the writer's"}
    given = {f"overlay_refresh_etcd_{name}": value for name, value in own.items()}
    found = settings(**writers, **given, **{HOSTS_PHRASE: "phrase"})
    assert {name: found[f"etcd_{name}"] for name in own} == own
    text = json.dumps(found)
    assert '"etcd_password_file": "/etc/podnet-cni-refresh/etcd-password"' in text
    assert "phrase" not in text and "the writer's" not in text


def test_the_service_runs_the_program_once_and_the_timer_again_and_again() -> None:
    service, timer = unit("service"), unit("timer", overlay_refresh_interval="15")
    directory = "/etc/podnet-cni-refresh"
    assert service["ExecStart"] == f"/usr/bin/python3 -I {directory}/{archive.FILE_NAME} {directory}/settings.json"
    assert (service["Type"], service["LogLevelMax"]) == ("oneshot", "notice")
    assert "CAP_SYS_PTRACE" in service["CapabilityBoundingSet"].split()
    assert timer["OnUnitInactiveSec"] == "15"


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({}, ["/run", "-/etc/podnet-cni", "-/run/flannel"]),
        ({"overlay_restore_dir": "", "overlay_subnet_file": ""}, ["/run"]),
        ({"overlay_restore_dir": "/var/lib/x", "overlay_subnet_file": "/srv/s.env"}, ["/run", "-/var/lib/x", "-/srv"]),
    ],
)
def test_the_service_may_write_what_the_data_plane_writes(changes: dict[str, str], paths: list[str]) -> None:
    found = unit("service", **changes)
    assert (found["ProtectSystem"], found["ReadWritePaths"].split()) == ("strict", paths)


def test_the_password_is_in_its_own_file_and_shown_nowhere() -> None:
    (task,) = [task for task in tasks("refresh") if task["name"] == "Write the password"]
    assert (task["no_log"], task["diff"], task["ansible.builtin.copy"]["mode"]) == (True, False, "0600")
    named = [task["name"] for task in tasks("refresh") if "overlay_refresh_etcd_password }}" in json.dumps(task)]
    assert named == ["Write the password"]


def holds(condition: str, changes: dict[str, Any]) -> bool:
    return str(template("{{ " + condition + " }}", **changes)) == "True"


def listed(that: Any) -> list[str]:
    return [that] if isinstance(that, str) else list(that)


def in_cluster(**changes: Any) -> dict[str, Any]:
    return {"overlay_store": "kubernetes", "overlay_refresh_account": True, **changes}


def account(**changes: Any) -> list[dict[str, Any]]:
    """What is made in the cluster."""
    text = (ROLE / "templates" / "refresh-account.yaml.j2").read_text(encoding="utf-8")
    return list(yaml.safe_load(str(template(text, **in_cluster(**changes))))["items"])


def test_the_hosts_may_read_nodes_and_the_one_config_map_and_nothing_else() -> None:
    rules = [(item["kind"], item["metadata"].get("namespace"), item["rules"]) for item in account() if "rules" in item]
    nodes = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}
    one = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["kube-flannel-cfg"], "verbs": ["get"]}
    assert rules == [("ClusterRole", None, [nodes]), ("Role", "kube-flannel", [one])]
    alone = [item["rules"] for item in account(overlay_network_config=CONFIG) if "rules" in item]
    assert alone == [[nodes]], "the inventory has the network config"


def test_settings_for_leases_on_nodes(tmp_path: Path) -> None:
    found = settings(**in_cluster())
    assert (found["store"], found["kubeconfig"]) == ("kubernetes", "/etc/podnet-cni-refresh/kubeconfig")
    assert (found["kube_config_map"], found["network_config"]) == ("kube-flannel-cfg", CONFIG)
    assert settings(overlay_store="kubernetes", overlay_refresh_kubeconfig_file="/k")["kubeconfig"] == "/k"
    secret = {"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard", "psk": "x"}}
    given = settings(**in_cluster(overlay_network_config=secret))
    assert (given["kube_config_map"], given["network_config"]) == (None, secret)
    (task,) = [task for task in tasks("refresh") if task["name"] == "Write the settings"]
    hidden = [template(task["no_log"], **in_cluster(**more)) for more in ({}, {"overlay_network_config": secret})]
    assert [str(each) for each in hidden] == ["False", "True"]
    (tmp_path / "settings.json").write_text(json.dumps(found))
    assert program.read_settings(str(tmp_path / "settings.json"))["store"] == "kubernetes"


@pytest.mark.parametrize(
    ("changes", "fine"),
    [
        ({}, True),
        ({"overlay_store": "kubernetes"}, False),
        ({"overlay_store": "kubernetes", "overlay_refresh_account": "yes"}, True),
        ({"overlay_store": "kubernetes", "overlay_refresh_kubeconfig_file": "/k"}, True),
        (
            {"overlay_store": "kubernetes", "overlay_refresh_account": True, "overlay_refresh_kubeconfig_file": "/k"},
            False,
        ),
        ({"overlay_store": "kubernetes", "overlay_refresh_account": True, "overlay_etcd_username": "writer"}, True),
        ({"overlay_manage_services": "false"}, False),
        ({"overlay_refresh_interval": "0"}, False),
        ({"overlay_refresh_interval": "5"}, True),
        ({"overlay_etcd_username": "writer"}, False),
        (
            {"overlay_etcd_username": "w", "overlay_refresh_etcd_username": "r", "overlay_refresh_etcd_password": "p"},
            True,
        ),
        ({"overlay_refresh_etcd_username": "r"}, False),
        ({"overlay_refresh_etcd_certfile": "/c"}, False),
        ({"overlay_refresh_etcd_certfile": "/c", "overlay_refresh_etcd_keyfile": "/k"}, True),
    ],
)
def test_what_it_needs_is_asked_for_before_anything_is_changed(changes: dict[str, Any], fine: bool) -> None:
    asked = [task for task in tasks("refresh_needs") if holds(task.get("when", "true"), changes)]
    conditions = [each for task in asked for each in listed(task["ansible.builtin.assert"]["that"])]
    told = [holds(each, changes) for each in conditions]
    assert all(told) == fine, list(zip(conditions, told))
    for task in tasks("refresh_needs"):
        text = template(task["ansible.builtin.assert"]["fail_msg"], **changes)
        assert "overlay_refresh needs" in text and "Nothing was changed" in text
    for name in ("main", "check"):
        assert tasks(name)[0]["ansible.builtin.include_tasks"] == "refresh_needs.yml"


def test_reset_switches_it_off_before_the_data_plane_goes() -> None:
    names = [task["name"] for task in tasks("uninstall")]
    assert names.index("Refresh the peers no more") < names.index("Remove the data plane")
