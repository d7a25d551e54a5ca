# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures reachability, loss, round trip and largest packet of many targets at once, by ping, TCP or UDP.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._probe import connect as connector
from ansible_collections.podnet.cni.plugins.module_utils._probe.connect import Attempt, Port

# Octets in front of the payload of an echo request: IP header (RFC 791, RFC 8200) and ICMP header (RFC 792, RFC 4443).
HEADERS = {4: 20 + 8, 6: 40 + 8}
# What every link has to carry (RFC 791, RFC 8200): the search for the largest packet starts there.
LEAST_MTU = {4: 68, 6: 1280}

_COUNTS = re.compile(r"(\d+) packets transmitted, (\d+) received")
_TIMES = re.compile(r"^rtt min/avg/max/mdev = ([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+) ms", re.MULTILINE)

# Where nothing was answered: seconds between further packets, and to wait for the answers of a way with much delay.
BRISK = 0.05
PATIENCE = 3.0
# A size that nobody answers is tried again with so many packets. Of a way that loses half of them, one in a thousand
# sizes is taken for too large.
TRIES = 10
# Seconds to wait for the answer to a size at least; four round trips where these take longer.
LEAST_WAIT = 0.3

# "local error: message too long, mtu=1500", "Frag needed and DF set (mtu = 1450)", "Packet too big: mtu=1400",
# and for IPv6 "mtu: 1500"
_NAMED_MTU = re.compile(r"mtu ?[=:] ?(\d+)")

# The arguments of ping in, exit status, standard output and standard error out.
Ping = Callable[[Sequence[str]], "tuple[int, str, str]"]

# What to reach, seconds to wait and payload in.
Connect = Callable[[Port, float, bytes], Attempt]

ICMP = "icmp"
PROTOCOLS = (ICMP, "tcp", "udp")
HOW = {
    connector.ACCEPTED: "the port took the connection",
    connector.REPLIED: "an answer came back",
    connector.REFUSED: "the port refused, so the packet came through",
}
EXPECTATIONS = ("any", "reachable", "unreachable")
OVER_IPV6 = " over IPv6"
"""What the name of a target ends in whose other target of that name has an address of IPv4."""


@dataclass(frozen=True)
class Target:
    """An address to reach and the name it is reported by; C(port) is 0 for ICMP. C(expect) is one of EXPECTATIONS.

    C(size) is the payload of its echo requests in octets, None for that of the settings. With C(search), the largest
    packet is searched for where none of that size is answered.
    """

    name: str
    address: str
    protocol: str = ICMP
    port: int = 0
    expect: str = "any"
    size: int | None = None
    search: bool = False

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4


@dataclass(frozen=True)
class Settings:
    """How to measure: packets per target, seconds between them and to wait, payload in octets, search limit or 0.

    C(payload) is what a UDP datagram carries, C(refusal_reaches) whether a port that refuses counts as reachable,
    C(parallel) the number of targets at a time, C(source_address) the address to come from or empty, C(insist) the
    number of further echo requests where none was answered.
    """

    count: int
    interval: float
    timeout: float
    size: int
    fragment: bool
    largest_up_to: int
    payload: bytes = b""
    refusal_reaches: bool = True
    parallel: int = 50
    source_address: str = ""
    insist: int = 0

    def size_for(self, target: Target) -> int:
        """The payload of the echo requests to it, in octets."""
        return self.size if target.size is None else target.size

    def source_for(self, target: Target) -> str:
        """The address to come from, or nothing where it is of the other family."""
        return self.source_address if (":" in self.source_address) == (target.version == 6) else ""


@dataclass(frozen=True)
class Tools:
    """What reaches a target: by ping, by port. Each thread that measures calls C(enter) first."""

    ping: Ping
    connect: Connect
    enter: Callable[[], None] | None = None


