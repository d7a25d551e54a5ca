# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a request or a host is said before anything is changed."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import keys
from ansible_collections.podnet.cni.tests.integration._kernel import has
from ansible_collections.podnet.cni.tests.integration._netns import DATAPLANE, Host
from ansible_collections.podnet.cni.tests.integration._warm import MODULES, run_module
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import config, lease, options

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such interface": ({"interface": "eth7"}, "interface 'eth7' does not exist; it has bare, end, eth0, lo"),
    "interface without an address": ({"interface": "bare"}, "interface 'bare' has no address"),
    "public IP elsewhere": (
        {"lease": {**lease(1), "public_ip": "198.18.0.77"}},
        "the public IP 198.18.0.77 is on no interface of this host",
    ),
    "public IP on another interface": ({"interface": "lo"}, "public IP 198.18.0.1 is on interface 'eth0', not on 'lo'"),
    "a wrong network": ({"network_config": {"Network": "10.5.0.0/33"}}, "10.5.0.0/33"),
    "an unknown backend": ({"network_config": config("carrier-pigeon")}, "carrier-pigeon"),
    "a backend with a daemon": ({"network_config": config("udp")}, "needs a running flanneld"),
    "a lease of another backend": ({"lease": lease(1, "host-gw")}, "its backend is 'host-gw'"),
    "a peer twice": ({"peers": [lease(2), lease(3), lease(2)]}, "subnet 10.5.2.0/24 is given twice"),
    "the node itself": ({"peers": [lease(2), lease(1)]}, "peers[1] (node-1, 10.5.1.0/24): this is the node itself"),
    "a peer that is not a lease": (
        {"peers": [{"subnet": "nonsense"}]},
        "peers[0]: subnet 'nonsense' is not an IPv4 subnet",
    ),
    "both foreign peers and store": ({"store": "etcd", "peers": None, "foreign_peers": []}, "mutually exclusive"),
    "neither config nor store": ({"network_config": None}, "network_config is missing"),
    "both peers and store": ({"store": "etcd"}, "mutually exclusive"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input(host: Host, what: str) -> None:
    changes, reason = WRONG[what]
    host.shell("ip link add bare type veth peer name end")
    for check in (True, False):
        result = host.module(check=check, **{**options(1, [2]), **changes})
        assert result["failed"]
        assert reason in result["msg"]
    assert host.state()["links"] == []
    assert not host.json("ip -j link show type vxlan")


def test_foreign_peers_cost_no_other_peer(host: Host) -> None:
    """A Windows node that starts, and a lease of a network that has moved: leases that nobody here wrote."""
    starting = {**lease(4), "backend_data": {"VNI": 1, "VtepMAC": ""}}
    foreign = [starting, {**lease(5), "subnet": "10.99.5.0/24"}, lease(3)]
    done = host.module(**options(1, [2]), foreign_peers=foreign)
    warning = str(done["warnings"])
    assert "foreign_peers[0] (node-4, 10.5.4.0/24): backend_data has no VtepMAC" in warning
    assert "foreign_peers[1] (node-5, 10.99.5.0/24): 10.99.5.0/24 is not a subnet of the network" in warning
    routes = [json.loads(route)["dst"] for route in host.state()["routes"]]
    assert [route for route in routes if route.startswith("10.")] == ["10.5.2.0/24", "10.5.3.0/24"]
    assert not host.module(**options(1, [2]), foreign_peers=foreign)["changed"]


@pytest.mark.parametrize("backend", ["ipip", "wireguard"])
def test_a_kernel_without_the_backend(host: Host, tmp_path: Path, backend: str) -> None:
    """Where the kernel has the backend, its own tests run instead."""
    if has(backend):
        pytest.skip(f"this kernel has {backend}")
    host.module(**options(1, [2]))
    before = host.state()
    arguments = options(1, [2], backend)
    arguments["peers"] = []
    arguments["wireguard_key_file"] = str(tmp_path / "key")
    arguments["lease"]["backend_data"] = {"PublicKey": _new_key(tmp_path / "key"), "Port": 51820}
    result = host.module(**arguments)
    assert result["failed"]
    assert f"this kernel cannot make links of kind '{backend}'; load its module (modprobe {backend})" in result["msg"]
    assert host.state() == before


def _new_key(path: Path) -> str:
    """Make a key and return its public half."""
    key = keys.generate()
    keys.write(str(path), key)
    return keys.public_text(key)


def test_without_capability(host: Host) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    via = host.enter("setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
    message = run_module(DATAPLANE, options(1, [2]), via=via)["msg"]
    assert "lacks CAP_NET_ADMIN" in message
    assert "become: true" in message


@pytest.mark.parametrize("version", ["missing", "0.5.19"])
def test_pyroute2_missing_or_too_old(host: Host, tmp_path: Path, version: str) -> None:
    package = tmp_path / "pyroute2"
    package.mkdir()
    code = "raise ImportError('No module named pyroute2')" if version == "missing" else f"__version__ = '{version}'"
    (package / "__init__.py").write_text(code + "\n", encoding="ascii")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        host.enter("env", f"PYTHONPATH={path}", sys.executable, "-m", f"{MODULES}.{DATAPLANE}"),
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options(1, [2])}),
        capture_output=True,
        text=True,
        check=False,
    )
    message = json.loads(done.stdout)["msg"]
    assert "pyroute2 is missing" in message or f"pyroute2 is version {version}, which is too old" in message
    assert "install pyroute2 0.7.2 or newer" in message
    assert host.state()["links"] == []


