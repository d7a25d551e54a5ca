# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host is asked before its lease, and how far a check run gets where something is not installed yet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import kernel, plan
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import Link, Route
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile import prepare
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.prepare import Question
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.request import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import Underlay
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError, MissingError
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._dataplane._nodes import UNDERLAY, config


class FakeKernel:
    """A kernel that has every kind of link; it needs no library."""

    def __init__(self, host: str) -> None:
        self.host = host

    def __enter__(self) -> FakeKernel:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def check_kind(self, kind: str) -> None:
        pass

    def underlay(self, _public_ips: Sequence[bytes], _interface: str | None) -> Underlay:
        return UNDERLAY


def no_program(command: Sequence[str], _text: str | None) -> tuple[int, str, str]:
    raise FileNotFoundError(command[0])


def iproute2_alone(command: Sequence[str], _text: str | None) -> tuple[int, str, str]:
    if command[0] not in ("ip", "bridge"):
        raise FileNotFoundError(command[0])
    return 0, "[]" if "-j" in command else "ip utility, iproute2-6.1.0", ""


def question(key_file: Path, restore_dir: str = "") -> Question:
    return Question(config("wireguard"), (), None, str(key_file), restore_dir, "", restore_dir != "", 5.0, False)


@pytest.fixture(autouse=True)
def _kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "Kernel", FakeKernel)
    monkeypatch.setattr(prepare, "check_capable", lambda _host: None)


def test_check_run_has_a_key_that_is_thrown_away(tmp_path: Path) -> None:
    """The lease is planned with it; without one the check run would end there."""
    path = tmp_path / "key"
    found = prepare.prepare("host", question(path), no_program, True)
    assert len(found.facts["public_key"]) == 44
    assert (found.actions, path.exists()) == ([f"write {path}"], False)
    made = prepare.prepare("host", question(path), no_program, False)
    assert path.exists()
    assert made.facts["public_key"] != found.facts["public_key"]
    assert prepare.prepare("host", question(path), no_program, True).facts["public_key"] == made.facts["public_key"]


def test_check_run_only_warns_of_a_missing_program(tmp_path: Path) -> None:
    asked = question(tmp_path / "key", "/etc/podnet-cni")
    warnings = prepare.prepare("host", asked, no_program, True).warnings
    assert warnings[0].startswith("host host: the program ip is missing")
    assert warnings[1].startswith("nft is not on PATH")
    assert warnings[2].startswith("ip is not on PATH")
    warnings = prepare.prepare("host", asked, iproute2_alone, True).warnings
    assert warnings[0].startswith("host host: the program wg is missing")
    with pytest.raises(MissingError, match="the program wg is missing"):
        prepare.prepare("host", asked, iproute2_alone, False)


def test_what_is_missing_is_said_once() -> None:
    outcome = Outcome()

    def missing() -> None:
        raise MissingError("host host: pyroute2 is missing")

    outcome.tolerate(True, missing)
    outcome.tolerate(True, missing)
    assert len(outcome.warnings) == 1


def test_only_what_is_not_installed_is_tolerated() -> None:
    def wrong() -> None:
        raise InputError("wrong")

    with pytest.raises(InputError, match="wrong"):
        Outcome().tolerate(True, wrong)


def test_a_kernel_is_read_without_pyroute2(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_host: str) -> None:
        raise MissingError("pyroute2 is missing")

    monkeypatch.setattr(kernel, "load_pyroute2", missing)
    with kernel.Kernel("host") as looked_at:
        looked_at.overlay_links()
        looked_at.make_ready(plan.Plan(set_routes=[Route(bytes(4), 24, b"", "flannel.1")]))
        with pytest.raises(InputError, match="interface 'nosuch0' does not exist"):
            looked_at.underlay([], "nosuch0")
        assert looked_at.underlay([b"\x7f\x00\x00\x01"], "lo").mtu == 65536
        with pytest.raises(MissingError):
            looked_at.make_ready(plan.Plan(create_links=[Link("flannel.1", "vxlan", 1450)]))
        with pytest.raises(MissingError):
            looked_at.check_kind("no such kind")


