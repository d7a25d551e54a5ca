# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check says, and how a check is declared.

Private to podnet.cni: may change in any release.

A check is a pure generator over gathered facts that yields verdicts; the decorator ``check`` gives it an id, a severity
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

from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping

SEVERITIES = ("info", "warning", "error")
"""From harmless to grave."""

OK, FAILED, UNKNOWN, SKIPPED = STATUSES = ("ok", "failed", "unknown", "skipped")
"""As it should be; not so; the facts do not tell; the question does not arise here."""


@dataclass(frozen=True)
class Finding:
    """What one check says of one subject.

    ``subject`` is the name of a host, "cluster", or kind and name of an object like "Node/a". ``severity`` is what the
    finding weighs if its status is failed; see STATUSES and SEVERITIES. ``seen`` and ``expected`` are for people,
    ``remedy`` is empty unless there is something to do.
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

    The subject of findings that name none is ``facts["subject"]``, or "cluster".
    """

    id: str
    severity: str
    title: str
    judge: Judge

    def __call__(self, facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Finding]:
        """Return a finding for each verdict; none when the check has nothing to say."""
        subject = str(facts.get("subject") or "cluster")
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
            for verdict in self.judge(facts, wanted)
        ]


def check(name: str, severity: str, title: str) -> Callable[[Judge], Check]:
    """Make a check of a judge. *name* is its id, as in host.forwarding; *title* says what holds when all is well."""
    if severity not in SEVERITIES:
        raise ValueError(f"severity {severity!r} of check {name} is none of {', '.join(SEVERITIES)}")

    def declare(judge: Judge) -> Check:
        return Check(name, severity, title, judge)

    return declare


def ok(seen: str, expected: str = "", subject: str = "") -> Verdict:
    """Return the verdict that all is well."""
    return Verdict(OK, seen, expected, "", subject)


def failed(seen: str, expected: str, remedy: str, subject: str = "", severity: str = "") -> Verdict:
    """Return the verdict that something is to be done; *severity* where it weighs other than the check."""
    return Verdict(FAILED, seen, expected, remedy, subject, severity)


def unknown(seen: str, expected: str = "", remedy: str = "", subject: str = "") -> Verdict:
    """Return the verdict that the facts do not tell; *seen* says what is missing, *remedy* how to find out."""
    return Verdict(UNKNOWN, seen, expected, remedy, subject)


def skipped(seen: str, subject: str = "") -> Verdict:
    """Return the verdict that the question does not arise; *seen* says why."""
    return Verdict(SKIPPED, seen, "", "", subject)


def at(facts: Any, *path: str) -> Any:
    """Return what lies in nested mappings under *path*, None where anything on the way is missing or no mapping."""
    for name in path:
        if not isinstance(facts, Mapping):
            return None
        facts = facts.get(name)
    return facts


def rank(severity: str) -> int:
    """Return the place of a severity in the order of SEVERITIES."""
    return SEVERITIES.index(severity)
