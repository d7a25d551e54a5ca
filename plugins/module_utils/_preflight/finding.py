# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check says, and how a check is declared.

Private to podnet.cni: may change in any release.

A check is a pure generator over gathered facts that yields verdicts; the decorator C(check) gives it an id, a severity
and a title, and makes it a function from facts to findings::

    @check("host.forwarding", "error", "The host forwards packets")
    def forwarding(facts, wanted):
        value = at(facts, "sysctls", "net.ipv4.ip_forward")
        if value is None:
            yield unknown("net.ipv4.ip_forward could not be read", "1")
        elif value == "1":
            yield ok("net.ipv4.ip_forward is 1", "1")
        else:
            yield failed(f"net.ipv4.ip_forward is {value}", "1", "Set it to 1 (role node does).")
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Iterable, Mapping

SEVERITIES = ("info", "warning", "error")
"""From harmless to grave."""

OK, FAILED, UNKNOWN, SKIPPED = STATUSES = ("ok", "failed", "unknown", "skipped")
"""As it should be; not so; the facts do not tell; the question does not arise here."""

SAMPLE = 3
"""So many subjects are named where many have the same fault."""


@dataclass(frozen=True)
class Finding:
    """What one check says of one subject.

    C(subject) is the name of a host, "cluster", or kind and name of an object like "Node/a". C(severity) is what the
    finding weighs if its status is failed; see STATUSES and SEVERITIES. C(seen) and C(expected) are for people,
    C(remedy) is empty unless there is something to do.
    """

    id: str
    subject: str
    status: str
    severity: str
    seen: str
    expected: str
    remedy: str


@dataclass(frozen=True)
class Verdict:
    """What a check yields. An empty subject is the one that the facts are of, an empty severity that of the check."""

    status: str
    seen: str
    expected: str = ""
    remedy: str = ""
    subject: str = ""
    severity: str = ""


Judge = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterable[Verdict]]


@dataclass(frozen=True)
class Check:
    """A check: called with facts and what is wanted, it returns its findings.

    The subject of findings that name none is C(facts["subject"]), or "cluster".
    """

    id: str
    severity: str
    title: str
    judge: Judge

    def __call__(self, facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Finding]:
        """Return a finding for each verdict; none when the check has nothing to say.

        What more than SAMPLE subjects have alike is one finding, with their number and a sample.
        """
        subject = str(facts.get("subject") or "cluster")
        # An API server that one host cannot reach may answer another one.
        if facts.get("asked_from"):
            subject = f"{subject}, asked from {facts['asked_from']}"
        return [
            Finding(
                self.id,
                verdict.subject or subject,
                verdict.status,
                verdict.severity or self.severity,
                verdict.seen,
                verdict.expected,
                verdict.remedy,
            )
            for verdict in alike(self.judge(facts, wanted))
        ]


def alike(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts, those of many subjects that say the same as one that names a few of them."""
    groups: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in verdicts:
        same = (verdict.status, verdict.seen, verdict.expected, verdict.remedy, verdict.severity)
        groups.setdefault(same, []).append(verdict)
    found = []
    for group in groups.values():
        if len(group) > SAMPLE:
            names = ", ".join(each.subject for each in group[:SAMPLE])
            seen = f"{len(group)} times: {group[0].seen} ({names} and {len(group) - SAMPLE} more)"
            found.append(replace(group[0], seen=seen, subject=""))
        else:
            found += group
    return found


def check(name: str, severity: str, title: str) -> Callable[[Judge], Check]:
    """Make a check of a judge. C(name) is its id, as in host.forwarding; C(title) says what holds when all is well."""
    if severity not in SEVERITIES:
        raise ValueError(f"severity {severity!r} of check {name} is not one of {', '.join(SEVERITIES)}")

    def declare(judge: Judge) -> Check:
        return Check(name, severity, title, judge)

    return declare


def ok(seen: str, expected: str = "", subject: str = "") -> Verdict:
    """Return the verdict that all is well."""
    return Verdict(OK, seen, expected, "", subject)


def failed(seen: str, expected: str, remedy: str, subject: str = "", severity: str = "") -> Verdict:
    """Return the verdict that something is to be done; C(severity) where it weighs other than the check."""
    return Verdict(FAILED, seen, expected, remedy, subject, severity)


def unknown(seen: str, expected: str = "", remedy: str = "", subject: str = "") -> Verdict:
    """Return the verdict that the facts do not tell; C(seen) says what is missing, C(remedy) how to find out."""
    return Verdict(UNKNOWN, seen, expected, remedy, subject)


def skipped(seen: str, subject: str = "") -> Verdict:
    """Return the verdict that the question does not arise; C(seen) says why."""
    return Verdict(SKIPPED, seen, "", "", subject)


def rank(severity: str) -> int:
    """Return the place of a severity in the order of SEVERITIES."""
    return SEVERITIES.index(severity)
