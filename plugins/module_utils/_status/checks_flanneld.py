# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of hosts on which flanneld runs as a unit of systemd (role flanneld), in the manner of C(checks).

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import Verdict, check, failed, ok, unknown
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import texts
from ansible_collections.podnet.cni.plugins.module_utils._status import repairs
from ansible_collections.podnet.cni.plugins.module_utils._status.hosts import FLANNELD, HEARD, SUBNET

Facts = Mapping[str, Any]
LINES = 3
# Errors and fatal errors of flanneld, whose log is that of https://pkg.go.dev/k8s.io/klog/v2.
_GRAVE = re.compile(r"(?:^|\s)[EF]\d{4} \d\d:\d\d:\d\d")


@check("flanneld.installed", "error", "The unit of flanneld is there")
def installed(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, told in _looked(facts):
        if _is_loaded(told):
            yield ok("it is", subject=host["name"])
        else:
            seen = f"systemd says {at(told, 'unit', 'load')} of {at(told, 'unit', 'name')}"
            yield failed(seen, "a unit that is loaded", _INSTALL, host["name"])


@check("flanneld.unit", "error", "flanneld does its work")
def unit(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, told in _looked(facts):
        problems = texts(told.get("problems")) if _is_loaded(told) else []
        if problems:
            log = telling(texts(at(told, "evidence", "journal")))
            evidence = f"; its log: {' | '.join(log)}" if log else ""
            yield failed("; ".join(problems) + evidence, "a unit that is active", repairs.DRIFT, host["name"])
        elif _is_loaded(told):
            yield ok("it runs", subject=host["name"])
    for host in facts["hosts"]:
        if host["runs"] == FLANNELD and host["state"] == HEARD and not _has_told(host):
            why = str(host["daemon"].get("msg") or "it was not asked")
            yield unknown(why, "what systemd says of flanneld", "Remove what is in the way.", host["name"])


@check("flanneld.outdated", "warning", "flanneld runs with the program and the settings that its files have")
def outdated(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, told in _looked(facts):
        files = texts(told.get("outdated"))
        if files:
            seen = f"the process was started before the last change of {', '.join(files)}"
            remedy = "Run podnet.cni.flanneld, which restarts it and returns to the former release where that fails."
            yield failed(seen, "a restart after each change", remedy, host["name"])
        else:
            yield ok("it does", subject=host["name"])


@check("flanneld.others", "error", "No second flanneld and no agentless overlay work on the host")
def others(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, told in _looked(facts):
        found = [
            str(each.get("unit") or f"process {each.get('pid')}{' of a pod' if each.get('pod') else ''}")
            for each in mappings(told.get("others"))
        ]
        if found:
            remedy = (
                f"Stop one of them, as in: systemctl disable --now {found[0]}. Both write the same links and lease."
            )
            yield failed(f"beside it there is {', '.join(found)}", "one flanneld", remedy, host["name"])
        if at(told, "overlay", "restores"):
            remedy = "Take the host over with podnet.cni.flanneld (flanneld_takeover=true)."
            yield failed(
                "podnet-cni-restore.service brings the overlay back at boot", "one of both", remedy, host["name"]
            )
        if not found and not at(told, "overlay", "restores"):
            yield ok("it is alone", subject=host["name"])


@check("flanneld.lease", "error", "The lease of the host is the one that its flanneld renews")
def lease(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """flanneld writes leases that end (flannel v0.28.9 pkg/subnet/etcd/registry.go), the agentless overlay others."""
    leases = mappings(at(facts, "store", "leases"))
    for host, told in _looked(facts):
        own = next((each for each in leases if _is_of(each, host["subnets"])), None)
        if own is None or at(told, "problems"):
            continue
        named = {family: told.get(key) for family, key in SUBNET.items()}
        differing = [
            f"{named[family]} in its subnet file, {own.get(SUBNET[family])} leased"
            for family in named
            if named[family] and own.get(SUBNET[family]) and named[family] != own[SUBNET[family]]
        ]
        if differing:
            yield failed(f"flanneld has {', '.join(differing)}", "one subnet", repairs.DRIFT, host["name"])
        elif at(facts, "store", "kind") == "etcd" and not own.get("ttl"):
            seen = "the lease of its public IP does not end, so something else wrote it after flanneld had"
            yield failed(seen, "a lease that flanneld renews", repairs.DRIFT, host["name"])
        else:
            yield ok("it is", subject=host["name"])


_INSTALL = "Run podnet.cni.flanneld, name the unit in doctor_flanneld_unit, or set doctor_flanneld=false for the host."


def telling(journal: Sequence[str]) -> list[str]:
    """Return the last lines of a journal that report errors, or the last ones where none does."""
    grave = [line for line in journal if _GRAVE.search(line)]
    return list(grave or journal)[-LINES:]


def _looked(facts: Facts) -> Iterator[tuple[Mapping[str, Any], Facts]]:
    for host in facts["hosts"]:
        if host["runs"] == FLANNELD and host["state"] == HEARD and _has_told(host):
            yield host, host["daemon"]


def _is_loaded(told: Facts) -> bool:
    return at(told, "unit", "load") == "loaded"


def _has_told(host: Mapping[str, Any]) -> bool:
    return "problems" in host["daemon"]


def _is_of(each: Mapping[str, Any], subnets: Mapping[str, str]) -> bool:
    return any(each.get(SUBNET[int(family)]) == subnet for family, subnet in subnets.items())


FLANNELD_CHECKS = (installed, unit, outdated, others, lease)
