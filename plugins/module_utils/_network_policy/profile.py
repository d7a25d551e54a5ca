# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What releases of the agent kube-network-policies enforce, and where they differ from the text of the API.

Private to podnet.cni: may change in any release.

The releases and their faults are those of the version matrix. Sources besides: kubernetes-sigs/kube-network-policies
pkg/dataplane/controller.go and pkg/networkpolicy/engine.go, issues 65, 150 and 380 and pull request 389.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._versions import question
from ansible_collections.podnet.cni.plugins.module_utils._versions.matrix import TABLES

API = "api"
"""Instead of a version: what the API promises, whatever enforces it."""

PRODUCT = "kube_network_policies"
FIRST = {
    **{fault["id"]: f"v{fault['until']}" for fault in TABLES[PRODUCT].faults},
    **{span[0]: f"v{span[1]}" for span in TABLES[PRODUCT].spans},
}
"""The first release without a fault, or with a feature."""

_VERSION = re.compile(r"v?\d+\.\d+\.\d+(?:-(npa-v1alpha1|npa-v1alpha2|iptracker))?$", re.ASCII)
_SUPPORTS = {
    "": (),
    "iptracker": (),
    "npa-v1alpha1": ("AdminNetworkPolicy", "BaselineAdminNetworkPolicy"),
    "npa-v1alpha2": ("ClusterNetworkPolicy",),
}


class Profile(NamedTuple):
    """An agent's release and image flavour; C(release) is empty for the API's own text.

    C(traits) are the release's faults and features. A release that the matrix lacks has those of the next older one.
    """

    name: str
    release: str
    flavour: str
    traits: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Profile:
        """From an image tag like V(v1.1.1), V(v1.1.1-npa-v1alpha2), or V(api). Raises InputError."""
        if text == API:
            return cls(API, "", "", frozenset())
        match = _VERSION.match(text)
        if match is None:
            raise InputError(f"sidecar_version is {text!r}. Use an image tag like v1.1.1, or api.")
        release = question.not_newer(PRODUCT, text) or TABLES[PRODUCT].rows[0][0]
        faults = {fault["id"] for fault in question.faults_of(PRODUCT, release)}
        features = {name for name, value in question.features_of(PRODUCT, release).items() if value is True}
        return cls(text, release, match.group(1) or "", frozenset(faults | features))

    def _lacks(self, feature: str) -> bool:
        return bool(self.release) and feature not in self.traits

    @property
    def own_node_always_reaches(self) -> bool:
        """The API promises it; the agent exempts only what root sent, and nothing where probes are judged."""
        return not self.release

    @property
    def cuts_probes(self) -> bool:
        """Kubelet's probes are judged like any other traffic."""
        return "probes-judged" in self.traits

    @property
    def sees_egress_to_own_node(self) -> bool:
        """The agent has a chain for traffic from a pod to its own node."""
        return bool(self.release) and "own-node-unseen" not in self.traits

    @property
    def enrols_node_address(self) -> bool:
        """A policy that selects a Pod on the host's network makes the agent judge the node's own traffic."""
        return "host-network-judged" in self.traits

    @property
    def never_strict(self) -> bool:
        """The flavour takes the flag for the strict mode and does not hand it on.

        Source: cmd/kube-network-policies/npa-v1alpha1/main.go of v1.1.1.
        """
        return self.flavour == "npa-v1alpha1"

    @property
    def keeps_established(self) -> bool:
        """Connections that exist survive a NetworkPolicy that forbids them."""
        return self._lacks("strict-mode") or self.never_strict

    @property
    def revives_established(self) -> bool:
        """A connection that a changed NetworkPolicy has ended continues once its other end sends what it may send.

        The agent judges the next packet of either end as if it opened the connection, and lets all of it pass when that
        one may. Source: pkg/dataplane/controller.go of v1.1.1, firewallEnforcer.
        """
        return bool(self.release) and not self.keeps_established

    @property
    def forward_only(self) -> bool:
        """Rules sit in the forward hook, which traffic of IPVS services does not cross."""
        return "ipvs-unseen" in self.traits

    @property
    def fails_closed(self) -> bool:
        """Without an agent that runs, new connections of selected pods are dropped unless its flag says otherwise."""
        return self._lacks("fails_open")

    @property
    def ignores_number_of_names(self) -> bool:
        """A rule of v1alpha1 with a named port matches every port of a Pod that has the name.

        Source: plugins/npa-v1alpha1/adminnetworkpolicy.go of v1.1.1, evaluateAdminNetworkPolicyPort.
        """
        return self.flavour == "npa-v1alpha1"

    @property
    def takes_pods_for_nodes(self) -> bool:
        """A peer C(nodes) of v1alpha1 means the Pods on these nodes and not the nodes; same source."""
        return self.flavour == "npa-v1alpha1"

    def may_enforce(self, kind: str) -> bool:
        """Whether a kind of policy.networking.k8s.io acts under the profile: some agent's for the API's own text."""
        return not self.release or self.supports(kind)

    def supports(self, kind: str) -> bool:
        """Whether the image enforces a kind of policy.networking.k8s.io (by default, that is without more flags)."""
        return kind in _SUPPORTS[self.flavour] and not self._lacks("cluster_network_policy")
