# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lease modules return and hide, apart from what they do to a real etcd (tests/integration/etcd)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision, Request
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._stores import configs, tasks
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Granted, Listing, StoredConfig
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_plan import Entry

PSK = "TmV2ZXJTaG93VGhpc1NlY3JldEluQW55T3V0cHV0ISE="


def test_public_config_has_defaults_and_no_secret() -> None:
    config = network_config.parse({"Network": "10.244.0.0/16", "Backend": {"Type": "wireguard", "PSK": PSK}})
    shown = configs.public(config)
    assert shown["Backend"]["ListenPort"] == 51820
    assert "PSK" not in shown["Backend"]
    assert PSK not in str(shown)


class OneConfigStore:
    """A store that holds a config and many leases, and must not be written to."""

    keys = type("Keys", (), {"config": "/net/config"})

    def __init__(self, leases: int) -> None:
        found = [
            Lease(IPv4Network((0x0AF40100 + (number << 8), 24)), public_ip=IPv4Address(0xC6120001 + number))
            for number in range(leases)
        ]
        self._listing = Listing(tuple(Entry("", "", lease, 1) for lease in found), (), 1)

    def list_leases(self) -> Listing:
        return self._listing

    def read_config(self) -> StoredConfig:
        text = '{"Network":"10.244.0.0/16","Backend":{"Type":"alloc"}}'
        return StoredConfig(text, 1, network_config.parse(text))

    def retry(self, attempt: Any) -> None:
        attempt()


def test_message_shows_twenty_stranded_leases_and_the_result_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_etcd", lambda _params: OneConfigStore(50))
    config = {"Network": "10.9.0.0/16", "Backend": {"Type": "alloc"}}
    with pytest.raises(tasks.StrandedError) as caught:
        tasks.network({"state": "present", "network_config": config, "force": False}, [].append, check_mode=False)
    message = str(caught.value)
    assert "would strand 50 leases: 10.244.1.0/24 of public IP 198.18.0.1 (" in message
    assert message.count("of public IP") == 20
    assert "and 30 more" in message
    assert len(caught.value.leases) == 50


def test_what_cannot_work_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_etcd", lambda _params: OneConfigStore(0))
    warnings: list[str] = []
    config = {"Network": "10.9.0.0/16", "Backend": {"Type": "wireguard", "Mode": "auto"}}
    tasks.network({"state": "present", "network_config": config, "force": False}, warnings.append, check_mode=True)
    assert [text.rpartition("; ")[2] for text in warnings] == ["set ListenPortV6 to the value of ListenPort"]


def test_check_mode_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_etcd", lambda _params: OneConfigStore(0))
    config = {"Network": "10.9.0.0/16", "Backend": {"Type": "alloc"}}
    result = tasks.network({"state": "present", "network_config": config, "force": False}, [].append, check_mode=True)
    assert result["changed"]
    assert result["actions"] == ["replace /net/config"]


class AnsweringStore:
    """A store whose leases are not what was written a moment ago."""

    def __init__(self, *leases: Lease) -> None:
        self._leases = leases

    def list_leases(self, *, ttl: bool = False) -> Listing:
        assert ttl
        return Listing(tuple(Entry(f"k{number}", "", lease, 1) for number, lease in enumerate(self._leases)), (), 1)


OWN = Lease(IPv4Network("10.244.1.0/24"), public_ip=IPv4Address("198.18.0.1"), backend_type="vxlan", name="node-1")


@pytest.mark.parametrize(
    ("stands", "why"),
    [
        ([replace(OWN, ttl=86400, name="")], "read back it ends in 86400 s"),
        ([replace(OWN, public_ip=IPv4Address("198.18.0.9"))], "read back it is that of public IP 198.18.0.9"),
        ([], "read back it is gone"),
        ([replace(OWN, name="")], ""),
    ],
)
def test_a_lease_that_somebody_answered_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, stands: list[Lease], why: str
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(tasks.time, "sleep", paused.append)
    written = Granted(Decision(Request("node-1"), OWN.subnet, None, "taken over"), OWN, "updated", "permanent", OWN)
    store: Any = AnsweringStore(*stands)
    if why:
        with pytest.raises(ConflictError, match=f"lease 10.244.1.0/24 of node-1 was written, and {why}"):
            tasks._read_back(store, [written])
    else:
        assert tasks._read_back(store, [written]).leases == stands
    assert paused == [tasks.restore.ANSWER_SECONDS], "a flanneld has a moment to answer"


def test_leases_of_others_are_those_of_nobody_who_was_asked_for() -> None:
    granted = [Granted(Decision(Request("node-1"), OWN.subnet, None, "reused"), OWN, "unchanged", "")]
    moved = replace(OWN, subnet=IPv4Network("10.244.9.0/24"), name="")
    other = Lease(IPv4Network("10.244.2.0/24"), public_ip=IPv4Address("198.18.0.2"))
    named = replace(other, subnet=IPv4Network("10.244.3.0/24"), public_ip=None, name="node-1")
    assert tasks._others([replace(OWN, name=""), moved, other, named], granted) == [other]


def test_leases_are_not_written_into_the_network_of_somebody_else() -> None:
    store: Any = OneConfigStore(0)
    store.config_name = "/net/config"
    stored = store.read_config().usable()
    same = network_config.parse({"Network": "10.244.0.0/16", "SubnetLen": 24, "Backend": {"Type": "alloc"}})
    tasks._check_config(store, stored, same)
    other = network_config.parse({"Network": "10.244.0.0/16", "SubnetLen": 26, "Backend": {"Type": "alloc"}})
    with pytest.raises(ConflictError, match=r"/net/config: .* \(SubnetLen is 24.*somebody else wrote another"):
        tasks._check_config(store, stored, other)