def parse_targets(items: Sequence[Mapping[str, Any]], expect: str = "any") -> list[Target]:
    """Return the targets; those without an expectation get C(expect).

    Raises InputError for an invalid address, for a missing or superfluous port, and for a name that is used
    twice.
    """
    targets: list[Target] = []
    names: set[str] = set()
    for index, item in enumerate(items):
        where = f"targets[{index}]"
        try:
            address = str(ipaddress.ip_address(item["address"]))
        except ValueError as error:
            raise InputError(f"{where}.address is {item['address']!r}. Give an IPv4 or IPv6 address.") from error
        protocol, port = item.get("protocol") or ICMP, item.get("port")
        if protocol == ICMP and port is not None:
            raise InputError(
                f"{where}.port is {port}, but ICMP has no ports. Leave it out, or give tcp or udp as protocol."
            )
        if protocol != ICMP and (port is None or not 1 <= port <= 65535):
            raise InputError(f"{where}.port is {port}. Give a port from 1 to 65535 for {protocol}.")
        size = item.get("size")
        if size is not None and (protocol != ICMP or size < 0):
            raise InputError(f"{where}.size is {size}. It is the payload of echo requests: give 0 or more, with icmp.")
        search = bool(item.get("search"))
        if search and protocol != ICMP:
            raise InputError(f"{where}.search is true, but only echo requests have a size. Leave it out, or give icmp.")
        target = Target("", address, protocol, port or 0, item.get("expect") or expect, size, search)
        target = replace(target, name=item["name"] or place(target))
        if target.name in names:
            raise InputError(f"{where}.name is {target.name!r}, which an earlier target has. Use each name once.")
        names.add(target.name)
        targets.append(target)
    return targets


def place(target: Target) -> str:
    """Address, port and protocol in one word; for ICMP the address alone."""
    if target.protocol == ICMP:
        return target.address
    address = f"[{target.address}]" if target.version == 6 else target.address
    return f"{address}:{target.port}/{target.protocol}"


def choose(targets: Sequence[Target], source: str, sample: int) -> list[Target]:
    """Return the targets that C(source) has to reach: all others, or with C(sample) the next ones in a ring.

    The ring goes by the order of the list. When all members use the same list, each reaches C(sample) others and is
    reached by as many.
    """
    return [targets[place] for place in _places([target.name for target in targets], source, sample)]


def shares(targets: Sequence[Mapping[str, Any]], sample: int) -> dict[str, list[Mapping[str, Any]]]:
    """Return what each of C(targets), the options of a module, has to reach of the others, by its name, as choose does.

    So one list of all members need not be handed to each of them. A member with an address of each family is there
    twice, and that of IPv6 gets a name of its own, with C(OVER_IPV6).
    """
    members: dict[str, list[Mapping[str, Any]]] = {}
    for target in targets:
        members.setdefault(str(target["name"]), []).append(target)
    names = list(members)
    told_apart = [_told_apart(name, own) for name, own in members.items()]
    return {name: [each for place in _places(names, name, sample) for each in told_apart[place]] for name in names}


