# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to the address of a Service, judged by its backends: policy sees them and not the Service.

The backends are those of the EndpointSlices, as kube-proxy takes them.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._network_policy.evaluate import (
    ALLOW,
    DENY,
    UNKNOWN,
    End,
    Evaluator,
    Verdict,
    describe,
    no_path,
    places,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import Address


def judge(evaluator: Evaluator, ends: tuple[End, End], service: str, protocol: str, port: int) -> dict[str, Any]:
    """The row of the verdict: what all backends say, UNKNOWN where they differ or are not known."""
    source, target = ends
    family = target.addresses[0].family
    where = {**places(source, target, family)}
    if source.addresses and where["from_address"] is None:
        return {**where, **no_path("the two have no address family in common")}
    found = evaluator.cluster.inventory.services[service]
    if (port, protocol) not in found.names:
        return {**where, **_unknown(f"Service {service} has no port {port} of protocol {protocol}")}
    if service not in evaluator.cluster.inventory.slices:
        return {**where, **_unknown(f"no EndpointSlice of Service {service} is known, so its backends are not")}
    backends = _backends(evaluator, service, found.names[port, protocol], protocol, family)
    if not backends:
        return {**where, **no_path(f"Service {service} has no ready endpoint of this family")}
    rows = []
    for address, number in backends:
        end = evaluator.end(address.text, "a backend")
        verdict = evaluator.verdicts(source, end, protocol, number)[0]
        if not evaluator.profile.release and source.pod is not None and source.pod is end.pod:
            doubt = "the API leaves open what policies mean for a Pod that reaches itself through a Service"
            verdict = verdict._replace(doubts=(*verdict.doubts, doubt))
        rows.append((verdict, end, number))
    values = {verdict.value for verdict, _end, _number in rows}
    value = values.pop() if len(values) == 1 else UNKNOWN
    decider = _decider([verdict for verdict, _end, _number in rows])
    described = describe(decider)
    reason = described["reason"]
    if len(rows) > 1 and value == UNKNOWN:
        counts = [f"{sum(v.value == each for v, _e, _n in rows)} {each}" for each in (ALLOW, DENY, UNKNOWN)]
        reason = f"not known, for the {len(rows)} backends of Service {service} differ ({', '.join(counts)}); {reason}"
    return {
        **where,
        **described,
        "verdict": value,
        "reason": f"{reason}; judged for the backends of Service {service}",
        "backends": [
            {
                "address": end.addresses[0].text,
                "pod": end.pod.label if end.pod else None,
                "port": number,
                "verdict": v.value,
            }
            for v, end, number in rows
        ],
    }


def _decider(verdicts: list[Verdict]) -> Verdict:
    """The one that is shown: a denial before what is not known, that before what is allowed."""
    return next((each for value in (DENY, UNKNOWN) for each in verdicts if each.value == value), verdicts[0])


def _unknown(reason: str) -> dict[str, Any]:
    return {**no_path(f"not known, for {reason}"), "verdict": UNKNOWN}


def _backends(evaluator: Evaluator, service: str, name: str, protocol: str, family: int) -> list[tuple[Address, int]]:
    found = {
        (address, each.ports[name, protocol])
        for each in evaluator.cluster.inventory.slices[service]
        if (name, protocol) in each.ports
        for address in each.addresses
        if address.family == family
    }
    return sorted(found, key=lambda backend: (backend[0].value, backend[1]))
