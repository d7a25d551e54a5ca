# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program without a kernel and a store: its settings, its log, and what it calls unsafe to act on."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.request import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, from_dict
from ansible_collections.podnet.cni.plugins.module_utils._refresh import program
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Entry, Listing
from ansible_collections.podnet.cni.plugins.modules import flannel_dataplane

OWN = {"subnet": "10.5.1.0/24", "ipv6_subnet": None, "public_ip": "198.18.0.1", "public_ipv6": None}
PSK = base64.b64encode(bytes(range(32))).decode()
WIREGUARD = {"Network": "10.5.0.0/16", "Backend": {"Type": "wireguard", "psk": PSK}}


FILE = "etcd_password_file"


def listing(*leases: dict[str, Any], blocked: int = 0) -> Listing:
    entries = tuple(Entry(f"/x/{number}", "", from_dict(each), 1) for number, each in enumerate(leases))
    return Listing(entries, (), 7, tuple(Entry("/x/bad", "", Lease(None), 1) for _number in range(blocked)))


def said(outcome: Outcome, check: bool = False, secrets: list[str] | None = None, levels: bool = False) -> list[str]:
    stream = io.StringIO()
    program.report(outcome, check, program.Log(stream, levels, secrets or []))
    return stream.getvalue().splitlines()


def test_its_options_are_those_of_the_module() -> None:
    assert set(program.DATAPLANE_OPTIONS) <= set(flannel_dataplane.ARGUMENT_SPEC)
    leases = {"lease", "peers", "foreign_peers", "leases_from", "foreign_peers_from", "name", "store"}
    left_out = {"state", "network_config", *leases}
    of_stores = {name for name in flannel_dataplane.ARGUMENT_SPEC if name.startswith("etcd_")}
    kubernetes = set(flannel_dataplane.KUBERNETES_ARGUMENT_SPEC)
    assert set(flannel_dataplane.ARGUMENT_SPEC) - left_out - of_stores - kubernetes == set(program.DATAPLANE_OPTIONS)


def settings(**changes: Any) -> dict[str, Any]:
    return {**dict.fromkeys(program.SETTINGS), **changes}


def test_settings_are_read_with_the_password_from_its_own_file(tmp_path: Path) -> None:
    file, password = tmp_path / "settings.json", tmp_path / "etcd-password"
    password.write_text("a b\\c \n")
    file.write_text(json.dumps(settings(etcd_password_file=str(password))))
    found = program.read_settings(str(file))
    assert found == {**settings(etcd_password_file=str(password)), "etcd_password": "a b\\c "}
    file.write_text(json.dumps(settings()))
    assert program.read_settings(str(file)) == {**settings(), "etcd_password": None}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "everything should not be so"),
        (json.dumps(settings(colour="red")), "colour should not be so"),
        (json.dumps({name: None for name in program.SETTINGS if name != "lease"}), "lease should not be so"),
        (json.dumps(settings(**{FILE: "/nowhere/etcd-password"})), "/nowhere/etcd-password is not there"),
    ],
)
def test_settings_that_are_not_complete_are_refused(tmp_path: Path, text: str | None, reason: str) -> None:
    file = tmp_path / "settings.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=reason):
        program.read_settings(str(file))


@pytest.mark.parametrize(
    ("leases", "reason"),
    [
        (listing(), "holds no lease"),
        (listing(OWN, blocked=1), "the lease /x/bad cannot be read"),
        (listing({**OWN, "subnet": "10.5.2.0/24"}), "has no lease for 10.5.1.0/24"),
        (listing({**OWN, "ipv6_subnet": "fd00:1::/64"}), "has no lease for 10.5.1.0/24"),
        (listing({**OWN, "public_ip": "198.18.0.2"}), "is that of 198.18.0.2 now"),
    ],
)
def test_leases_that_do_not_tell_who_the_peers_are(leases: Listing, reason: str) -> None:
    with pytest.raises(ConflictError, match=reason) as caught:
        program.refuse_leases(leases, OWN, "/x")
    assert "nothing was changed" in str(caught.value)


def test_leases_that_do() -> None:
    program.refuse_leases(listing({**OWN, "subnet": "10.5.2.0/24", "public_ip": "198.18.0.2"}, OWN), OWN, "/x")


def test_another_config_is_refused_and_its_secrets_are_not_told() -> None:
    stored = network_config.parse(WIREGUARD)
    program.refuse_config(stored, {"Network": "10.5.0.0/16", "Backend": {"Type": "wireguard"}})
    with pytest.raises(ConflictError, match=r"Network is '10.5.0.0/16', not '10.6.0.0/16'") as caught:
        program.refuse_config(stored, {"Network": "10.6.0.0/16", "Backend": {"Type": "wireguard"}})
    assert PSK not in str(caught.value)
    assert network_config.secret_texts(stored.given) == [PSK], "which the log hides"


def test_the_log_of_a_change() -> None:
    outcome = Outcome(actions=["set it"], before=["a"], after=["b"], warnings=["careful"], facts={"peers": 2})
    assert said(outcome) == ["warning: careful", "set it", "- a", "+ b"]
    assert said(outcome, check=True)[1] == "would set it"
    assert said(outcome, levels=True) == ["<4>warning: careful", "<5>set it", "<5>- a", "<5>+ b"]


def test_the_log_of_a_run_without_a_change_is_below_what_the_unit_keeps() -> None:
    found = said(Outcome(warnings=["careful"], facts={"peers": 2}), levels=True)
    assert found == ["<6>warning: careful", "<6>2 peers are as their leases say"]


def test_no_secret_reaches_the_log() -> None:
    outcome = Outcome(actions=["use secret-of-all-nodes and secret"], warnings=["x secret y"], facts={"peers": 0})
    found = said(outcome, secrets=["secret", "secret-of-all-nodes"])
    assert found == ["warning: x ******** y", "use ******** and ********"]
