# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files for the restore at boot: their text for every kind of link, and what changes on disk."""

from __future__ import annotations

import base64
import shutil
import socket
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    NO_FORMER,
    SCOPE_LINK,
    Address,
    DataPlane,
    FdbEntry,
    Former,
    Link,
    Neighbour,
    Prefix,
    Route,
    WireguardPeer,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.restore import files as restore
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.restore import script as restore_script
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError


def ip(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


MAC = bytes.fromhex("020000000002")
NETWORK = Prefix(ip("10.5.0.0"), 16)
VXLAN = DataPlane(
    backend="vxlan",
    mtu=1450,
    networks=(NETWORK,),
    links=(Link("flannel.1", "vxlan", 1450, MAC, "eth0", ip("198.18.0.1"), vni=1),),
    addresses=(Address("flannel.1", ip("10.5.57.0"), 32),),
    routes=[
        Route(ip("10.5.66.0"), 24, ip("10.5.66.0"), "flannel.1", onlink=True),
        Route(ip("10.5.67.0"), 24, ip("198.18.0.7"), "eth1"),
    ],
    neighbours=[Neighbour("flannel.1", ip("10.5.66.0"), MAC)],
    fdb=[FdbEntry("flannel.1", MAC, ip("198.18.0.2"))],
)
PUBLIC = bytes(range(32))
PRESHARED = bytes(range(1, 33))
WIREGUARD = DataPlane(
    backend="wireguard",
    mtu=1420,
    networks=(NETWORK,),
    links=(Link("flannel-wg", "wireguard", 1420, port=51820),),
    addresses=(Address("flannel-wg", ip("10.5.57.0"), 32),),
    routes=[Route(ip("10.5.0.0"), 16, b"", "flannel-wg", scope=SCOPE_LINK)],
    wireguard_peers=[
        WireguardPeer("flannel-wg", PUBLIC, ip("198.18.0.2"), 51820, (Prefix(ip("10.5.66.0"), 24),), 25),
        WireguardPeer("flannel-wg", PUBLIC[::-1], ip("fd00:18::3"), 51821, (Prefix(ip("fd00:5::"), 64),)),
    ],
    preshared_key=PRESHARED,
)


def test_vxlan_becomes_batches() -> None:
    files = restore.desired(
        VXLAN, firewall="add table ip x\n", subnet_env="FLANNEL_MTU=1450\n", subnet_file="/run/flannel/a b"
    ).files
    assert files["links"].startswith("flannel.1 address 02:00:00:00:00:02 mtu 1450 ")
    assert " type vxlan id 1 dev eth0 local 198.18.0.1 " in files["links"]
    assert files["ip.batch"].splitlines() == [
        "link set dev flannel.1 up",
        "address replace 10.5.57.0/32 dev flannel.1",
        "neigh replace 10.5.66.0 lladdr 02:00:00:00:00:02 dev flannel.1 nud permanent",
        "route replace 10.5.66.0/24 via 10.5.66.0 dev flannel.1 onlink",
        "route replace 10.5.67.0/24 via 198.18.0.7 dev eth1",
    ]
    assert files["bridge.batch"] == "fdb replace 02:00:00:00:00:02 dev flannel.1 dst 198.18.0.2 self permanent\n"
    assert files["firewall.nft"] == "add table ip x\n"
    assert files["subnet.env"] == "FLANNEL_MTU=1450\n"
    assert files["restore.conf"].splitlines() == [
        "underlays='eth0 eth1'",
        "subnet_file='/run/flannel/a b'",
        "wireguard_key_file=''",
        "preshared_key_file=''",
    ]


def test_the_file_that_makes_the_others_count_is_written_last() -> None:
    assert list(restore.desired(VXLAN, subnet_env="x", subnet_file="/f").files)[-1] == "restore.conf"


def test_what_is_not_there_makes_no_file() -> None:
    plane = DataPlane(backend="alloc", mtu=1500, networks=(NETWORK,))
    assert list(restore.desired(plane).files) == ["restore.sh", "restore.conf"]


def of_iproute2(command: Any, _text: Any) -> Any:
    if command[0] not in ("ip", "bridge"):
        raise FileNotFoundError
    return 0, f"{command[0]} utility, iproute2-6.1.0, libbpf 1.1.2\n", ""


def test_wireguard_is_not_programmed_where_a_boot_would_lose_it() -> None:
    with pytest.raises(InputError, match=r"host n1: the program wg is missing.* install the package wireguard-tools"):
        restore.check_programs(of_iproute2, "n1", "wireguard", "/etc/podnet-cni")


@pytest.mark.parametrize(("kind", "directory"), [("wireguard", ""), ("vxlan", "/etc/podnet-cni"), ("", "/d")])
def test_wg_is_asked_for_only_where_a_boot_needs_it(kind: str, directory: str) -> None:
    restore.check_programs(of_iproute2, "n1", kind, directory)


@pytest.mark.parametrize(("kind", "lacks"), [("vxlan", "ip"), ("vxlan", "bridge"), ("ipip", "ip")])
@pytest.mark.parametrize("busybox", [False, True])
def test_a_boot_needs_iproute2(kind: str, lacks: str, busybox: bool) -> None:
    def run(command: Any, text: Any) -> Any:
        if command[0] != lacks:
            return of_iproute2(command, text)
        if not busybox:
            raise FileNotFoundError
        return 1, "", "ip: invalid option -- 'V'\nBusyBox v1.36.1 multi-call binary.\n"

    why = "that of busybox" if busybox else "missing"
    with pytest.raises(InputError, match=f"host n1: the program {lacks} is {why}, .* install the package iproute2"):
        restore.check_programs(run, "n1", kind, "/etc/podnet-cni")
    restore.check_programs(run, "n1", kind, "")


def test_a_boot_of_ipip_needs_no_bridge() -> None:
    asked = []
    restore.check_programs(
        lambda command, text: asked.append(command[0]) or (0, "", ""), "n1", "ipip", "/etc/podnet-cni"
    )
    assert asked == ["ip"]


def test_a_host_that_has_wg_passes() -> None:
    restore.check_programs(lambda _command, _text: (0, "", ""), "n1", "wireguard", "/etc/podnet-cni")


def test_wireguard_peers_come_without_keys() -> None:
    want = restore.desired(WIREGUARD, wireguard_key_file="/etc/podnet-cni/wireguard.key")
    assert want.files["links"] == "flannel-wg mtu 1420 txqueuelen 0 type wireguard\n"
    assert want.files["peers.flannel-wg"].splitlines() == [
        "[Interface]",
        "ListenPort = 51820",
        "[Peer]",
        f"PublicKey = {base64.b64encode(PUBLIC).decode()}",
        "Endpoint = 198.18.0.2:51820",
        "AllowedIPs = 10.5.66.0/24",
        "PersistentKeepalive = 25",
        "[Peer]",
        f"PublicKey = {base64.b64encode(PUBLIC[::-1]).decode()}",
        "Endpoint = [fd00:18::3]:51821",
        "AllowedIPs = fd00:5::/64",
        "PersistentKeepalive = off",
    ]
    assert "route replace 10.5.0.0/16 dev flannel-wg scope link" in want.files["ip.batch"]
    preshared = base64.b64encode(PRESHARED).decode()
    assert want.secret == preshared
    assert not any(preshared in text for text in want.files.values())
    assert preshared not in repr(want)
    assert "preshared_key_file=/etc/podnet-cni/wireguard.key.psk" in want.files["restore.conf"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "without a key file"),
        ("/run/flannel/wgkey", "does not outlive a reboot"),
        ("/dev/key", "does not outlive"),
    ],
)
def test_a_wireguard_key_has_to_outlive_the_reboot(path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        restore.desired(WIREGUARD, wireguard_key_file=path)


def converge(directory: Path, want: restore.Restore) -> restore.RestorePlan:
    plan = restore.plan(want, restore.observe(str(directory), want.secret_path), str(directory))
    restore.apply(want, plan, str(directory))
    return plan


def test_only_what_differs_is_written_and_what_is_obsolete_goes(tmp_path: Path) -> None:
    directory = tmp_path / "podnet-cni"
    want = restore.desired(VXLAN, firewall="x\n", subnet_env="y\n", subnet_file="/f")
    assert [action.rsplit("/", 1)[1] for action in converge(directory, want).actions] == list(want.files)
    assert not converge(directory, want)
    (directory / "ip.batch").write_text("changed")
    (directory / "note").write_text("the administrator's")
    (directory / "peers.flannel-wg").write_text("old")
    plan = converge(directory, restore.desired(VXLAN, subnet_env="y\n", subnet_file="/f"))
    assert plan.write == ("ip.batch",)
    assert sorted(plan.remove) == ["firewall.nft", "peers.flannel-wg"]
    assert sorted(plan.changes) == [
        (f"{directory}/firewall.nft", "present", "absent"),
        (f"{directory}/ip.batch", "present, outdated", "present"),
        (f"{directory}/peers.flannel-wg", "present", "absent"),
    ]
    assert (directory / "note").exists()


def test_the_diff_names_the_lines_that_go_and_come(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    converge(directory, restore.desired(VXLAN))
    want = restore.desired(replace(VXLAN, routes=VXLAN.routes[:1]))
    ((path, gone, come),) = (
        lines
        for lines in restore.plan(want, restore.observe(str(directory)), str(directory)).lines
        if lines[0].endswith("ip.batch")
    )
    assert (path, gone, come) == (f"{directory}/ip.batch", ("route replace 10.5.67.0/24 via 198.18.0.7 dev eth1",), ())
    many = [Route(ip(f"10.5.{number}.0"), 24, ip("198.18.0.7"), "eth1") for number in range(100, 150)]
    want = restore.desired(replace(VXLAN, routes=many))
    lines = restore.plan(want, restore.observe(str(directory)), str(directory)).lines
    (come,) = (come for path, _gone, come in lines if path.endswith("ip.batch"))
    assert come[-1] == "... and 30 more lines"


def test_what_an_earlier_run_made_is_read_from_its_files(tmp_path: Path) -> None:
    """Whatever the network was then, and without what is wanted still."""
    directory = tmp_path / "d"
    assert restore.former(str(directory), VXLAN) == NO_FORMER
    assert restore.former("", VXLAN) == NO_FORMER
    converge(directory, restore.desired(VXLAN))
    assert restore.former(str(directory), VXLAN) == NO_FORMER
    now = replace(VXLAN, links=(), addresses=(), neighbours=[], routes=VXLAN.routes[:1])
    assert restore.former(str(directory), now) == Former(
        frozenset({"flannel.1"}),
        frozenset(VXLAN.addresses),
        frozenset({(ip("10.5.67.0"), 24, ip("198.18.0.7"), "eth1")}),
        frozenset({("flannel.1", ip("10.5.66.0"))}),
    )
    with (directory / "ip.batch").open("a") as batch:
        batch.write("route replace nonsense via\nroute replace 10.9.0.0/16\naddress\n")
    assert len(restore.former(str(directory), now).routes) == 1


def test_nothing_to_restore_removes_our_files_only(tmp_path: Path) -> None:
    want = restore.desired(VXLAN)
    directory = tmp_path / "podnet-cni"
    converge(directory, want)
    (directory / "wireguard.key").write_text("precious")
    assert converge(directory, restore.NOTHING).actions
    assert [path.name for path in directory.iterdir()] == ["wireguard.key"]
    (directory / "wireguard.key").unlink()
    converge(directory, want)
    converge(directory, restore.NOTHING)
    assert not directory.exists()
    assert not converge(directory, restore.NOTHING)


def test_the_preshared_key_gets_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The test's own directory lies in /tmp, where no key file may be.
    monkeypatch.setattr(restore, "_check_durable", lambda _path: None)
    want = restore.desired(WIREGUARD, wireguard_key_file=str(tmp_path / "wireguard.key"))
    plan = converge(tmp_path / "d", want)
    path = tmp_path / "wireguard.key.psk"
    assert plan.actions[0] == f"write {path}"
    assert plan.changes[0] == (str(path), "absent", "present")
    assert want.secret not in str(plan)
    assert path.read_text() == want.secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert not converge(tmp_path / "d", want)
    gone = converge(tmp_path / "d", restore.NOTHING)
    assert gone.actions[-1] == f"remove {path}"
    assert gone.changes[-1] == (str(path), "present", "absent")
    assert not path.exists()
    assert not converge(tmp_path / "d", restore.NOTHING)


def test_a_preshared_key_that_is_not_used_any_more_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "_check_durable", lambda _path: None)
    key_file = str(tmp_path / "a key")
    converge(tmp_path / "d", restore.desired(WIREGUARD, wireguard_key_file=key_file))
    without = replace(WIREGUARD, preshared_key=None)
    plan = converge(tmp_path / "d", restore.desired(without, wireguard_key_file=key_file))
    assert plan.remove_secret == f"{key_file}.psk"
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_the_script_is_sound_posix_shell():
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        [shellcheck, "--shell=sh", "-"], input=restore_script.SCRIPT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
