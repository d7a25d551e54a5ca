# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of an upgrade of overlay hosts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import hosts

SIZES = st.one_of(st.integers(0, 9), st.integers(0, 9).map(str), st.integers(0, 100).map(lambda n: f"{n}%"))


def config(**backend: Any) -> dict[str, Any]:
    return {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", **backend}}


@given(st.lists(st.text(min_size=1), unique=True), st.one_of(SIZES, st.lists(SIZES)))
def test_every_host_is_in_one_batch_in_its_order(names: list[str], serial: Any) -> None:
    found = hosts.batches(names, serial)
    assert [name for batch in found for name in batch] == names
    assert all(found)


def test_batches_are_those_of_ansible() -> None:
    names = [f"h{number}" for number in range(20)]
    assert [len(batch) for batch in hosts.batches(names, ["1", "10%", "25%", "100%"])] == [1, 2, 5, 12]
    assert [len(batch) for batch in hosts.batches(names, "30%")] == [6, 6, 6, 2]
    assert [len(batch) for batch in hosts.batches(names[:3], ["10%"])] == [1, 1, 1]


@pytest.mark.parametrize("serial", ["x", ["1", "5.5%"], [None]])
def test_a_size_that_is_none(serial: Any) -> None:
    with pytest.raises(InputError, match="neither a number of hosts nor a percentage"):
        hosts.plan(["a"], None, None, serial=serial)


def test_plan() -> None:
    found = hosts.plan(["a", "b", "c"], config(), config(MTU=1400), serial=[1, 2], done=["a"], files=["/etc/x"])
    assert [wave["nodes"] for wave in found["waves"]] == [["b", "c"]]
    assert found["daemonsets"][0]["config_changes"] == ["Backend.MTU: 0 -> 1400"]
    assert "/etc/x of each host" in found["backup"]
    assert not any("do not reach each other" in each for each in found["not_reversible"])
    assert hosts.plan(["a"], config(), config(VNI=7))["not_reversible"][0].startswith("what identifies the packets")
    assert hosts.plan(["a"], config(), None)["daemonsets"][0]["config_changes"] == []
    assert hosts.plan(["a"], config(), config(VNI=1))["daemonsets"][0]["config_changes"] == [], (
        "a default is not a change"
    )
    assert hosts.plan(["a"], config(), config(), done=["a"])["action"] == "none"


def test_no_secret_is_shown() -> None:
    wanted = {"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard", "PSK": "A" * 43 + "="}}
    assert "AAAA" not in str(hosts.plan(["a"], config(), wanted))


def test_network_config_that_is_none() -> None:
    with pytest.raises(InputError, match="Network"):
        hosts.plan(["a"], None, {"Network": "nowhere"})


def test_targets_of_a_probe() -> None:
    leases = [
        {"name": name, "backend_type": "vxlan", "subnet": f"10.244.{number}.0/24"} for number, name in enumerate("abcd")
    ]
    assert hosts.near(leases, "a", 2) == [
        {"name": "10.244.1.0", "address": "10.244.1.0", "search": True},
        {"name": "10.244.2.0", "address": "10.244.2.0", "search": True},
    ]
    assert hosts.near([{**leases[1], "backend_type": "host-gw"}, {**leases[2], "subnet": None}], "a", 2) == []
    assert hosts.near(leases, "a", 0) == []


def test_targets_of_a_probe_in_both_families() -> None:
    both = {"name": "b", "backend_type": "vxlan", "subnet": "10.244.1.0/24", "ipv6_subnet": "fd00:10:244:1::/64"}
    alone = {"name": "c", "backend_type": "vxlan", "subnet": None, "ipv6_subnet": "fd00:10:244:2::/64"}
    targets = hosts.near([both, alone, {**both, "name": "d"}], "a", 2, 1350, 1330)
    assert [(target["address"], target["size"]) for target in targets] == [
        ("10.244.1.0", 1322),
        ("fd00:10:244:1::", 1282),
        ("fd00:10:244:2::", 1282),
    ]