def test_a_check_run_goes_on_without_pyroute2(host: Host, tmp_path: Path) -> None:
    """The task before it would install it; what the run would do is told as for a host without links of flannel's."""
    expected = host.module(check=True, **options(1, [2]))
    (tmp_path / "pyroute2.py").write_text("raise ImportError('No module named pyroute2')\n", encoding="ascii")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    for module, arguments in (
        ("flannel_dataplane_prepare", {"network_config": config()}),
        (DATAPLANE, options(1, [2])),
    ):
        done = subprocess.run(
            host.enter("env", f"PYTHONPATH={path}", sys.executable, "-m", f"{MODULES}.{module}"),
            input=json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": True}}),
            capture_output=True,
            text=True,
            check=False,
        )
        found = json.loads(done.stdout)
        assert "pyroute2 is missing" in str(found["warnings"])
        if module != DATAPLANE:
            assert (found["interface"], found["public_ip"]) == ("eth0", host.public_ip)
    assert (found["actions"], found["mtu"]) == (expected["actions"], 1450)


def test_a_preshared_key_is_never_shown(host: Host) -> None:
    preshared = base64.b64encode(b"a preshared key of 32 octets ...").decode()
    result = host.module(**{**options(1, [2]), "network_config": config("wireguard", PSK=preshared)})
    assert preshared not in json.dumps(result)
    shown = result["invocation"]["module_args"]["network_config"]["Backend"]
    assert shown == {"Type": "wireguard", "PSK": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"}


def test_a_strangers_link_with_our_name(host: Host) -> None:
    host.shell("ip link add flannel.1 type bridge")
    result = host.module(**options(1, [2]))
    assert "link 'flannel.1' exists and is of kind 'bridge', not 'vxlan'; it is not flannel's" in result["msg"]


def test_a_strangers_link_with_the_name_of_ours_for_wireguard(host: Host, tmp_path: Path) -> None:
    """It is refused like any other, although there is no asking it about wireguard."""
    arguments = options(1, [], "wireguard")
    arguments["wireguard_key_file"] = str(tmp_path / "key")
    arguments["lease"]["backend_data"] = {"PublicKey": _new_key(tmp_path / "key"), "Port": 51820}
    host.shell("ip link add flannel-wg type bridge")
    result = host.module(**arguments)
    assert "link 'flannel-wg' exists and is of kind 'bridge', not 'wireguard'; it is not flannel's" in result["msg"]


READ_ONLY = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"'


def test_a_host_whose_kernel_settings_are_read_only(host: Host) -> None:
    """As in a container. One setting cannot be made; all the rest is, and the next run has nothing to do."""
    via = host.enter("sh", "-c", READ_ONLY, "sh")
    first = run_module(DATAPLANE, options(1, [2]), via=via)
    assert first.get("changed"), first
    (warning,) = host.warnings(first)
    assert "cannot write 0 to /proc/sys/net/ipv6/conf/flannel.1/accept_ra (Read-only file system)" in warning
    assert [json.loads(route)["dst"] for route in host.state()["routes"] if '"boot"' in route] == ["10.5.2.0/24"]
    assert run_module(DATAPLANE, options(1, [2]), via=via)["actions"] == []
    assert host.module(**options(1, [2]))["actions"] == ["change link flannel.1 accept_ra 1 -> 0"]


def test_the_kernels_reason_is_given(host: Host, tmp_path: Path) -> None:
    """A gateway that is not on the segment: the kernel says so for that peer, and all the rest is done."""
    arguments = {**options(1, [2, 3], "host-gw"), "subnet_file": str(tmp_path / "subnet.env")}
    arguments["peers"][0]["public_ip"] = "198.19.0.2"
    host.shell("ip route del default")
    result = host.module(**arguments)
    assert "the kernel refused 1 of 2 entries: set route 10.5.2.0/24 via 198.19.0.2 dev eth0: " in result["msg"]
    assert "Nexthop has invalid gateway" in result["msg"]
    assert [json.loads(route)["dst"] for route in host.state()["routes"]] == ["10.5.3.0/24"]
    assert (tmp_path / "subnet.env").exists()


def test_leaving_takes_the_keys_along(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "key"
    _new_key(path)
    (tmp_path / "key.psk").write_text("a preshared key\n")
    leave = {
        "state": "absent",
        "network_config": config("wireguard"),
        "firewall": "none",
        "subnet_file": "",
        "wireguard_key_file": str(path),
    }
    foreseen = host.module(check=True, **leave)
    assert foreseen["actions"] == [f"remove {path}", f"remove {path}.psk"]
    assert foreseen["diff"]["before"] == f"file {path}: present\nfile {path}.psk: present\n"
    assert foreseen["diff"]["after"] == f"file {path}: absent\nfile {path}.psk: absent\n"
    assert path.exists()
    # The boot files name the preshared key, too: it is removed once.
    restore_dir = tmp_path / "restore"
    restore_dir.mkdir()
    (restore_dir / "restore.conf").write_text(f"preshared_key_file={path}.psk\n")
    leave["restore_dir"] = str(restore_dir)
    assert host.module(check=True, **leave)["actions"].count(f"remove {path}.psk") == 1
    assert host.module(**leave)["changed"]
    assert list(tmp_path.iterdir()) == []
    assert host.module(**leave)["actions"] == []
