# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The probe against a ping that is played: which targets, what is read from its output, how the search goes."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._probe import connect, measure

SETTINGS = measure.Settings(3, 0.2, 1.0, 56, False, 9216)
FOUR = measure.Target("four", "192.0.2.7")
SIX = measure.Target("six", "2001:db8::7")

# What ping of iputils 20221126 prints with -q.
GOOD = """PING 192.0.2.7 (192.0.2.7) 56(84) bytes of data.

--- 192.0.2.7 ping statistics ---
3 packets transmitted, 2 received, 33.3333% packet loss, time 402ms
rtt min/avg/max/mdev = 0.045/0.051/0.057/0.006 ms
"""
SILENT = """PING 192.0.2.7 (192.0.2.7) 56(84) bytes of data.

--- 192.0.2.7 ping statistics ---
3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 402ms
"""


def never(*_arguments: Any) -> Any:
    raise AssertionError("this way is not asked for")


def targets(*names: str) -> list[measure.Target]:
    return [measure.Target(name, f"192.0.2.{index}") for index, name in enumerate(names)]


def test_output_of_ping_becomes_numbers() -> None:
    assert measure.parse(GOOD) == {
        "sent": 3,
        "received": 2,
        "loss": 33.3,
        "rtt_min": 0.045,
        "rtt_avg": 0.051,
        "rtt_max": 0.057,
    }
    silent = measure.parse(SILENT)
    assert (silent["loss"], silent["rtt_avg"]) == (100.0, None)


def test_a_ping_that_did_not_start_lost_everything_and_its_words_are_kept() -> None:
    tools = measure.Tools(lambda _arguments: (2, "", "ping: connect: Network is unreachable\n"), never)
    result = measure.measure("a", FOUR, tools, SETTINGS)
    assert (result["reachable"], result["sent"], result["loss"]) == (False, 0, 100.0)
    assert result["error"] == "ping: connect: Network is unreachable"
    assert result["largest_packet"] == 0 and result["answer"] == "failed"


def test_the_source_itself_is_left_out() -> None:
    assert measure.choose(targets("a", "b", "c"), "b", 0) == [targets("a", "b", "c")[index] for index in (0, 2)]
    assert len(measure.choose(targets("a", "b"), "elsewhere", 0)) == 2


@given(st.integers(1, 40), st.integers(1, 10))
def test_in_a_ring_each_reaches_and_is_reached_equally_often(members: int, sample: int) -> None:
    ring = targets(*(f"n{number}" for number in range(members)))
    reached = [target.name for member in ring for target in measure.choose(ring, member.name, sample)]
    expected = min(sample, members - 1)
    assert all(reached.count(member.name) == expected for member in ring)
    assert all(member not in measure.choose(ring, member.name, sample) for member in ring)


def test_a_ring_needs_the_place_of_the_source() -> None:
    with pytest.raises(InputError, match="source is 'x', which is not the name of a target"):
        measure.choose(targets("a", "b", "c"), "x", 1)


@given(st.integers(0, 12), st.integers(0, 5))
def test_the_share_of_each_is_what_it_would_choose(members: int, sample: int) -> None:
    names = [f"n{number}" for number in range(members)]
    items = [{"name": name, "address": f"192.0.2.{number}"} for number, name in enumerate(names)]
    shares = measure.shares(items, sample)
    assert list(shares) == names
    for name, share in shares.items():
        chosen = measure.choose(targets(*names), name, sample)
        assert [(each["name"], each["address"]) for each in share] == [(one.name, one.address) for one in chosen]


