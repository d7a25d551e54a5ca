# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""flannel's device and routes on one node around a restart of its owner's service: what is in the way, what is there.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._distributions import node_files, redact
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, overhead
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

Facts = Mapping[str, Any]

SUBNET_FILE = "/run/flannel/subnet.env"
BRIDGE = "cni0"
_SHOWN = 8
"""So many of the lines that were read of a log are shown with what is wrong."""
TRIES = 3
"""A service that systemd has restarted so often does not come up by itself."""

_FLANNELS = re.compile(r"flannel\.\d+|flannel-v6\.\d+|flannel-wg|flannel-wg-v6")
_IP = "install iproute2"
_SYSTEMD = "this needs systemd"


def leftovers(
    links: Sequence[Facts], routes: Sequence[Facts], network: Sequence[str], backend: str, keep: str = ""
) -> list[list[str]]:
    """The commands that take away what would be in the way of a network with this backend; no I/O.

    C(links) and C(routes) are what C(ip -j) prints. All of flannel's links go, since a daemon keeps one that is there
    whatever its MTU. A route to another node's pods over the underlay is narrower than wireguard's one for all, and
    would win: traffic would stay in the clear (https://github.com/rancher/rke2/issues/9338). C(keep) names a link that
    is in use already.
    """
    found = []
    gone = set()
    for link in links:
        name = fields.text(link, "ifname")
        if _FLANNELS.fullmatch(name) and (not keep or name not in (keep, _of_ipv6(keep))):
            gone.add(name)
            found.append(["ip", "link", "delete", name])
    ranges = [addresses.parse_cidr(each) for each in network]
    for route in routes:
        device = fields.text(route, "dev")
        if backend == "host-gw" or device in gone or not fields.text(route, "gateway"):
            continue
        target = _range(fields.text(route, "dst"))
        if target is not None and any(_inside(target, each) for each in ranges):
            family = "-6" if target.version == 6 else "-4"
            found.append(["ip", family, "route", "delete", str(target), "dev", device])
    return found


def _inside(inner: Any, outer: Any) -> bool:
    return bool(inner.version == outer.version and inner != outer and inner.subnet_of(outer))


def _range(text: str) -> Any:
    try:
        return addresses.parse_cidr(text if "/" in text else f"{text}/{128 if ':' in text else 32}")
    except ValueError:
        return None


def _links(run: Run) -> list[Facts]:
    return list(json.loads(checked(run, ["ip", "-d", "-j", "link", "show"], missing=_IP) or "[]"))


def _routes(run: Run) -> list[Facts]:
    found: list[Facts] = []
    for family in ("-4", "-6"):
        text = checked(run, ["ip", family, "-j", "route", "show", "table", "main"], missing=_IP)
        found += json.loads(text or "[]")
    return found


def restart(run: Run, unit: str, *, renew: bool, network: Sequence[str], backend: str, check: bool) -> dict[str, Any]:
    """Restart a service without waiting for it; with C(renew) what is in the way goes while it is down.

    That is done once for a change that C(node_files) has begun. Returns when, in seconds since 1970, 0 for not at all,
    and what was removed. Raises PodnetError where systemd or the kernel refuses.
    """
    before = node_files.restarted()
    if before != 0:
        return {"changed": False, "since": before or 0.0, "removed": []}
    if check:
        return {"changed": True, "since": 0.0, "removed": []}
    removed: list[str] = []
    if renew:
        checked(run, ["systemctl", "stop", unit], missing=_SYSTEMD)
        for command in leftovers(_links(run), _routes(run), network, backend):
            checked(run, command, missing=_IP)
            removed.append(" ".join(command[1:]))
    started = time.time()
    verb = "start" if renew else "restart"
    checked(run, ["systemctl", "--no-block", verb, unit], missing=_SYSTEMD)
    node_files.note_restart(started)
    return {"changed": True, "since": started, "removed": removed}


def clear(run: Run, *, network: Sequence[str], backend: str, keep: str, check: bool) -> dict[str, Any]:
    """Remove what a former network left while the new one is at work over the link C(keep). Raises PodnetError."""
    if backend != "host-gw" and not keep:
        raise PodnetError(f"the link of {backend} is not known, and so nothing is removed")
    commands = leftovers(_links(run), _routes(run), network, backend, keep)
    for command in commands if not check else []:
        checked(run, command, missing=_IP)
    removed = [" ".join(command[1:]) for command in commands]
    return {"changed": bool(removed), "since": 0.0, "removed": removed}