@pytest.mark.parametrize(
    ("name", "kind", "address", "says"),
    [
        ("flannel-wg", "wireguard", "10.42.1.0", "10.42.1.0/32, of another network"),
        ("flannel-wg", "dummy", "10.5.1.0", "flannel-wg is a link of kind dummy, not wireguard"),
    ],
)
def test_what_is_somebody_elses_is_refused_before_there_is_a_lease(
    tmp_path: Path, name: str, kind: str, address: str, says: str
) -> None:
    link = {"ifname": name, "linkinfo": {"info_kind": kind}, "flags": ["UP"]}
    link["addr_info"] = [{"local": address, "prefixlen": 32, "scope": "global"}]

    def run(_command: Sequence[str], _text: str | None) -> tuple[int, str, str]:
        return 0, json.dumps([link]), ""

    for check in (True, False):
        with pytest.raises(ConflictError, match=says):
            prepare.prepare("host", question(tmp_path / "key"), run, check)
    if "another network" in says:
        (tmp_path / "ip.batch").write_text(f"address add {address}/32 dev {name}\n")
        ours = replace(question(tmp_path / "key"), restore_dir=str(tmp_path), firewall=False)
        assert prepare.refuse_claims("host", ours, run) is None, "what we restore at boot is ours"


def test_a_directory_that_takes_no_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = replace(question(tmp_path / "key"), restore_dir=f"{tmp_path}/new/deeper", subnet_file="")
    prepare.refuse_unwritable("host", asked)
    with pytest.raises(InputError, match=r"subnet_file /proc/1 has no room|subnet_file /proc/1 cannot be written"):
        monkeypatch.setattr(prepare.os, "access", lambda path, _how: not path.startswith("/proc"))
        prepare.refuse_unwritable("host", replace(asked, subnet_file="/proc/1/subnet.env"))
    monkeypatch.setattr(prepare.os, "access", lambda _path, _how: True)
    full = prepare.os.statvfs_result((4096, 4096, 1000, 10, 10, 0, 0, 0, 0, 255))
    monkeypatch.setattr(prepare.os, "statvfs", lambda _path: full)
    with pytest.raises(InputError, match=f"restore_dir {tmp_path}/new/deeper has no room: .* has 40960 octets left"):
        prepare.refuse_unwritable("host", asked)


def test_a_host_tells_what_its_lease_is_to_be(tmp_path: Path) -> None:
    asked = replace(question(tmp_path / "key"), name="gw", subnet="10.5.9.0/24")
    found = prepare.prepare("host", asked, no_program, True).facts
    assert found["node"] == {
        "name": "gw",
        "public_ip": found["public_ip"],
        "public_ipv6": found["public_ipv6"],
        "subnet": "10.5.9.0/24",
        "ipv6_subnet": None,
        "previous_subnet": None,
        "previous_ipv6_subnet": None,
        "wireguard_public_key": found["public_key"],
    }
    assert not found["complete"], "the key is yet to be made"


CHAINS = """{"nftables": [
  {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter", "hook": "forward",
             "prio": 0, "policy": "%s"}}
]}"""


@pytest.mark.parametrize(("policy", "warned"), [("drop", True), ("accept", False)])
def test_a_forward_policy_that_drops_is_told_before_the_lease(tmp_path: Path, policy: str, warned: bool) -> None:
    def run(command: Sequence[str], _text: str | None) -> tuple[int, str, str]:
        if command[0] != "nft":
            raise FileNotFoundError(command[0])
        return 0, CHAINS % policy, ""

    asked = replace(question(tmp_path / "key"), config=config(), firewall=True)
    warnings = prepare.prepare("host", asked, run, False).warnings
    assert any("chain ip filter FORWARD (cni0 to flannel.1)" in text for text in warnings) is warned