def _told_apart(name: str, own: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if len(own) == 1:
        return list(own)
    return [{**each, "name": name + OVER_IPV6} if ":" in str(each["address"]) else each for each in own]


def _places(names: Sequence[str], source: str, sample: int) -> list[int]:
    others = [place for place, name in enumerate(names) if name != source]
    if not sample or sample >= len(others):
        return others
    if source not in names:
        raise InputError(
            f"source is {source!r}, which is not the name of a target. The ring of sample needs its place in the list."
        )
    start = names.index(source) + 1
    return [(start + step) % len(names) for step in range(sample)]


def parse(output: str) -> dict[str, Any]:
    """Return counts, loss in percent and round trips in milliseconds from what ping -q of iputils prints."""
    counts = _COUNTS.search(output)
    sent, received = (int(text) for text in counts.groups()) if counts else (0, 0)
    times = _TIMES.search(output)
    minimum, average, maximum = (float(text) for text in times.groups()[:3]) if times else (None, None, None)
    return {
        "sent": sent,
        "received": received,
        "loss": _loss(sent, received),
        "rtt_min": minimum,
        "rtt_avg": average,
        "rtt_max": maximum,
    }


def _loss(sent: int, received: int) -> float:
    return round(100 * (sent - received) / sent, 1) if sent else 100.0


def _together(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several results of parse() as one."""
    sent, received = sum(each["sent"] for each in rounds), sum(each["received"] for each in rounds)
    timed = [each for each in rounds if each["rtt_avg"] is not None]
    answered = sum(each["received"] for each in timed)
    return {
        "sent": sent,
        "received": received,
        "loss": _loss(sent, received),
        "rtt_min": min((each["rtt_min"] for each in timed), default=None),
        "rtt_avg": round(sum(each["rtt_avg"] * each["received"] for each in timed) / answered, 3) if answered else None,
        "rtt_max": max((each["rtt_max"] for each in timed), default=None),
    }


def largest_packet(target: Target, ping: Ping, settings: Settings) -> int:
    """Return the largest IP packet in octets, not fragmented, that is answered; 0 when not even the least is.

    The host or a router may name the MTU that is in the way: then the search continues there. A size that nobody
    complains about and nobody answers is tried again with many packets, so that a way that loses some does not spoil
    the result. How long to wait is learned from the answer to the least packet.
    """

    many = ["-c", str(TRIES), "-i", str(BRISK)]

    def ask(size: int, seconds: float, *often: str) -> tuple[int, str, str]:
        command = ["-M", "do", "-s", str(size - HEADERS[target.version]), "-W", str(seconds), *often]
        return ping([*command, *_origin(target, settings), target.address])

    def attempt(size: int, seconds: float) -> tuple[bool, int]:
        """Return whether the size was answered, and the MTU that a complaint named, or 0."""
        for often in (["-c", "1"], many):
            code, out, err = ask(size, seconds, *often)
            if code == 0:
                return True, 0
            named = _NAMED_MTU.search(out + err)
            if named:
                return False, int(named.group(1))
        return False, 0

    own = settings.size_for(target) + HEADERS[target.version]
    low, high = LEAST_MTU[target.version], settings.largest_up_to or own
    code, out, _err = ask(low, max(settings.timeout, PATIENCE), *many)
    if code or high < low:
        return 0
    rtt = parse(out)["rtt_max"]
    seconds = settings.timeout if rtt is None else max(LEAST_WAIT, round(rtt / 250, 3))
    size = high
    while low < high:
        answered, named = attempt(size, seconds)
        if answered:
            low = size
        elif low <= named < size:
            high = named
        else:
            high = size - 1
        size = high if named else (low + high + 1) // 2
    return low


def measure(source: str, target: Target, tools: Tools, settings: Settings) -> dict[str, Any]:
    """Measure one target and return the result as the module reports it, but for the verdict."""
    is_ping = target.protocol == ICMP
    result = by_ping(target, tools.ping, settings) if is_ping else by_port(target, tools.connect, settings)
    result.update(
        source=source,
        target=target.name,
        address=target.address,
        protocol=target.protocol,
        port=target.port or None,
        reachable=result["received"] > 0,
        expect=target.expect,
    )
    answered = result["reachable"]
    if is_ping and (settings.largest_up_to or (target.search and not answered)):
        searched = answered or target.search
        result["largest_packet"] = largest_packet(target, tools.ping, settings) if searched else 0
    return result


def by_ping(target: Target, ping: Ping, settings: Settings) -> dict[str, Any]:
    """Counts, loss and round trips of echo requests, the kind of answer, and ping's words when none came.

    On a bad way the few packets of a measurement may all be lost, or be answered late: where nothing came back and
    nobody said why, more of them follow. Where some came back, but slowly, those that did not may have been late: then
    only what is measured with more patience counts. A way that is silent at first and then answers may be one that
    loses packets, or one that has just come up: where it loses none of another round, that round alone counts.
    """
    command = ["-s", str(settings.size_for(target)), "-M", "dont" if settings.fragment else "do"]
    command += _origin(target, settings)

    def send(count: int, interval: float, seconds: float) -> tuple[int, str, str]:
        often = ["-q", "-c", str(count), "-i", str(interval), "-W", str(seconds)]
        return ping([*often, *command, target.address])

    _code, out, err = send(settings.count, settings.interval, settings.timeout)
    result = parse(out)
    reason = err.strip().splitlines()
    patience = max(settings.timeout, PATIENCE)

    def slow(found: Mapping[str, Any]) -> bool:
        return (found["rtt_max"] or 0) > 500 * settings.timeout

    if result["sent"] and not result["received"] and not reason and settings.insist:
        rounds = [result, parse(send(settings.insist, BRISK, patience)[1])]
        if rounds[1]["received"]:
            rounds.append(parse(send(settings.insist, BRISK, patience)[1]))
            first = 2 if not rounds[2]["loss"] else 1 if slow(rounds[1]) else 0
            rounds = rounds[first:]
        result = _together(rounds)
    elif result["loss"] and slow(result) and settings.insist:
        result = parse(send(settings.count, settings.interval, patience)[1])
    result["error"] = reason[-1] if reason and not result["received"] else ""
    silent = connector.FAILED if result["error"] else connector.NONE
    result["answer"] = connector.REPLIED if result["received"] else silent
    return result


def _origin(target: Target, settings: Settings) -> list[str]:
    """Arguments of ping for the address to come from."""
    source = settings.source_for(target)
    return ["-I", source] if source else []


def by_port(target: Target, connect: Connect, settings: Settings) -> dict[str, Any]:
    """The same of attempts to reach a TCP or UDP port."""
    port = Port(target.protocol, target.address, target.port, settings.source_for(target))
    attempts = []
    for number in range(settings.count):
        if number:
            time.sleep(settings.interval)
        attempts.append(connect(port, settings.timeout, settings.payload))
    return summarise(attempts, settings.refusal_reaches)


def summarise(attempts: Sequence[Attempt], refusal_reaches: bool) -> dict[str, Any]:
    """Counts, loss in percent and round trips in milliseconds; the answer is that of the attempt that got furthest."""
    furthest = [connector.ACCEPTED, connector.REPLIED, connector.REFUSED, connector.FAILED]
    reaching = furthest[: 3 if refusal_reaches else 2]
    times = [1000 * each.seconds for each in attempts if each.answer in reaching]
    answers = [each.answer for each in attempts]
    answer = next((each for each in furthest if each in answers), connector.NONE)
    return {
        "sent": len(attempts),
        "received": len(times),
        "loss": _loss(len(attempts), len(times)),
        "rtt_min": round(min(times), 3) if times else None,
        "rtt_avg": round(sum(times) / len(times), 3) if times else None,
        "rtt_max": round(max(times), 3) if times else None,
        "answer": answer,
        "error": next((each.error for each in attempts if each.answer == answer), "") if not times else "",
    }


def measure_all(source: str, targets: Sequence[Target], tools: Tools, settings: Settings) -> list[dict[str, Any]]:
    """Measure the targets, many at a time, and return the results in the order of the targets."""
    with ThreadPoolExecutor(max_workers=max(1, settings.parallel), initializer=tools.enter) as pool:
        return list(pool.map(lambda target: measure(source, target, tools, settings), targets))


def complaint(result: Mapping[str, Any], max_loss: float) -> str:
    """Return a sentence about a result that is not what its target expects, else nothing."""
    where = result["address"] + (f" {result['protocol']} port {result['port']}" if result["port"] else "")
    if result["expect"] == "unreachable" and result["reachable"]:
        return f"{result['source']} reaches {result['target']} ({where}), which it should not: {HOW[result['answer']]}"
    if result["expect"] == "reachable" and (not result["reachable"] or result["loss"] > max_loss):
        if not result["reachable"] and result.get("largest_packet"):
            largest = result["largest_packet"]
            return f"{result['source']} reaches {result['target']} ({where}) with packets of at most {largest} octets"
        because = f": {result['error']}" if result["error"] else ""
        return f"{result['source']} loses {result['loss']:g} % to {result['target']} ({where}){because}"
    return ""


def ping_runner(program: str) -> Ping:
    """Return a Ping that runs the program where the calling thread is. It may be used by several threads.

    No names are looked up (-n): a pod network often has no way to a name server.
    """

    def ping(arguments: Sequence[str]) -> tuple[int, str, str]:
        done = subprocess.run(
            [program, "-n", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return ping
