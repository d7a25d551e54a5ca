# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rollout remembers between two steps, in a Lease object; no I/O.

The Lease (coordination.k8s.io/v1) also keeps a second run out. It is written before anything else is changed and
deleted after everything else is done, so an interrupted run leaves all that is needed to continue or go back.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.times import parse_time

ANNOTATION = "podnet.cni/rollout-state"
LIMIT = 200 * 1024
"""An object may have 256 KiB of annotations (apimachinery pkg/api/validation/objectmeta.go)."""

UPDATE = "update"
ROLLBACK = "rollback"
ENDED = "ended"
"""All waves are done, and what the rollout is part of is not."""


@dataclass
class State:
    """C(target) is a digest of what is wanted; times are seconds since 1970.

    C(template), C(strategy) and C(config) are what was there before: the pod template (None when it is not known),
    the update strategy, and the keys of the ConfigMap that are changed, with None for one that was not there.
    C(left_out) names nodes that could not be updated, C(evidence) is what was known of unhealthy nodes.
    C(since) tells since when something is wrong that is borne for a while, C(restarted) when pods were restarted on the
    way back. C(retry) tells that the rollout stopped here and that the next run restarts what is broken. C(tolerated)
    maps nodes that did not become healthy, and that the rollout went on without, to the reason. C(undertaking) names
    what the rollout is part of, C(record) is what that remembers.
    """

    target: str
    template: dict[str, Any] | None
    strategy: dict[str, Any]
    config_map: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    restart: bool = False
    phase: str = UPDATE
    written: bool = False
    waves: list[list[str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    wave: int = 0
    started: float = 0.0
    wave_started: float = 0.0
    good_since: float = 0.0
    command_done: bool = False
    retry: bool = False
    failures: list[str] = field(default_factory=list)
    tolerated: dict[str, str] = field(default_factory=dict)
    undertaking: str = ""
    record: dict[str, Any] = field(default_factory=dict)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    since: dict[str, float] = field(default_factory=dict)
    restarted: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many nodes the waves hold."""
        return sum(len(wave) for wave in self.waves)

    def next_wave(self, now: float) -> None:
        """Go on to the wave after this one."""
        self.wave += 1
        self.restart_wave(now)

    def restart_wave(self, now: float) -> None:
        """Measure the current wave from now on."""
        self.wave_started, self.good_since, self.command_done = now, 0.0, False
        self.since, self.restarted = {}, {}

    def begin_rollback(self, failures: list[str], now: float) -> None:
        """From here on only back."""
        self.failures, self.phase, self.written = failures, ROLLBACK, False
        self.restart_wave(now)


def encode(state: State) -> str:
    """The annotation. Raises InputError when it would be too big for the API."""
    text = _dump(state)
    if len(text.encode()) > LIMIT and state.evidence:
        text = _dump(replace(state, evidence=[{**each, "log": [], "events": []} for each in state.evidence]))
    if len(text.encode()) > LIMIT:
        raise InputError(
            f"the plan for {state.total} nodes with the old template and ConfigMap takes {len(text)} bytes, more than "
            f"the {LIMIT} that a Lease can hold. Roll out to fewer nodes at once."
        )
    return text


def _dump(state: State) -> str:
    return json.dumps(asdict(state), sort_keys=True, separators=(",", ":"))


def decode(lease: Mapping[str, Any]) -> State:
    """The state in a Lease object. Raises ConflictError when it cannot be read."""
    metadata = lease.get("metadata") or {}
    try:
        return State(**json.loads(fields.mapping(metadata, "annotations")[ANNOTATION]))
    except (KeyError, ValueError, TypeError):
        raise ConflictError(
            f"Lease {metadata.get('namespace')}/{metadata.get('name')} holds no state that this release can read. "
            "See what state the DaemonSet is in, then delete the Lease."
        ) from None


def has_ended(lease: Mapping[str, Any]) -> bool:
    """Whether a Lease says that its rollout has ended; one that cannot be read says nothing."""
    try:
        return decode(lease).phase == ENDED
    except ConflictError:
        return False


def name_for(daemonset: str) -> str:
    """Name of the Lease for a DaemonSet."""
    return f"podnet-rollout-{daemonset}"


def lease_spec(holder: str, seconds: int, now: float) -> dict[str, Any]:
    """The part of the Lease that says who works, renewed now."""
    moment = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "renewTime": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def seconds_left(lease: Mapping[str, Any], now: float) -> float:
    """How long the holder of a Lease still has it; 0 when nobody does."""
    spec = lease.get("spec") or {}
    renewed = parse_time(spec.get("renewTime"))
    if not spec.get("holderIdentity") or renewed is None:
        return 0.0
    return max(0.0, renewed.timestamp() + float(spec.get("leaseDurationSeconds") or 0) - now)
