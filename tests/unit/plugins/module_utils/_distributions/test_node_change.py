# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a change on one node, what is in the way of a new network, and what a node shows of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._distributions import change, node_device, node_files
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, PodnetError

KEY = "x" * 44


def file(path: Path, text: str, before: str | None = None) -> dict[str, Any]:
    return {"path": str(path), "text": text, "before": before}


def test_files_are_written_and_put_back_and_secrets_stay_here(tmp_path: Path) -> None:
    state, one, two = str(tmp_path / "s" / "state.json"), tmp_path / "d" / "one", tmp_path / "two"
    two.write_text("token: abc\nflannel-backend: vxlan\n")
    files = [
        file(one, f'{{"PSK": "{change.PSK}"}}\n'),
        file(two, "token: abc\nflannel-backend: host-gw\n", 'token: "********"\nflannel-backend: vxlan\n'),
    ]
    assert len(node_files.write(files, {change.PSK: KEY}, begun=True, check=True, state=state)) == 2
    assert not one.exists() and node_files.restarted(state) is None
    diff = node_files.write(files, {change.PSK: KEY}, begun=True, check=False, state=state)
    assert KEY in one.read_text() and KEY not in json.dumps(diff) and "abc" not in json.dumps(diff)
    assert oct(one.stat().st_mode & 0o777) == oct(Path(state).stat().st_mode & 0o777) == "0o600"
    assert node_files.restarted(state) == 0
    node_files.note_restart(7.5, state)
    # Once more: nothing differs, and it is not restarted again.
    assert node_files.write(files, {change.PSK: KEY}, begun=True, check=False, state=state) == []
    assert node_files.restarted(state) == 7.5
    # A further change keeps the first state as the one to go back to.
    seen = 'token: "********"\nflannel-backend: host-gw\n'
    node_files.write([file(two, "a: 1\n", seen)], {}, begun=True, check=False, state=state)
    assert node_files.restarted(state) == 0
    assert len(node_files.restore(check=True, state=state)) == 2
    node_files.restore(check=False, state=state)
    assert not one.exists() and two.read_text() == "token: abc\nflannel-backend: vxlan\n"
    assert node_files.settle(check=False, state=state) and not node_files.settle(check=False, state=state)


def test_a_file_that_somebody_else_wrote_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("theirs: 1\n")
    with pytest.raises(ConflictError, match="changed by somebody else"):
        node_files.write([file(target, "ours: 1\n")], {}, begun=True, check=False, state=str(tmp_path / "s"))
    assert target.read_text() == "theirs: 1\n" and not (tmp_path / "s").exists()


