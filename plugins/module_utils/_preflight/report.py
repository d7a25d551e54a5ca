# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Puts the findings of all hosts and of the cluster together, for people and for programs.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._preflight.cluster_checks import CLUSTER_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import (
    FAILED,
    OK,
    SEVERITIES,
    SKIPPED,
    UNKNOWN,
    Check,
    Finding,
    rank,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks import HOST_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks_network import shared_identities
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks_system import answers, clock_middle
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import config_of, leases_by

CHECKS: tuple[Check, ...] = (*HOST_CHECKS, *CLUSTER_CHECKS)
SUBJECTS_SHOWN = 4
ROWS_SHOWN = 8
"""So many lines of one check are shown; the findings as data have all."""


def findings(
    hosts_facts: Mapping[str, Mapping[str, Any]],
    cluster_facts: Mapping[str, Any] | None,
    wanted: Mapping[str, Any],
) -> list[Finding]:
    """Return what all checks say, the gravest first.

    C(hosts_facts) maps names of hosts to their facts, C({"lost": True}) where one did not answer; C(cluster_facts) is
    None where no cluster was asked. C(wanted) is what checks compare with; its member C(skip) lists ids of checks to
    leave out. Raises InputError for an id that no check has.
    """
    skip = [str(name) for name in wanted.get("skip") or ()]
    known = [check.id for check in CHECKS]
    for name in skip:
        if name not in known:
            raise InputError(f"there is no check {name!r}: the checks are {', '.join(known)}")
    asked = {**wanted, "hosts": hosts_facts}
    asked.update(config=config_of(wanted), leases_by=leases_by(wanted))
    asked.update(shared=shared_identities(asked), clock_middle=clock_middle(asked))
    found: list[Finding] = []
    for name, facts in hosts_facts.items():
        subject = {**facts, "subject": name}
        for check in (answers,) if facts.get("lost") else HOST_CHECKS:
            if check.id not in skip:
                found += check(subject, asked)
    if cluster_facts is not None:
        for check in CLUSTER_CHECKS:
            if check.id not in skip:
                found += check(cluster_facts, asked)
    return gravest_first(found)


def gravest_first(found: Iterable[Finding]) -> list[Finding]:
    """Return the findings in the order in which they are shown: what failed comes first, then what is unknown."""
    return sorted(found, key=_gravity)


def _gravity(finding: Finding) -> tuple[int, int, str, str]:
    statuses = (FAILED, UNKNOWN, SKIPPED, OK)
    return (statuses.index(finding.status), -rank(finding.severity), finding.id, finding.subject)


def to_dicts(found: Iterable[Finding]) -> list[dict[str, str]]:
    """Return the findings as JSON can hold them."""
    return [asdict(finding) for finding in found]


def from_dicts(entries: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Return the findings in what C(to_dicts) made. Raises InputError for any other value."""
    made = []
    for number, entry in enumerate(entries):
        try:
            made.append(Finding(**{str(name): str(value) for name, value in entry.items()}))
            rank(made[-1].severity)
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"entry {number} is not a finding of a check: {error}") from error
    return made


def failures(found: Iterable[Finding], severity: str) -> list[Finding]:
    """Return the findings that failed and weigh as much as C(severity) or more."""
    return [each for each in found if each.status == FAILED and rank(each.severity) >= rank(severity)]


def table(found: Sequence[Finding], everything: bool = False) -> str:
    """Return the findings as text: what failed and what is unknown, then what to do.

    Findings that say the same of several subjects are one line, and no check takes more than ROWS_SHOWN lines.
    C(everything) also shows what is well or skipped.
    """
    shown = [each for each in found if everything or each.status in (FAILED, UNKNOWN)]
    rows = []
    remedies: dict[str, list[str]] = {}
    groups = _groups(shown)
    numbers: dict[tuple[str, str], int] = {}
    for group in groups:
        first = group[0]
        grade = first.severity if first.status == FAILED else first.status
        shown_before = numbers[grade, first.id] = numbers.get((grade, first.id), 0) + 1
        if shown_before > ROWS_SHOWN:
            continue
        rows.append((grade, first.id, _subjects(group), first.seen))
        if shown_before == ROWS_SHOWN:
            more = sum(1 for each in groups if (each[0].id, each[0].status) == (first.id, first.status)) - ROWS_SHOWN
            rows += [(grade, first.id, "", f"and {_many(more, 'finding')} more like these")] if more > 0 else []
        if first.remedy and first.status == FAILED:
            remedies.setdefault(first.id, []).append(first.remedy)
    lines = _aligned([("FINDING", "CHECK", "ON", "SEEN"), *rows]) if rows else []
    if remedies:
        lines += ["", "What to do:"]
        for name, texts in remedies.items():
            lines += [f"  {name}: {text}" for text in dict.fromkeys(texts)]
    return "\n".join(lines)


def counts(found: Sequence[Finding]) -> str:
    """Return one sentence that says how many findings there are of each kind."""
    numbers = dict.fromkeys(reversed(SEVERITIES), 0)
    others = {UNKNOWN: 0, SKIPPED: 0, OK: 0}
    for finding in found:
        if finding.status == FAILED:
            numbers[finding.severity] += 1
        else:
            others[finding.status] += 1
    parts = [_many(numbers["error"], "error"), _many(numbers["warning"], "warning"), _many(numbers["info"], "hint")]
    parts += [f"{others[UNKNOWN]} unknown", f"{others[SKIPPED]} skipped", f"{others[OK]} ok"]
    return f"{_many(len(found), 'finding')}: {', '.join(parts)}."


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _groups(found: Iterable[Finding]) -> list[list[Finding]]:
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for each in found:
        groups.setdefault((each.status, each.severity, each.id, each.seen, each.remedy), []).append(each)
    return list(groups.values())


def _subjects(group: Sequence[Finding]) -> str:
    names = list(dict.fromkeys(finding.subject for finding in group))
    more = f" and {len(names) - SUBJECTS_SHOWN} more" if len(names) > SUBJECTS_SHOWN else ""
    return ", ".join(names[:SUBJECTS_SHOWN]) + more


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
