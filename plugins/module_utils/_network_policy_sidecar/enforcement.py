# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the nodes of a cluster can enforce policies, from what was found on each: yes, no or not known.

The API server cannot tell what a kernel can do. So whoever switches the sidecar on brings what the module
network_policy_host_info said on the nodes; a node without an answer is not known. No I/O apart from C(nodes).
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import from_labels

YES, NO, UNKNOWN = "yes", "no", "unknown"
REFUSE = "refuse"
_NAMED = 5
"""So many nodes are named where they share a reason."""


class Answer(NamedTuple):
    """What is known of a node. C(host) is under which name its facts were given, empty without any."""

    node: str
    host: str
    can_enforce: str
    reason: str

    def to_dict(self) -> dict[str, str]:
        """As a module returns it."""
        return dict(self._asdict())


def nodes(client: KubeClient, daemonset: Mapping[str, Any] | None = None) -> list[str]:
    """Names of the Nodes that a flannel for Linux runs on. Raises KubeError.

    Of the DaemonSet only the nodeSelector is looked at. That it tolerates what the Nodes are tainted with is taken
    for granted, so that rather one Node too many is asked for.
    """
    selector = from_labels(fields.mapping(daemonset, "spec", "template", "spec", "nodeSelector"))
    found = []
    for item in client.list("/api/v1/nodes", {}, metadata_only=True).items:
        labels = fields.mapping(item, "metadata", "labels")
        if labels.get("kubernetes.io/os") != "windows" and selector.matches(labels):
            found.append(str(item["metadata"]["name"]))
    return sorted(found)


def judge(names: Sequence[str], facts: Mapping[str, Any]) -> list[Answer]:
    """One answer for each node. C(facts) are results of network_policy_host_info by the name of the node or host."""
    by_hostname = {
        str(result.get("hostname")).lower(): host
        for host, result in facts.items()
        if isinstance(result, Mapping) and result.get("hostname")
    }
    found = []
    for name in names:
        host = name if name in facts else by_hostname.get(name.lower(), "")
        found.append(Answer(name, host, *_one(facts.get(host))))
    return found


def _one(result: Any) -> tuple[str, str]:
    if result is None:
        return UNKNOWN, "no facts of this node were given"
    if not isinstance(result, Mapping) or result.get("can_enforce") not in (YES, NO, UNKNOWN):
        message = result.get("msg") if isinstance(result, Mapping) else None
        return UNKNOWN, str(message or "what was given is not a result of network_policy_host_info")
    reasons = result.get("reasons") or []
    return str(result["can_enforce"]), " ".join(str(reason) for reason in reasons)


def problems(answers: Sequence[Answer]) -> str:
    """Why enforcement cannot be promised, in words; empty when every node can. No node at all is not known."""
    if not answers:
        return "The cluster has no Node for flannel, so nothing is known of any."
    groups: dict[tuple[str, str], list[str]] = {}
    for each in answers:
        if each.can_enforce != YES:
            groups.setdefault((each.can_enforce, each.reason), []).append(each.node)
    texts = []
    for (value, reason), names in sorted(groups.items()):
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        verb = "cannot enforce network policies" if value == NO else "may or may not enforce network policies"
        texts.append(f"{', '.join(names[:_NAMED])}{more} {verb}: {reason.rstrip('.')}.")
    return " ".join(texts)
