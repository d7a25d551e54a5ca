# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges what was gathered of owners, as findings in the shape of the preflight; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._distributions import evidence
from ansible_collections.podnet.cni.plugins.module_utils._distributions.checks_cluster import CLUSTER_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._distributions.checks_host import HOST_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._preflight import report
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import Check, Finding

CHECKS: tuple[Check, ...] = (*HOST_CHECKS, *CLUSTER_CHECKS)


def findings(
    hosts: Mapping[str, Mapping[str, Any]], cluster: Mapping[str, Any] | None, skip: Sequence[str]
) -> list[dict[str, str]]:
    """What all checks say of hosts and cluster, the gravest first.

    C(hosts) maps names of the inventory to facts of C(distribution_node_info), C(cluster) has those of
    C(distribution_cluster_info) or is None. Raises InputError for an id in C(skip) that no check has.
    """
    known = [each.id for each in CHECKS]
    for name in skip:
        if name not in known:
            raise InputError(f"there is no check {name!r}: the checks are {', '.join(known)}")
    wanted = {"evidence": evidence.collect(hosts, cluster)}
    found: list[Finding] = []
    for name, facts in hosts.items():
        for each in HOST_CHECKS:
            if each.id not in skip:
                found += each({**facts, "subject": name}, wanted)
    for each in CLUSTER_CHECKS:
        if each.id not in skip:
            found += each({}, wanted)
    return report.to_dicts(report.gravest_first(found))
