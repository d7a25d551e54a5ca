# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What plugins are given, which configuration is taken, and what follows from the state of a pod."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._cni import pod as cni_pod
from ansible_collections.podnet.cni.plugins.module_utils._cni import runtime as cni_runtime
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError, PodnetError

CONFLIST = {
    "cniVersion": "0.3.1",
    "name": "cbr0",
    "plugins": [
        {"type": "bridge", "ipam": {"type": "host-local"}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
MAPPING = {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}
RESULT = {
    "cniVersion": "0.3.1",
    "interfaces": [{"name": "cni0"}, {"name": "veth1"}, {"name": "eth0", "sandbox": "/run/netns/web"}],
    "ips": [
        {"address": "10.1.2.3/24", "gateway": "10.1.2.1"},
        {"address": "fd00::3/64", "gateway": "fd00::1"},
    ],
}


def pod(*mappings: dict[str, Any], interface: str = "eth0") -> cni_runtime.Pod:
    return cni_runtime.Pod("web", interface, {}, mappings)


class Host:
    """Plays the programs: remembers how they were called and answers from a script."""

    def __init__(self, folder: Path, failing: str = "", tentative: Sequence[str] = ()) -> None:
        self.failing = failing
        self.tentative = iter(tentative)
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        for name in ("bridge", "portmap"):
            (folder / name).write_text("")
            (folder / name).chmod(0o755)
        self.runtime = cni_runtime.Runtime(self.run, [str(folder)])

    def run(self, command: Sequence[str], text: str | None) -> tuple[int, str, str]:
        if command[0] != "env":
            self.calls.append(("ip", " ".join(command[1:3]), {}))
            return 0, next(self.tentative, "") if command[-1] == "tentative" else "", ""
        environment = dict(word.split("=", maxsplit=1) for word in command[1:-1])
        name = Path(command[-1]).name
        self.calls.append((environment["CNI_COMMAND"], name, json.loads(text or "{}")))
        if f"{environment['CNI_COMMAND']} {name}" == self.failing:
            return 1, json.dumps({"code": 11, "msg": "no address", "details": "range is full"}), ""
        return 0, json.dumps(RESULT if environment["CNI_COMMAND"] == "ADD" else {}), ""


def test_a_plugin_gets_version_name_previous_result_and_the_arguments_it_is_capable_of() -> None:
    bridge, portmap = CONFLIST["plugins"]
    assert cni_runtime.plugin_config(CONFLIST, bridge, pod(MAPPING), None) == {
        "cniVersion": "0.3.1",
        "name": "cbr0",
        "type": "bridge",
        "ipam": {"type": "host-local"},
    }
    assert cni_runtime.plugin_config(CONFLIST, portmap, pod(MAPPING), RESULT) == {
        "cniVersion": "0.3.1",
        "name": "cbr0",
        "type": "portmap",
        "runtimeConfig": {"portMappings": [MAPPING]},
        "prevResult": RESULT,
    }


def test_add_goes_forward_with_the_result_of_the_plugin_before(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.runtime.add(CONFLIST, pod()) == RESULT
    assert [call[:2] for call in host.calls] == [
        ("ip", "netns add"),
        ("ip", "-n web"),
        ("ADD", "bridge"),
        ("ADD", "portmap"),
        ("ip", "-6 -o"),
    ]
    assert "prevResult" not in host.calls[2][2]
    assert host.calls[3][2]["prevResult"] == RESULT


@pytest.mark.parametrize(
    ("tentative", "looks"),
    [
        ([""], 1),
        (["7: cni0    inet6 fd00::1/64 scope global tentative \\ valid_lft forever\n"] * 3, 4),
        (["7: cni0    inet6 fd00::1/64 scope global dadfailed tentative \\ valid_lft forever\n"] * 9, 1),
        (["7: cni0    inet6 fe80::1/64 scope link tentative \\ valid_lft forever\n"] * 9, 1),
        (["7: cni0    inet6 fd00::1/64 scope global tentative \\ valid_lft forever\n"] * 999, 50),
    ],
)
def test_add_waits_until_the_gateway_of_ipv6_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tentative: list[str], looks: int
) -> None:
    host, clock = Host(tmp_path, tentative=tentative), [0.0]
    monkeypatch.setattr(cni_runtime.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(cni_runtime.time, "sleep", lambda seconds: clock.append(clock.pop() + seconds))
    host.runtime.add(CONFLIST, pod())
    assert [call[:2] for call in host.calls].count(("ip", "-6 -o")) == pytest.approx(looks, abs=1 if looks > 9 else 0)


def test_a_pod_of_ipv4_alone_waits_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RESULT, "ips", RESULT["ips"][:1])
    host = Host(tmp_path)
    host.runtime.add(CONFLIST, pod())
    assert ("ip", "-6 -o") not in [call[:2] for call in host.calls]


def test_delete_goes_backward_with_the_result_of_add(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.runtime.delete(CONFLIST, pod(), RESULT)
    assert [call[:2] for call in host.calls] == [("DEL", "portmap"), ("DEL", "bridge")]
    assert all(call[2]["prevResult"] == RESULT for call in host.calls)


def test_a_failed_add_is_undone_and_told_in_the_words_of_the_plugin(tmp_path: Path) -> None:
    host = Host(tmp_path, failing="ADD portmap")
    with pytest.raises(PodnetError, match="portmap failed on ADD for the pod web: no address range is full"):
        host.runtime.add(CONFLIST, pod())
    assert [call[:2] for call in host.calls[-2:]] == [("DEL", "portmap"), ("DEL", "bridge")]


def test_a_missing_plugin_and_a_missing_capability_are_told_before_anything_runs(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (tmp_path / "portmap").unlink()
    with pytest.raises(InputError, match=r"portmap is in none of .*containernetworking-plugins"):
        host.runtime.require(CONFLIST, pod())
    with pytest.raises(InputError, match="has the capability portMappings"):
        host.runtime.require({**CONFLIST, "plugins": CONFLIST["plugins"][:1]}, pod(MAPPING))
    assert host.calls == []


@pytest.mark.parametrize(
    ("conflist", "supported"),
    [
        ({"cniVersion": "0.3.1"}, False),
        ({"cniVersion": "0.4.0"}, True),
        ({"cniVersion": "1.0.0"}, True),
        ({"cniVersion": "1.0.0", "disableCheck": True}, False),
        ({}, False),
    ],
)
def test_plugins_are_asked_to_check_from_version_0_4_0_on(conflist: dict[str, Any], supported: bool) -> None:
    assert cni_runtime.supports_check(conflist) is supported


def test_the_first_valid_file_is_taken_as_a_runtime_does(tmp_path: Path) -> None:
    (tmp_path / "05-broken.conflist").write_text("{")
    (tmp_path / "10-x.conflist").write_text(json.dumps(CONFLIST))
    (tmp_path / "20-y.conf").write_text(json.dumps({"cniVersion": "0.2.0", "name": "other", "type": "bridge"}))
    assert cni_runtime.find_conflist(str(tmp_path), None) == CONFLIST
    alone = cni_runtime.find_conflist("/nowhere", str(tmp_path / "20-y.conf"))
    assert (alone["name"], [plugin["type"] for plugin in alone["plugins"]]) == ("other", ["bridge"])


def test_without_a_valid_file_the_faults_are_listed(tmp_path: Path) -> None:
    (tmp_path / "05-broken.conflist").write_text("{")
    with pytest.raises(
        InputError, match=r"no valid CNI configuration in .*05-broken\.conflist: .*podnet\.cni\.overlay"
    ):
        cni_runtime.find_conflist(str(tmp_path), None)
    with pytest.raises(InputError, match=r"no valid CNI configuration /etc/cni/absent\.conf"):
        cni_runtime.find_conflist(str(tmp_path), "/etc/cni/absent.conf")


def test_addresses_and_host_interfaces_come_from_the_result() -> None:
    assert cni_runtime.addresses(RESULT) == ["10.1.2.3/24", "fd00::3/64"]
    assert cni_runtime.host_interfaces(RESULT) == ["cni0", "veth1"]


@pytest.mark.parametrize("name", ["", "-a", "a/b", "a b", "a" * 64, "."])
def test_a_name_that_no_plugin_accepts_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="name is"):
        cni_runtime.check_pod_name(name)


def test_ports_are_checked_and_turned_into_the_capability_argument() -> None:
    item = {"host_port": 8080, "container_port": 80, "protocol": "tcp", "host_ip": None}
    assert cni_runtime.port_mapping(item) == MAPPING
    assert cni_runtime.port_mapping({**item, "host_ip": "192.0.2.1"})["hostIP"] == "192.0.2.1"
    with pytest.raises(InputError, match="container_port is 70000"):
        cni_runtime.port_mapping({**item, "container_port": 70000})


def observed(**changes: Any) -> cni_pod.Observed:
    record = {"request": pod().request(), "conflist": CONFLIST, "result": RESULT}
    return cni_pod.Observed(**{"record": record, "namespace": True, "problem": "", **changes})


@pytest.mark.parametrize(
    ("present", "state", "actions"),
    [
        (True, observed(), []),
        (True, observed(record=None, namespace=False), ["create pod web"]),
        (True, observed(problem="it is down"), ["remove pod web: it is down", "create pod web"]),
        (False, observed(), ["remove pod web"]),
        (False, observed(namespace=False), ["remove pod web"]),
        (False, observed(record=None, namespace=False), []),
        (False, observed(record=None), []),
    ],
)
def test_the_plan_follows_from_what_is_there(present: bool, state: cni_pod.Observed, actions: list[str]) -> None:
    assert cni_pod.plan(pod(), present, state).actions("web") == actions


def test_another_request_makes_the_pod_anew() -> None:
    steps = cni_pod.plan(pod(MAPPING), True, observed())
    assert (steps.remove, steps.create, steps.why) == (True, True, "something else is asked for")


def test_a_namespace_of_somebody_else_is_left_alone() -> None:
    with pytest.raises(ConflictError, match="ip netns del web"):
        cni_pod.plan(pod(), True, observed(record=None))


def test_a_record_of_a_run_that_was_cut_off_is_undone_first(tmp_path: Path) -> None:
    host = Host(tmp_path)
    for text in ("{", json.dumps({"request": pod().request(), "conflist": CONFLIST, "result": None})):
        (tmp_path / "web.json").write_text(text)
        state = cni_pod.observe(host.runtime, str(tmp_path), pod())
        assert state.problem
        assert cni_pod.plan(pod(), True, state).remove


def test_a_pod_is_recorded_with_what_del_will_need(tmp_path: Path) -> None:
    host = Host(tmp_path)
    state = observed(record=None, namespace=False)
    steps = cni_pod.plan(pod(), True, state)
    record = cni_pod.apply(host.runtime, str(tmp_path), pod(), conflist=CONFLIST, observed=state, steps=steps)
    assert json.loads((tmp_path / "web.json").read_text()) == record
    described = cni_pod.describe(host.runtime, pod(), record)
    assert described is not None
    assert (described["address"], described["ipv6_address"]) == ("10.1.2.3", "fd00::3")

    changed = observed(record=record)
    gone = cni_pod.plan(pod(interface="net1"), False, changed)
    host.calls.clear()
    assert (
        cni_pod.apply(host.runtime, str(tmp_path), pod(interface="net1"), conflist={}, observed=changed, steps=gone)
        is None
    )
    assert [call[:2] for call in host.calls] == [("DEL", "portmap"), ("DEL", "bridge")]
    assert not (tmp_path / "web.json").exists()


def test_a_failed_add_leaves_no_record(tmp_path: Path) -> None:
    host = Host(tmp_path, failing="ADD bridge")
    state = observed(record=None, namespace=False)
    with pytest.raises(PodnetError):
        cni_pod.apply(
            host.runtime,
            str(tmp_path),
            pod(),
            conflist=CONFLIST,
            observed=state,
            steps=cni_pod.plan(pod(), True, state),
        )
    assert not (tmp_path / "web.json").exists()