def test_where_one_cannot_be_written_none_is(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    files = [file(tmp_path / "one", "a: 1\n"), file(blocked / "below" / "two", "b: 1\n")]
    with pytest.raises(PodnetError):
        node_files.write(files, {}, begun=True, check=False, state=str(tmp_path / "s"))
    assert not (tmp_path / "one").exists()


def test_a_state_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("{")
    with pytest.raises(PodnetError, match="is not JSON"):
        node_files.restore(check=False, state=str(tmp_path / "s"))


LINKS = [{"ifname": name} for name in ("lo", "eth0", "cni0", "flannel.1", "flannel-v6.1", "flannel-wg", "flannel9")]
ROUTES = [
    {"dst": "default", "gateway": "198.18.0.254", "dev": "eth0"},
    {"dst": "10.42.1.0/24", "dev": "cni0"},
    {"dst": "10.42.2.0/24", "gateway": "10.42.2.0", "dev": "flannel.1"},
    {"dst": "10.42.3.0/24", "gateway": "198.18.0.3", "dev": "eth0"},
    {"dst": "10.99.0.0/16", "gateway": "198.18.0.9", "dev": "eth0"},
    {"dst": "fd00:42:3::/64", "gateway": "fd00::3", "dev": "eth0"},
]


def test_what_would_win_over_wireguard_goes_and_nothing_else() -> None:
    network = ["10.42.0.0/16", "fd00:42::/32"]
    found = [" ".join(each[1:]) for each in node_device.leftovers(LINKS, ROUTES, network, "wireguard")]
    assert found == [
        "link delete flannel.1",
        "link delete flannel-v6.1",
        "link delete flannel-wg",
        "-4 route delete 10.42.3.0/24 dev eth0",
        "-6 route delete fd00:42:3::/64 dev eth0",
    ]
    kept = node_device.leftovers(LINKS, ROUTES, network, "wireguard", "flannel-wg")
    assert ["ip", "link", "delete", "flannel-wg"] not in kept and ["ip", "link", "delete", "flannel.1"] in kept
    # Routes over the underlay are what host-gw is made of.
    assert [each[1] for each in node_device.leftovers(LINKS, ROUTES, network, "host-gw")] == ["link"] * 3


def vxlan(**more: Any) -> dict[str, Any]:
    info = {"info_kind": "vxlan", "info_data": {"id": 1, "port": 8472}}
    return {"ifname": "flannel.1", "mtu": 1450, "linkinfo": info, **more}


EXPECT = change.expected("vxlan", vni=1, port=0, mtu=1500, direct=False)


@pytest.mark.parametrize(
    ("links", "expect", "words"),
    [
        ({"flannel.1": vxlan()}, EXPECT, ""),
        ({}, EXPECT, "flannel.1 is not there"),
        ({"flannel.1": vxlan(mtu=1400)}, EXPECT, "has MTU 1400, not 1450"),
        ({"flannel.1": vxlan()}, {**EXPECT, "port": 4789}, "has port 8472, not 4789"),
        ({"flannel.1": vxlan(linkinfo={"info_kind": "bridge"})}, EXPECT, "a link of kind bridge"),
        ({"flannel.1": vxlan(), "flannel-v6.1": {}}, EXPECT, ""),
        ({"flannel.1": vxlan(), "flannel.7": {}}, EXPECT, "flannel.7 is still there"),
        ({"flannel.1": vxlan()}, change.expected("host-gw", vni=1, port=0, mtu=0, direct=False), "still there"),
    ],
)
def test_links_are_those_that_are_wanted(links: Any, expect: Any, words: str) -> None:
    found = "; ".join(node_device.device_problems(links, expect))
    assert (found == "") if not words else words in found


@pytest.mark.parametrize(
    ("way", "expect", "words"),
    [
        ({"dev": "flannel.1"}, EXPECT, ""),
        ({"dev": "", "peer": "10.42.2.0/24"}, EXPECT, "no route leads to the pods of 10.42.2.0/24"),
        ({"dev": "flannel.1"}, {"device": "flannel-wg"}, "leave over flannel.1, not over flannel-wg"),
        ({"dev": "eth0", "gateway": "198.18.0.2"}, {**EXPECT, "direct": True}, ""),
        ({"dev": "eth0", "gateway": "198.18.0.2"}, EXPECT, "not over flannel.1"),
        ({"dev": "flannel.1"}, {"device": ""}, "not over the underlay"),
        ({"dev": "eth0"}, {"device": ""}, ""),
    ],
)
def test_packets_take_the_link_that_is_wanted(way: Any, expect: Any, words: str) -> None:
    found = node_device.way_problem(way, expect)
    assert (found == "") if not words else words in found


@pytest.mark.parametrize(
    ("state", "tries", "broken"), [("activating", 1, False), ("activating", 3, True), ("failed", 0, True)]
)
def test_a_service_that_does_not_come_up(state: str, tries: int, broken: bool) -> None:
    def run(command: Any, _text: Any) -> tuple[int, str, str]:
        if command[0] == "ip":
            return 0, "[]", ""
        if command[0] == "journalctl":
            return 0, "K3S_TOKEN=secret\nflannel exited\n", ""
        assert command[0] == "systemctl"
        return 0, f"ActiveState={state}\nSubState=x\nNRestarts={tries}\nResult=y\n", ""

    found = node_device.look(run, {"unit": "k3s", "journal_lines": 5})
    assert found["broken"] is broken and f"k3s is {state}" in found["problems"][0]
    assert found["journal"][-1] == "flannel exited" and "secret" not in json.dumps(found)


def test_nothing_is_removed_beside_a_link_that_nobody_names() -> None:
    def run(_command: Any, _text: Any) -> tuple[int, str, str]:
        raise subprocess.SubprocessError

    with pytest.raises(PodnetError, match="is not known"):
        node_device.clear(run, network=[], backend="vxlan", keep="", check=False)
