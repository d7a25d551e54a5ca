# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as Ansible starts it, and its bridge preset in the hands of the real CNI plugins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration._warm import run_module

PLUGIN_DIR = next((path for path in ("/usr/lib/cni", "/opt/cni/bin") if os.path.exists(f"{path}/bridge")), "")


def module(directory: Path, *, check: bool = False, **options: Any) -> dict[str, Any]:
    """Run the module in a process of its own and return its result."""
    arguments = {"conf_dir": str(directory), "validate_plugins": False, **options}
    return run_module("cni_conflist", arguments, check=check)


BRIDGE = {"preset": "bridge", "subnet": "10.5.57.0/24", "network": "10.5.0.0/16", "mtu": 1450}


def test_create_change_keep_remove(tmp_path: Path) -> None:
    directory = tmp_path / "net.d"
    predicted = module(directory, check=True, **BRIDGE)
    assert predicted["changed"]
    assert predicted["winner"] == "10-flannel.conflist"
    assert not directory.exists()

    created = module(directory, **BRIDGE)
    path = Path(created["path"])
    assert created["actions"] == predicted["actions"] == ["create 10-flannel.conflist"]
    assert json.loads(path.read_text()) == created["conflist"] == predicted["conflist"]
    assert created["diff"] == predicted["diff"]
    assert path.stat().st_mode & 0o777 == 0o644

    again = module(directory, **BRIDGE)
    assert not again["changed"]
    assert again["diff"] == []

    moved = module(directory, **{**BRIDGE, "mtu": 1400})
    assert moved["actions"] == ["change 10-flannel.conflist"]
    assert '"mtu": 1450' in moved["diff"][0]["before"]
    assert '"mtu": 1400' in moved["diff"][0]["after"]

    assert module(directory, check=True, state="absent")["changed"]
    assert path.exists()
    removed = module(directory, state="absent")
    assert removed["actions"] == ["remove 10-flannel.conflist"]
    assert removed["winner"] is None
    assert not module(directory, state="absent")["changed"]


def test_another_file_that_wins_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "05-first.conf").write_text('{"name": "first", "type": "bridge"}')
    result = module(tmp_path, preset="flannel")
    assert result["winner"] == "05-first.conf"
    assert any("takes 05-first.conf, not 10-flannel.conflist" in str(warning) for warning in result["warnings"])
    cleaned = module(tmp_path, preset="flannel", obsolete=["05-first.conf"])
    assert cleaned["winner"] == "10-flannel.conflist"
    assert "warnings" not in cleaned


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "any of the following are missing: preset, plugins"),
        ({"preset": "flannel", "plugins": [{"type": "x"}]}, "mutually exclusive"),
        ({"preset": "bridge"}, "any of the following are missing: subnet, ipv6_subnet"),
        ({"preset": "bridge", "subnet": "10.5.57.1/24"}, "write 10.5.57.0/24"),
        ({"plugins": [{"type": "missing-plugin"}], "validate_plugins": True}, "CNI plugins missing-plugin"),
    ],
)
def test_bad_input_fails_before_anything_is_written(tmp_path: Path, options: Any, message: str) -> None:
    directory = tmp_path / "net.d"
    result = module(directory, **options)
    assert result["failed"]
    assert message in result["msg"]
    assert not directory.exists()


def test_a_missing_plugin_is_a_warning_in_check_mode(tmp_path: Path) -> None:
    options = {"plugins": [{"type": "missing-plugin"}], "validate_plugins": True}
    result = module(tmp_path, check=True, **options)
    assert any("CNI plugins missing-plugin" in str(warning) for warning in result["warnings"])


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two network namespaces: a node, where the plugins run, and a pod."""
    if os.geteuid() != 0 or not PLUGIN_DIR or shutil.which("ip") is None or shutil.which("iptables") is None:
        pytest.skip("needs root, ip, iptables and the CNI plugins (Debian: containernetworking-plugins)")
    names = (f"cl{os.getpid()}node", f"cl{os.getpid()}pod")
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=True)


def call(node: str, pod: str, command: str, document: dict[str, Any]) -> dict[str, Any]:
    """Call the list's plugins one after the other as a container runtime does; return the last result."""
    result: dict[str, Any] = {}
    plugins = document["plugins"] if command == "ADD" else reversed(document["plugins"])
    for plugin in plugins:
        config = {"cniVersion": document["cniVersion"], "name": document["name"], **plugin}
        if result:
            config["prevResult"] = result
        done = subprocess.run(
            ["ip", "netns", "exec", node, f"{PLUGIN_DIR}/{plugin['type']}"],
            input=json.dumps(config),
            env={
                **os.environ,
                "CNI_COMMAND": command,
                "CNI_CONTAINERID": pod,
                "CNI_NETNS": f"/run/netns/{pod}",
                "CNI_IFNAME": "eth0",
                "CNI_PATH": PLUGIN_DIR,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        result = json.loads(done.stdout) if done.stdout.strip() else {}
    return result


@pytest.mark.parametrize("version", ["0.3.1", "1.0.0"])
def test_the_real_plugins_make_a_pod_of_the_bridge_preset(tmp_path: Path, node: tuple[str, str], version: str) -> None:
    host, pod = node
    document = module(
        tmp_path,
        **BRIDGE,
        ipv6_subnet="fd00:10:5:57::/64",
        ipv6_network="fd00:10:5::/48",
        data_dir=str(tmp_path / "data"),
        cni_version=version,
        plugin_dirs=[PLUGIN_DIR],
        validate_plugins=True,
    )["conflist"]
    result = call(host, pod, "ADD", document)
    assert [address["address"] for address in result["ips"]] == ["10.5.57.2/24", "fd00:10:5:57::2/64"]

    def shown(namespace: str, *command: str) -> Any:
        text = subprocess.run(["ip", "-n", namespace, "-j", *command], capture_output=True, text=True, check=True)
        return json.loads(text.stdout)

    assert shown(pod, "link", "show", "eth0")[0]["mtu"] == 1450
    routes = {route["dst"]: route.get("gateway") for route in shown(pod, "route")}
    assert routes["default"] == routes["10.5.0.0/16"] == "10.5.57.1"
    routes6 = {route["dst"]: route.get("gateway") for route in shown(pod, "-6", "route")}
    assert routes6["default"] == routes6["fd00:10:5::/48"] == "fd00:10:5:57::1"
    addresses = [address["local"] for address in shown(host, "addr", "show", "cni0")[0]["addr_info"]]
    assert {"10.5.57.1", "fd00:10:5:57::1"} <= set(addresses)
    ping = ["ip", "netns", "exec", pod, "ping", "-c1", "-W2", "10.5.57.1"]
    assert subprocess.run(ping, check=False, capture_output=True).returncode == 0
    call(host, pod, "DEL", document)
    assert not list((tmp_path / "data" / "cbr0").glob("*.*.*.*"))
