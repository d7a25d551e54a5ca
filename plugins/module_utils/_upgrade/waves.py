# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which node is updated when; no I/O. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._rollout import waves

CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


@dataclass(frozen=True)
class Choice:
    """How the waves are wanted: canaries by name or by label, then the sizes of the others."""

    canary_nodes: Sequence[str] = ()
    canary_selector: str = ""
    batch: Sequence[str] = field(default=("5%", "25%", "100%"))


def is_control_plane(labels: Mapping[str, str]) -> bool:
    """Whether a node carries the control plane."""
    return any(key in labels for key in CONTROL_PLANE)


def selects(nodes: Mapping[str, Mapping[str, str]], selector: str) -> bool:
    """Whether a label selector selects one of the nodes. Raises InputError."""
    return bool(waves.selected(nodes, waves.canary_selector(selector)))


def divide(nodes: Mapping[str, Mapping[str, str]], choice: Choice) -> list[tuple[str, list[str]]]:
    """Waves as (kind, names), each node in exactly one; C(nodes) maps those that can be updated to their labels.

    The canaries come first: those that are named, or else one worker. Then one node of the control plane, which has
    another kernel, other pods and other firewall rules; then batches. Raises InputError for a canary that cannot be
    updated, a selector that selects none, and an invalid size.
    """
    sizes = [waves.parse_batch(each) for each in choice.batch]
    if not sizes:
        raise InputError("upgrade_batch is empty: give at least one number or percentage.")
    if not nodes:
        return []
    ordered = sorted(nodes, key=waves.natural)
    canaries = list(choice.canary_nodes)
    if not canaries and not choice.canary_selector:
        workers = [name for name in ordered if not is_control_plane(nodes[name])]
        canaries = (workers or ordered)[:1]
    first = waves.divide(nodes, canaries, waves.canary_selector(choice.canary_selector), sizes)[0]
    found = [("canary", first)]
    left = [name for name in ordered if name not in set(first)]
    control = next((name for name in left if is_control_plane(nodes[name])), None)
    if control is not None and not any(is_control_plane(nodes[name]) for name in first):
        found.append(("control-plane", [control]))
        left.remove(control)
    return found + [("batch", names) for names in waves.cut(left, waves.counts(sizes, len(nodes)))]
