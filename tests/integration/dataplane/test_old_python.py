# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data plane by the oldest Python and pyroute2 that a node may have, beside a host with those of today."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration import _warm
from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._netns import DATAPLANE, Host
from ansible_collections.podnet.cni.tests.integration._old_python import COLLECTIONS, Missing, OldPython, floor
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import config, lease, options


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> OldPython:
    if os.geteuid():
        pytest.skip("network namespaces need root")
    try:
        return OldPython(tmp_path_factory.mktemp("old"))
    except Missing as error:
        pytest.skip(str(error))


def written(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(directory.iterdir())}


def test_it_is_the_oldest_that_is_promised(old: OldPython) -> None:
    command = [str(old.path), "-c", "import pyroute2, sys; print(sys.version_info[:2], pyroute2.__version__)"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip() == f"(3, 8) {floor().partition('==')[2]}"


@pytest.mark.parametrize("backend", ["vxlan", "host-gw"])
def test_what_it_makes_is_what_is_made_today(old: OldPython, hosts: list[Host], backend: str, tmp_path: Path) -> None:
    first, second, _third = hosts
    plane = {
        **options(1, [2, 3], backend, ipv6=True),
        "firewall": "nftables",
        "subnet_file": str(tmp_path / "subnet.env"),
        "restore_dir": str(tmp_path / "restore"),
    }
    foreseen = old.module(first, DATAPLANE, check=True, **plane)
    made = old.module(first, DATAPLANE, **plane)
    assert "flannel-v6" not in first.shell("ip -6 -o address show scope global tentative"), "it answers at once"
    assert made["changed"] is True and foreseen["actions"] == made["actions"], (foreseen, made)
    assert old.module(first, DATAPLANE, **plane)["changed"] is False
    # Today's finds nothing to do, and its host is reached.
    today = first.module(check=True, **plane)
    assert today["changed"] is False, today
    second.module(**options(2, [1, 3], backend, ipv6=True))
    files = written(tmp_path / "restore")
    if backend == "vxlan":
        for address in ("10.5.2.0", "fd00:10:5:2::"):
            first.shell(f"ping -c 2 -W 2 {address}")
    # It repairs what was lost, and puts back at boot what it wrote.
    state = first.state()
    network = lease(2, ipv6=True)["ipv6_subnet"]
    first.shell("ip route flush proto boot root 10.5.0.0/16", f"ip -6 route del {network}", "nft flush ruleset")
    assert old.module(first, DATAPLANE, **plane)["changed"] is True
    assert first.state() == state
    for link in ("flannel.1", "flannel-v6.1") if backend == "vxlan" else ():
        first.shell(f"ip link del {link}")
    first.shell(f"sh {tmp_path}/restore/restore.sh")
    assert first.state() == state
    assert old.module(first, DATAPLANE, **plane)["changed"] is False
    assert written(tmp_path / "restore") == files
    told = old.module(first, "flannel_dataplane_info", network_config=plane["network_config"])
    assert (
        told["links"] == first.module(module="flannel_dataplane_info", network_config=plane["network_config"])["links"]
    )
    gone = old.module(
        first,
        DATAPLANE,
        state="absent",
        **{key: plane[key] for key in ("network_config", "firewall", "subnet_file", "restore_dir")},
    )
    assert gone["changed"] is True
    assert first.state()["routes"] == []


def test_what_else_runs_on_a_node(old: OldPython, hosts: list[Host], tmp_path: Path) -> None:
    first, second, _third = hosts
    network = config()
    asked = old.module(first, "flannel_dataplane_prepare", network_config=network, restore_dir=str(tmp_path / "r"))
    assert asked["public_ip"] == first.public_ip, asked
    told = old.module(first, "preflight_host_info", network_config=network)
    assert told["facts"]["underlay"]["public_ip"] == first.public_ip and told["facts"]["reasons"] == {}, told
    [probe] = old.module(first, "pod_network_probe", targets=[{"address": second.public_ip}], largest_packet=True)[
        "probes"
    ]
    assert (probe["loss"], probe["largest_packet"]) == (0, 1500)
    prepared = old.module(first, "node_prepare", sysctl={"net.ipv4.ip_forward": 1}, sysctl_file="", modules_file="")
    assert "failed" not in prepared, prepared
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    for name in ("bridge", "host-local", "portmap"):
        (plugins / name).touch(0o755)
    kept: dict[str, Any] = {
        "conf_dir": str(tmp_path / "net.d"),
        "preset": "bridge",
        "subnet": "10.5.1.0/24",
        "mtu": 1450,
        "network": "10.5.0.0/16",
    }
    written_first = old.module(first, "cni_conflist", plugin_dirs=[str(plugins)], **kept)
    assert written_first.get("changed") is True, written_first


def test_ansible_itself_packs_and_starts_a_module_there(old: OldPython, tmp_path: Path) -> None:
    done = _warm.ansible(
        "adhoc",
        *("-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={old.path}"),
        *("-m", "podnet.cni.flannel_dataplane_info", "-a", json.dumps({"network_config": config()}), "localhost"),
        environment={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"links": [' in done.stdout


@needs("wireguard")
def test_wireguard_by_the_oldest_pyroute2(old: OldPython, hosts: list[Host], tmp_path: Path) -> None:
    first, second, _third = hosts
    keys = {}
    for host in (first, second):
        keys[host.number] = old.module(
            host,
            "flannel_dataplane_prepare",
            network_config=config("wireguard"),
            wireguard_key_file=str(tmp_path / f"key{host.number}"),
        )["public_key"]
    for host, other in ((first, second), (second, first)):
        plane = options(host.number, [other.number], "wireguard")
        for each in (plane["lease"], *plane["peers"]):
            each["backend_data"] = {"PublicKey": keys[int(each["name"].rpartition("-")[2])]}
        plane["wireguard_key_file"] = str(tmp_path / f"key{host.number}")
        assert old.module(host, DATAPLANE, **plane)["changed"] is True
        assert old.module(host, DATAPLANE, **plane)["changed"] is False
    first.shell("ping -c 3 -W 5 10.5.2.0")