def test_a_member_with_both_families_is_one_member() -> None:
    both = [{"name": name, "address": address} for name in "abc" for address in (f"192.0.2.{ord(name)}", f"::{name}")]
    shares = measure.shares([*both, {"name": "d", "address": "::d"}], 2)
    assert {name: [each["name"] for each in share] for name, share in shares.items()} == {
        "a": ["b", "b over IPv6", "c", "c over IPv6"],
        "b": ["c", "c over IPv6", "d"],
        "c": ["d", "a", "a over IPv6"],
        "d": ["a", "a over IPv6", "b", "b over IPv6"],
    }
    for share in shares.values():
        measure.parse_targets([{**each, "expect": None} for each in share])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([{"address": "10.0.0.256", "name": None}], r"targets\[0\]\.address is '10\.0\.0\.256'"),
        ([{"address": "::1", "name": "a"}, {"address": "::2", "name": "a"}], r"targets\[1\]\.name is 'a'"),
        ([{"address": "::1", "name": None}, {"address": "0::1", "name": None}], r"targets\[1\]\.name is '::1'"),
    ],
)
def test_wrong_targets_are_named(items: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure.parse_targets(items)


class Path:
    """A way with an MTU. It complains with C(complaint) about what is larger, or is silent, and drops some packets."""

    def __init__(self, version: int, mtu: int, complaint: str = "", drop: Sequence[int] = ()) -> None:
        self.version = version
        self.mtu = mtu
        self.complaint = complaint
        self.drop = set(drop)
        self.sizes: list[int] = []

    def __call__(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        size = int(arguments[list(arguments).index("-s") + 1]) + measure.HEADERS[self.version]
        self.sizes.append(size)
        if len(self.sizes) in self.drop:
            return 1, "", ""
        return (0, "", "") if size <= self.mtu else (1, "", self.complaint.format(mtu=self.mtu))


@given(st.integers(68, 9300), st.booleans())
def test_the_largest_packet_is_the_mtu_of_the_way(mtu: int, silent: bool) -> None:
    way = Path(4, mtu, "" if silent else "ping: local error: message too long, mtu={mtu}")
    assert measure.largest_packet(FOUR, way, SETTINGS) == min(mtu, 9216)
    if not silent:
        assert len(way.sizes) <= 3


@pytest.mark.parametrize(
    "complaint",
    [
        "ping: local error: message too long, mtu: {mtu}",
        "From 2001:db8::1 icmp_seq=1 Packet too big: mtu={mtu}",
        "From 10.0.0.1 icmp_seq=1 Frag needed and DF set (mtu = {mtu})",
    ],
)
def test_a_complaint_names_the_mtu(complaint: str) -> None:
    way = Path(6, 1420, complaint)
    assert measure.largest_packet(SIX, way, SETTINGS) == 1420
    assert way.sizes == [1280, 9216, 1420]


def test_a_link_with_the_least_mtu_carries_that() -> None:
    least = replace(SETTINGS, largest_up_to=1280)
    assert measure.largest_packet(SIX, Path(6, 1280), least) == 1280
    assert measure.largest_packet(SIX, Path(6, 1279), least) == 0


class Bad:
    """A way that loses a share of the packets, carries no more than its MTU, says so to nobody, and has a delay."""

    def __init__(self, loss: float, mtu: int = 1500, delay: float = 0, seed: int = 0) -> None:
        self.loss, self.mtu, self.delay = loss, mtu, delay
        self.random = random.Random(seed)
        self.calls: list[Sequence[str]] = []

    def __call__(self, arguments: Sequence[str]) -> tuple[int, str, str]:
        self.calls.append(arguments)
        options = dict(zip(arguments, arguments[1:]))
        count, size = int(options["-c"]), int(options["-s"]) + measure.HEADERS[4]
        passes = size <= self.mtu and self.delay <= float(options["-W"])
        got = sum(self.random.random() >= self.loss for _each in range(count)) if passes else 0
        words = f"{count} packets transmitted, {got} received, {100 * (count - got) / count:g}% packet loss"
        times = 1000 * self.delay
        if got:
            words += f"\nrtt min/avg/max/mdev = {times}/{times}/{times}/0.0 ms\n"
        return (0 if got else 1), words, ""


@given(st.integers(0, 2**32), st.sampled_from([0.19, 0.51]), st.integers(1280, 1500))
@settings(derandomize=True)
def test_loss_is_not_taken_for_an_mtu(seed: int, loss: float, mtu: int) -> None:
    """Of links that lose 10 % and 30 % each way."""
    assert measure.largest_packet(FOUR, Bad(loss, mtu, seed=seed), replace(SETTINGS, largest_up_to=1500)) == mtu


@pytest.mark.parametrize(("insist", "sent", "reached"), [(0, 3, False), (10, 23, True)])
def test_a_way_that_lost_the_first_packets_is_asked_again(insist: int, sent: int, reached: bool) -> None:
    # With this seed the first three are lost.
    way = Bad(0.6, seed=3)
    found = measure.measure("a", FOUR, measure.Tools(way, never), replace(SETTINGS, insist=insist, largest_up_to=0))
    assert (found["sent"], found["reachable"]) == (sent, reached)
    assert found["loss"] == round(100 * (sent - found["received"]) / sent, 1)
    assert len(way.calls) == (3 if insist else 1)


@pytest.mark.parametrize(("down", "calls", "sent", "loss"), [(3, 3, 10, 0.0), (7, 3, 10, 0.0), (13, 2, 13, 100.0)])
def test_a_way_that_comes_up_while_it_is_measured_loses_nothing(down: int, calls: int, sent: int, loss: float) -> None:
    """Nobody answers C(down) packets, and all from there on are answered."""
    seen: list[int] = []

    def ping(arguments: Sequence[str]) -> tuple[int, str, str]:
        count = int(arguments[arguments.index("-c") + 1])
        got = min(count, max(0, sum(seen) + count - down))
        seen.append(count)
        times = "rtt min/avg/max/mdev = 0.1/0.2/0.3/0.0 ms" if got else ""
        return 0, f"{count} packets transmitted, {got} received, x% packet loss, time 402ms\n{times}\n", ""

    found = measure.by_ping(SIX, ping, replace(SETTINGS, insist=10))
    assert (len(seen), found["sent"], found["loss"]) == (calls, sent, loss)


def test_rounds_are_taken_together_with_their_times() -> None:
    """A way that goes on losing packets after it was silent counts with all that was sent."""
    rounds = iter(((3, 0, ""), (10, 2, "1.0/2.0/3.0/0.1"), (10, 6, "0.5/1.0/4.0/0.1")))

    def ping(_arguments: Sequence[str]) -> tuple[int, str, str]:
        sent, got, times = next(rounds)
        words = f"\nrtt min/avg/max/mdev = {times} ms\n" if times else "\n"
        return 0, f"{sent} packets transmitted, {got} received, x% packet loss, time 402ms{words}", ""

    found = measure.by_ping(FOUR, ping, replace(SETTINGS, insist=10))
    assert (found["sent"], found["received"], found["loss"]) == (23, 8, 65.2)
    assert (found["rtt_min"], found["rtt_avg"], found["rtt_max"]) == (0.5, 1.25, 4.0)


def test_a_way_with_much_delay_is_slow_and_not_cut() -> None:
    way = Bad(0, delay=2.0)
    found = measure.measure("a", FOUR, measure.Tools(way, never), replace(SETTINGS, insist=10))
    assert (found["reachable"], found["rtt_avg"], found["largest_packet"]) == (True, 2000.0, 1500)
    assert (found["sent"], found["loss"]) == (10, 0.0), "those that nobody waited for long enough are not lost"


@pytest.mark.parametrize(("insist", "rtt", "loss"), [(10, 700, 0.0), (10, 100, 33.3), (0, 700, 33.3)])
def test_what_is_late_is_not_lost(insist: int, rtt: int, loss: float) -> None:
    """Two of three came back in time, and the third one does when there is more of it."""

    def ping(arguments: Sequence[str]) -> tuple[int, str, str]:
        got = 3 if "3.0" in arguments else 2
        words = f"3 packets transmitted, {got} received, x% packet loss, time 402ms"
        return 0, f"{words}\nrtt min/avg/max/mdev = {rtt}.0/{rtt}.0/{rtt}.0/0.0 ms\n", ""

    found = measure.by_ping(FOUR, ping, replace(SETTINGS, insist=insist))
    assert (found["sent"], found["loss"]) == (3, loss)


def test_who_said_that_there_is_no_way_is_not_asked_again() -> None:
    calls = []

    def ping(arguments: Sequence[str]) -> tuple[int, str, str]:
        calls.append(arguments)
        return 1, SILENT, "ping: sendmsg: Operation not permitted\n"

    found = measure.by_ping(FOUR, ping, replace(SETTINGS, insist=10))
    assert len(calls) == 1 and found["answer"] == "failed"


def test_the_largest_packet_is_named_where_those_of_a_size_do_not_pass() -> None:
    one = measure.Target("one", "192.0.2.7", size=1422, search=True)
    how = replace(SETTINGS, largest_up_to=0, insist=10)
    found = measure.measure("a", one, measure.Tools(Bad(0, 1280), never), how)
    assert (found["reachable"], found["loss"], found["largest_packet"]) == (False, 100.0, 1280)
    words = measure.complaint({**found, "expect": "reachable"}, 0)
    assert words == "a reaches one (192.0.2.7) with packets of at most 1280 octets"
    assert "largest_packet" not in measure.measure("a", one, measure.Tools(Bad(0), never), how)
    dead = measure.measure("a", one, measure.Tools(Bad(1), never), how)
    assert dead["largest_packet"] == 0
    assert measure.complaint({**dead, "expect": "reachable"}, 0) == "a loses 100 % to one (192.0.2.7)"


def test_one_lost_packet_does_not_spoil_the_search() -> None:
    assert measure.largest_packet(FOUR, Path(4, 1450, drop=[2, 5, 9]), SETTINGS) == 1450


def test_a_complaint_that_cannot_be_true_does_not_stop_the_search() -> None:
    assert measure.largest_packet(FOUR, Path(4, 1450, "mtu=0"), SETTINGS) == 1450
    assert measure.largest_packet(FOUR, Path(4, 1450, "mtu=99999"), SETTINGS) == 1450


def test_results_come_in_the_order_of_the_targets() -> None:
    many = targets(*(f"n{number}" for number in range(20)))
    how = measure.Settings(3, 0.2, 1.0, 56, False, 0, parallel=7)
    entered: list[int] = []
    tools = measure.Tools(lambda _arguments: (0, GOOD, ""), never, lambda: entered.append(1))
    results = measure.measure_all("x", many, tools, how)
    assert [result["target"] for result in results] == [target.name for target in many]
    assert "largest_packet" not in results[0]
    assert 1 <= len(entered) <= 7


def result(expect: str, **more: Any) -> dict[str, Any]:
    good = {"source": "a", "target": "b", "address": "192.0.2.1", "protocol": "icmp", "port": None, "error": ""}
    return {**good, "reachable": True, "loss": 10.0, "answer": "replied", "expect": expect, **more}


BAD = {"reachable": False, "loss": 100.0, "error": "No route", "answer": "failed"}
TCP = {"protocol": "tcp", "port": 80, "loss": 0.0}


@pytest.mark.parametrize(
    ("probe", "max_loss", "words"),
    [
        (result("any"), 0, ""),
        (result("any", **BAD), 0, ""),
        (result("reachable"), 20, ""),
        (result("reachable"), 0, "a loses 10 % to b (192.0.2.1)"),
        (result("reachable", **BAD), 20, "a loses 100 % to b (192.0.2.1): No route"),
        (result("unreachable", **BAD), 0, ""),
        (result("unreachable"), 0, "a reaches b (192.0.2.1), which it should not: an answer came back"),
        (
            result("unreachable", **TCP, answer="accepted"),
            0,
            "a reaches b (192.0.2.1 tcp port 80), which it should not: the port took the connection",
        ),
        (
            result("unreachable", **TCP, answer="refused"),
            0,
            "a reaches b (192.0.2.1 tcp port 80), which it should not: the port refused, so the packet came through",
        ),
    ],
)
def test_what_is_not_as_expected_is_told(probe: dict[str, Any], max_loss: float, words: str) -> None:
    assert measure.complaint(probe, max_loss) == words


def test_targets_carry_protocol_port_and_expectation() -> None:
    found = measure.parse_targets(
        [
            {"address": "192.0.2.1", "name": None, "protocol": "tcp", "port": 80, "expect": None},
            {"address": "2001:db8:0::1", "name": None, "protocol": "udp", "port": 53, "expect": "unreachable"},
            {"address": "192.0.2.1", "name": None},
        ],
        "reachable",
    )
    assert [each.name for each in found] == ["192.0.2.1:80/tcp", "[2001:db8::1]:53/udp", "192.0.2.1"]
    assert [each.expect for each in found] == ["reachable", "unreachable", "reachable"]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"protocol": "icmp", "port": 80}, r"targets\[0\]\.port is 80, but ICMP has no ports"),
        ({"protocol": "tcp", "port": None}, r"targets\[0\]\.port is None\. Give a port from 1 to 65535 for tcp"),
        ({"protocol": "udp", "port": 65536}, r"targets\[0\]\.port is 65536"),
    ],
)
def test_wrong_ports_are_named(item: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure.parse_targets([{"address": "192.0.2.1", "name": None, **item}])


@pytest.mark.parametrize(("target", "origin"), [(FOUR, ["-I", "192.0.2.1"]), (SIX, [])])
def test_packets_come_from_the_address_of_the_source(target: measure.Target, origin: list[str]) -> None:
    asked: list[Sequence[str]] = []

    def ping(arguments: Sequence[str]) -> tuple[int, str, str]:
        asked.append(arguments)
        return 0, GOOD, ""

    how = measure.Settings(1, 0, 0.5, 56, False, 1500, source_address="192.0.2.1")
    measure.measure("a", target, measure.Tools(ping, never), how)
    assert len(asked) > 1
    assert all([word for word in arguments if word in ("-I", "192.0.2.1")] == origin for arguments in asked)


def attempts(*answers: str) -> list[measure.Attempt]:
    return [
        measure.Attempt(answer, 0.001 * number, "" if answer == "none" else answer)
        for number, answer in enumerate(answers, 1)
    ]


def test_the_answer_that_got_furthest_counts() -> None:
    some = measure.summarise(attempts("none", "accepted", "refused", "accepted"), True)
    assert (some["answer"], some["sent"], some["received"], some["loss"]) == ("accepted", 4, 3, 25.0)
    assert (some["rtt_min"], some["rtt_avg"], some["rtt_max"], some["error"]) == (2.0, 3.0, 4.0, "")
    closed = measure.summarise(attempts("none", "refused"), False)
    assert (closed["answer"], closed["received"], closed["rtt_avg"], closed["error"]) == ("refused", 0, None, "refused")
    assert measure.summarise(attempts("failed", "none"), True)["error"] == "failed"
    assert measure.summarise(attempts("none"), True)["answer"] == "none"


@given(st.lists(st.sampled_from(["accepted", "replied", "refused", "failed", "none"]), min_size=1), st.booleans())
def test_counts_agree_with_the_answer(answers: list[str], refusal: bool) -> None:
    found = measure.summarise(attempts(*answers), refusal)
    reaching = {"accepted", "replied"} | ({"refused"} if refusal else set())
    assert found["received"] == sum(answer in reaching for answer in answers)
    assert (found["answer"] in reaching) == (found["received"] > 0)
    assert found["answer"] in answers


def test_a_port_is_tried_as_often_as_asked_with_the_payload() -> None:
    asked: list[Any] = []

    def connect(port: measure.Port, timeout: float, payload: bytes) -> measure.Attempt:
        asked.append((port, timeout, payload))
        return measure.Attempt("replied", 0.001)

    how = measure.Settings(2, 0, 0.5, 56, False, 9216, b"\x00?", source_address="192.0.2.1")
    target = measure.Target("dns", "192.0.2.7", "udp", 53)
    found = measure.measure("a", target, measure.Tools(never, connect), how)
    assert asked == [(measure.Port("udp", "192.0.2.7", 53, "192.0.2.1"), 0.5, b"\x00?")] * 2
    assert (found["protocol"], found["port"], found["reachable"]) == ("udp", 53, True)
    assert "largest_packet" not in found


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (TimeoutError("timed out"), "none"),
        (socket.timeout("timed out"), "none"),
        (OSError(errno.ETIMEDOUT, "x"), "none"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "refused"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "failed"),
        (PermissionError(errno.EPERM, "x"), "failed"),
    ],
)
def test_an_error_says_what_became_of_the_way(error: OSError, answer: str) -> None:
    assert connect.answer_of(error) == answer


def test_a_target_may_have_a_size_of_its_own() -> None:
    items = [{"address": "192.0.2.7", "name": "small"}, {"address": "192.0.2.7", "name": "large", "size": 1422}]
    sizes = []

    def ping(arguments: Sequence[str]) -> tuple[int, str, str]:
        sizes.append(arguments[arguments.index("-s") + 1])
        return 0, GOOD, ""

    for target in measure.parse_targets([{"name": None, **item} for item in items]):
        measure.by_ping(target, ping, SETTINGS)
    assert sizes == ["56", "1422"]


@pytest.mark.parametrize("item", [{"search": True, "protocol": "tcp", "port": 80}])
def test_only_echo_requests_have_a_size_to_search_for(item: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"targets\[0\]\.search is true"):
        measure.parse_targets([{"address": "192.0.2.1", "name": None, **item}])


@pytest.mark.parametrize("item", [{"size": -1}, {"size": 100, "protocol": "tcp", "port": 80}])
def test_a_size_is_that_of_an_echo_request(item: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="size"):
        measure.parse_targets([{"address": "192.0.2.1", "name": None, **item}])