def look(run: Run, question: Facts) -> dict[str, Any]:
    """What a node shows of its network, and what of that is not as expected.

    C(question) has C(unit) (empty for none), C(since), a time, C(subnet_file) whether the owner writes one, C(expect),
    C(peers), the ranges of pods of other nodes, and C(journal_lines). C(broken) tells that waiting does not help, and
    C(msg), for whoever waits in vain, says all of it.
    """
    problems: list[str] = []
    broken = False
    unit = fields.text(question, "unit")
    if unit:
        said, broken = _service(run, unit)
        problems += [said] if said else []
    since = float(question.get("since") or 0)
    if question.get("subnet_file") is True and since and _age(SUBNET_FILE) < since:
        problems.append(f"{SUBNET_FILE} is not there, or from before the restart: flannel has not come up")
    links = {fields.text(link, "ifname"): link for link in _links(run)}
    expect = fields.mapping(question, "expect")
    problems += device_problems(links, expect)
    ways = []
    for peer in fields.sequence(question, "peers"):
        way = _way(run, str(peer))
        ways.append(way)
        said = way_problem(way, expect)
        problems += [said] if said else []
    lines = fields.number(question, "journal_lines")
    journal = _journal(run, unit, lines) if unit and lines else []
    logged = f". The last lines of {unit}'s log: {' | '.join(journal[-_SHOWN:])}" if journal else ""
    return {
        **({"msg": f"{'; '.join(problems)}{logged}"} if problems else {}),
        "problems": problems,
        "broken": broken,
        "devices": sorted(name for name in links if _FLANNELS.fullmatch(name)),
        "ways": ways,
        "journal": journal,
    }


def _service(run: Run, unit: str) -> tuple[str, bool]:
    """What is wrong with a service, empty for nothing, and whether waiting is in vain."""
    text = checked(run, ["systemctl", "show", unit, "-p", "ActiveState,SubState,NRestarts,Result"], missing=_SYSTEMD)
    values = dict(line.partition("=")[::2] for line in text.splitlines())
    state, tries = values.get("ActiveState", ""), values.get("NRestarts", "0")
    if state == "active":
        return "", False
    broken = state == "failed" or (tries.isdigit() and int(tries) >= TRIES)
    return f"{unit} is {state} ({values.get('SubState', '')}), systemd has restarted it {tries} times", broken


def _age(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def device_problems(links: Mapping[str, Facts], expect: Facts) -> list[str]:
    """What is wrong with flannel's links, which C(links) has by name, for what is expected; no I/O."""
    name, kind = fields.text(expect, "device"), fields.text(expect, "backend")
    others = sorted(each for each in links if _FLANNELS.fullmatch(each) and each not in (name, _of_ipv6(name)))
    problems = [f"{each} is still there, and its routes may win" for each in others]
    if not name:
        return problems
    link = links.get(name)
    if link is None:
        return [*problems, f"{name} is not there"]
    found = fields.text(link, "linkinfo", "info_kind")
    if found != kind:
        return [*problems, f"{name} is a link of kind {found}, not {kind}"]
    mtu, wanted = fields.number(link, "mtu"), fields.number(expect, "mtu")
    if wanted and mtu != wanted - overhead.RESERVED.get(kind, 0):
        problems.append(f"{name} has MTU {mtu}, not {wanted - overhead.RESERVED.get(kind, 0)}")
    for key, member in (("vni", "id"), ("port", "port")):
        value, wanted = fields.number(link, "linkinfo", "info_data", member), fields.number(expect, key)
        if wanted and value != wanted:
            problems.append(f"{name} has {key} {value}, not {wanted}")
    return problems


def _of_ipv6(name: str) -> str:
    return name.replace("flannel.", "flannel-v6.") if "." in name else f"{name}-v6"


def _way(run: Run, peer: str) -> dict[str, Any]:
    """The way of a packet to a pod of another node: C(peer), C(address), C(dev) and C(gateway), empty for no way."""
    try:
        target = addresses.parse_cidr(peer)
    except ValueError as error:
        raise PodnetError(f"{peer} is not a range of pods: {error}") from error
    address = str(target.network_address + 2)
    family = "-6" if target.version == 6 else "-4"
    code, out, _error = run(["ip", family, "-j", "route", "get", address], None)
    routes = json.loads(out or "[]") if code == 0 else []
    # Without a route of its own a packet takes the default route, over the same link as one of host-gw.
    own = json.loads(
        checked(run, ["ip", family, "-j", "route", "show", "table", "main", "match", address], missing=_IP) or "[]"
    )
    narrow = [each for each in own if each.get("dst") != "default"]
    first = routes[0] if routes and narrow else {}
    return {
        "peer": peer,
        "address": address,
        "dev": fields.text(first, "dev"),
        "gateway": fields.text(first, "gateway"),
    }


def way_problem(way: Facts, expect: Facts) -> str:
    """What is wrong with a way, for what is expected; empty for nothing. No I/O."""
    device, name = fields.text(way, "dev"), fields.text(expect, "device")
    if not device:
        return f"no route leads to the pods of {way.get('peer')}"
    if name and device not in (name, _of_ipv6(name)) and not (expect.get("direct") is True and way.get("gateway")):
        return f"packets to {way.get('address')} leave over {device}, not over {name}"
    if not name and (_FLANNELS.fullmatch(device) or device == BRIDGE):
        return f"packets to {way.get('address')} leave over {device}, not over the underlay"
    return ""


def _journal(run: Run, unit: str, lines: int) -> list[str]:
    """The last lines that a service has logged, without secrets."""
    try:
        code, out, _error = run(["journalctl", "-u", unit, "-n", str(lines), "-o", "cat", "--no-pager"], None)
    except FileNotFoundError:
        return []
    return redact.words(out).splitlines() if code == 0 else []
