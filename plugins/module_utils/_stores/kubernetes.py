# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease store in a Kubernetes cluster: annotations of Node objects, shared with flannelds in Kubernetes mode.

Private to podnet.cni: may change in any release.

The cluster gives a Node its pod CIDR and never changes it; acquiring a lease means to annotate the Node, which goes
through its status subresource as flanneld does it (flannel v0.28.9 pkg/subnet/kube/kube.go AcquireLease). Such leases
do not expire.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision, Request, allocate
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._stores import kubernetes_codec as codec
from ansible_collections.podnet.cni.plugins.module_utils._stores import (
    kubernetes_nodes,
    kubernetes_options,
    kubernetes_watch,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    CREATED,
    UNCHANGED,
    UPDATED,
    Event,
    Granted,
    LeaseStore,
    Listing,
    LostRaceError,
    Problem,
    StoredConfig,
    StoreError,
    Want,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_options import Settings
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_reading import (
    NODES,
    MissingError,
    NodeReader,
    asked,
    version_of,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.nodes import Node

MAX_LOST_RACES = 5
FEW = 10
"""Up to so many Nodes are read one by one; beyond, the whole list costs less."""


EXAMPLE = "created; the cluster chooses its subnet, and this one is an example"


@dataclass(frozen=True)
class _Step:
    """One request's share of the work; C(node) is None when it has to be created."""

    node: Mapping[str, Any] | None
    changes: Mapping[str, str]
    granted: Granted


def _subnets_of(step: _Step) -> codec.Subnets:
    return step.granted.decision.subnet, step.granted.decision.ipv6_subnet


class KubernetesStore(NodeReader, LeaseStore):
    """The leases on the Nodes of the cluster that C(client) talks to.

    The cluster hands out pod CIDRs by rules of its own; flannel's ranges mean nothing there.
    """

    allocates = False

    client: KubeClient

    def __init__(self, client: KubeClient, settings: Settings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(client, settings)
        self._sleep = sleep

    def write_config(self, text: str | None, before: StoredConfig | None, listing: Listing) -> None:
        """Refuse: the manifest or chart that installed flannel owns the ConfigMap."""
        raise InputError(
            f"the network config of a Kubernetes cluster is part of flannel's manifest ({self.config_name}); "
            "change it there and restart flannel's Pods"
        )

    def pod_cidrs(self) -> dict[str, codec.Subnets]:
        """Return the pod CIDRs of every Node by its name, (None, None) for a Node without. Raises InputError."""
        return {codec.name_of(node): codec.pod_cidrs(node) for node in asked(lambda: self.client.list(NODES)).items}

    def set_pod_cidr(self, name: str, subnets: codec.Subnets) -> None:
        """Give a Node that has no pod CIDR the C(subnets); LostRaceError when somebody else changed it meanwhile.

        The API server lets it be set once, and never changed (Kubernetes v1.36 pkg/apis/core/validation/validation.go,
        ValidateNodeUpdate). Whether the subnets are free is the caller's to know.
        """
        node = self._get(name)
        has = codec.pod_cidrs(node)
        if has == subnets:
            return
        if has != (None, None):
            raise ConflictError(
                f"Node {name} was given another podCIDR meanwhile, which cannot be changed; run again, to be told what "
                "to do"
            )
        texts = [str(subnet) for subnet in subnets if subnet is not None]
        self._patch(
            f"{NODES}/{name}",
            {
                "metadata": {"resourceVersion": str(version_of(node))},
                "spec": {"podCIDR": texts[0], "podCIDRs": texts},
            },
        )

    def acquire(
        self,
        stored: StoredConfig,
        requests: Sequence[Request],
        want: Want,
        *,
        ttl: int | None = None,
        choice: str = "random",
        seed: int | None = None,
        dry_run: bool = False,
    ) -> list[Granted]:
        """Annotate the Node of every request and return what was done, in the order of C(requests).

        The subnets are the Node's pod CIDRs, so C(choice) and C(seed) mean nothing here. A pinned subnet must be the
        Node's; it becomes the pod CIDR of a Node that is created.
        """
        if stored.config is None:
            raise ConflictError(f"{self.config_name}: the network config cannot be used: {stored.error}")
        if ttl is not None:
            raise InputError("leases on Kubernetes Nodes do not expire; leave ttl out")
        self._config = stored.config
        nodes = self._nodes(requests)
        steps = [self._plan(stored.config, request, nodes.get(request.name), want) for request in requests]
        _check_shared_addresses(steps)
        if any(step.node is None for step in steps):
            self._check_free(steps)
        if dry_run:
            return [step.granted for step in self._with_examples(stored.config, steps, want)]
        granted: list[Granted] = []
        for request, step in zip(requests, steps):
            try:
                granted.append(self._carry_out(stored.config, request, step, want))
            except PodnetError as error:
                written = sum(1 for one in granted if one.done != UNCHANGED)
                if not written:
                    raise
                raise StoreError(
                    f"{error} {written} of {len(requests)} leases were written before that; run again: they are kept"
                ) from error
        return granted

    def _with_examples(self, config: NetworkConfig, steps: Sequence[_Step], want: Want) -> Sequence[_Step]:
        """The steps with a free subnet for each Node to be created without one, so that the plan continues behind it.

        What the cluster will really give it nobody can tell.
        """
        bare = [step for step in steps if step.node is None and _subnets_of(step) == (None, None)]
        if not bare:
            return steps
        blocked = [self.blocked(node) for node in asked(lambda: self.client.list(NODES)).items]
        taken = [entry.lease for entry in blocked if entry is not None]
        taken += [step.granted.lease for step in steps if _subnets_of(step) != (None, None)]
        try:
            # A cluster has no use for the ranges of its config, so they were not read.
            ranged = network_config.parse(config.given)
            decided = allocate(ranged, taken, [step.granted.decision.request for step in bare], choice="by_name")
        except PodnetError:
            # The cluster may have room where the network config shows none.
            return steps
        examples = {
            decision.request.name: self._step(config, replace(decision, reason=EXAMPLE), None, want)
            for decision in decided
        }
        return [examples.get(step.granted.decision.request.name, step) for step in steps]

    def release(self, match: Callable[[Lease], bool], *, dry_run: bool = False) -> list[Lease]:
        """Delete the Nodes made for external hosts, take the annotations from all others, where C(match) holds.

        flannelds that run keep a peer whose annotations vanish until they restart; only a deleted Node makes them
        forget it.
        """
        gone: list[Lease] = []
        for node in asked(lambda: self.client.list(NODES)).items:
            entry, blocked, _problem = self.read_node(node)
            found = entry or (blocked if _is_annotated(node, self.keys) else None)
            if found is None or not match(found.lease):
                continue
            gone.append(found.lease)
            if not dry_run:
                self._remove(node)
        return gone

    def matcher(self, nodes: Sequence[Node]) -> Callable[[Lease], bool]:
        """Return the test for leases of C(nodes): by the Node's name, which is all that identifies it in a cluster."""
        return kubernetes_nodes.matcher(nodes)

    def misfits(self, leases: Sequence[Lease], config: NetworkConfig) -> list[Problem]:
        """Return a problem for each lease whose flanneld would not start, or whose backend is not the network's."""
        return kubernetes_nodes.misfits(leases, config)

    def watch(self, stop: Callable[[], bool], *, poll: float = 2.0) -> Iterator[Event]:
        """Yield a snapshot and then every change until C(stop) says so; it is asked at least every C(poll) seconds."""
        return kubernetes_watch.watch(self, stop, poll, self._sleep)

    def _nodes(self, requests: Sequence[Request]) -> dict[str, Mapping[str, Any]]:
        if len(requests) > FEW:
            listed = asked(lambda: self.client.list(NODES)).items
            return {codec.name_of(node): node for node in listed}
        nodes: dict[str, Mapping[str, Any]] = {}
        for request in requests:
            try:
                nodes[request.name] = self._get(request.name)
            except MissingError:
                continue
        return nodes

    def _get(self, name: str) -> Mapping[str, Any]:
        return asked(lambda: self.client.get(f"{NODES}/{name}"))

    def _plan(self, config: NetworkConfig, request: Request, node: Mapping[str, Any] | None, want: Want) -> _Step:
        if node is None:
            if not self.settings.create_nodes:
                raise ConflictError(
                    f"{self.client.target.label} has no Node {request.name}; use the Node's name, or let one be made "
                    "for a host outside the cluster with create_nodes"
                )
            subnets: codec.Subnets = (request.subnet, request.ipv6_subnet)
            if subnets != (None, None):
                codec.check_contained(request.name, subnets, config)
            return self._step(config, Decision(request, subnets[0], subnets[1], "created"), None, want)
        subnets = codec.pod_cidrs(node)
        if subnets == (None, None):
            raise ConflictError(
                f"node {request.name} has no podCIDR; start kube-controller-manager with --allocate-node-cidrs, "
                "or delete the Node and make it anew with a subnet"
            )
        codec.check_contained(request.name, subnets, config)
        for given, has in ((request.subnet, subnets[0]), (request.ipv6_subnet, subnets[1])):
            if given is not None and given != has:
                raise ConflictError(
                    f"node {request.name}: subnet {given} is wanted, but its podCIDR is {has}, which cannot change; "
                    "leave the subnet out, or delete the Node and make it anew"
                )
        try:
            lease = codec.decode(node, self.keys, config)
        except InputError:
            lease = None
        subnet = subnets[0] if config.enable_ipv4 else None
        ipv6_subnet = subnets[1] if config.enable_ipv6 else None
        decision = Decision(request, subnet, ipv6_subnet, "assigned" if lease is None else "reused", lease)
        return self._step(config, decision, node, want)

    def _step(self, config: NetworkConfig, decision: Decision, node: Mapping[str, Any] | None, want: Want) -> _Step:
        lease = replace(want(decision, decision.lease), ttl=None, name=decision.request.name)
        public_ip, public_ipv6 = self._public_addresses(node, lease, decision.lease)
        lease = replace(
            lease,
            public_ip=public_ip if config.enable_ipv4 else None,
            public_ipv6=public_ipv6 if config.enable_ipv6 else None,
        )
        for enabled, address, option in (
            (config.enable_ipv4, lease.public_ip, "public_ip"),
            (config.enable_ipv6, lease.public_ipv6, "public_ipv6"),
        ):
            if enabled and address is None:
                raise InputError(f"node {lease.name} needs {option}: peers send to it, and skip a node without one")
        wanted = codec.encode(lease, self.keys)
        found = codec.annotations_of(node) if node is not None else {}
        changes = {key: value for key, value in wanted.items() if found.get(key) != value}
        done, reason = UNCHANGED, ""
        if decision.lease is None:
            done, reason = CREATED, decision.reason
        elif changes:
            done, reason = UPDATED, "attributes changed"
        return _Step(node, changes, Granted(decision, lease, done, reason, before=decision.lease))

    def _public_addresses(self, node: Mapping[str, Any] | None, lease: Lease, before: Lease | None) -> tuple[Any, Any]:
        """What the operator has set wins, then what was asked for, what stands there, and the Node's own address."""
        overwritten = codec.overwrites(node, self.keys) if node is not None else (None, None)
        given = (lease.public_ip, lease.public_ipv6)
        stands = (before.public_ip, before.public_ipv6) if before is not None else (None, None)
        own = codec.internal_addresses(node) if node is not None else (None, None)
        public_ip, public_ipv6 = (
            next((address for address in choice if address is not None), None)
            for choice in zip(overwritten, given, stands, own)
        )
        return public_ip, public_ipv6

    def _check_free(self, steps: Sequence[_Step]) -> None:
        """Refuse pinned subnets of Nodes to be created that overlap a Node's, or one another."""
        taken: list[tuple[Any, str]] = []
        for node in asked(lambda: self.client.list(NODES)).items:
            entry = self.blocked(node)
            if entry is not None:
                pairs = (entry.lease.subnet, entry.lease.ipv6_subnet)
                taken.extend((subnet, entry.key) for subnet in pairs if subnet is not None)
        for step in steps:
            if step.node is not None:
                continue
            decision = step.granted.decision
            for subnet in (decision.subnet, decision.ipv6_subnet):
                if subnet is None:
                    continue
                for other, owner in taken:
                    if other.version == subnet.version and other.overlaps(subnet):
                        raise ConflictError(
                            f"node {decision.request.name}: subnet {subnet} overlaps {other} of node {owner}; "
                            "choose a free one"
                        )
                taken.append((subnet, decision.request.name))

    def _carry_out(self, config: NetworkConfig, request: Request, step: _Step, want: Want) -> Granted:
        if step.node is None:
            return self._create(config, request, step, want)
        for lost in range(1, MAX_LOST_RACES + 1):
            if not step.changes:
                return step.granted
            body = {"metadata": {"annotations": step.changes, "resourceVersion": str(version_of(step.node))}}
            try:
                self._patch(f"{NODES}/{request.name}/status", body)
            except LostRaceError:
                if lost == MAX_LOST_RACES:
                    raise
                step = self._plan(config, request, self._get(request.name), want)
                continue
            return step.granted
        return step.granted

    def _create(self, config: NetworkConfig, request: Request, step: _Step, want: Want) -> Granted:
        """Make the Node; annotate it only once it has its pod CIDR, since flannelds do not act on that coming later."""
        decision = step.granted.decision
        subnets = (decision.subnet, decision.ipv6_subnet)
        pinned = subnets != (None, None)
        node = codec.external_node(request.name, subnets, step.changes if pinned else {})
        asked(lambda: self.client.create(NODES, node))
        if pinned:
            return step.granted
        try:
            assigned = self._await_subnets(request.name)
            annotated = self._plan(config, request, assigned, want)
            granted = self._carry_out(config, request, annotated, want)
        except (StoreError, ConflictError, InputError):
            asked(lambda: self.client.delete(f"{NODES}/{request.name}"))
            raise
        return replace(granted, reason="created")

    def _await_subnets(self, name: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + self.settings.assign_timeout
        while True:
            node = self._get(name)
            if codec.pod_cidrs(node) != (None, None):
                return node
            if time.monotonic() > deadline:
                raise ConflictError(
                    f"the cluster gave the new Node {name} no podCIDR within {self.settings.assign_timeout:g} s, so it "
                    "was deleted again; give the host a subnet inside the network that no Node has"
                )
            self._sleep(0.5)

    def _remove(self, node: Mapping[str, Any]) -> None:
        path = f"{NODES}/{codec.name_of(node)}"
        if codec.is_external(node):
            asked(lambda: self.client.delete(path))
            return
        nothing = {key: None for key in self.keys.written if key in codec.annotations_of(node)}
        self._patch(f"{path}/status", {"metadata": {"annotations": nothing}})

    def _patch(self, path: str, body: Mapping[str, Any]) -> None:
        asked(lambda: self.client.patch(path, body, "strategic"))


def _is_annotated(node: Mapping[str, Any], keys: codec.Keys) -> bool:
    return keys.managed in codec.annotations_of(node)


def _check_shared_addresses(steps: Sequence[_Step]) -> None:
    owners: dict[Any, str] = {}
    for step in steps:
        lease = step.granted.lease
        for address in (lease.public_ip, lease.public_ipv6):
            if address is None:
                continue
            other = owners.setdefault(address, lease.name)
            if other != lease.name:
                raise InputError(f"nodes {other} and {lease.name} have the same public address {address}")


def open_store(params: Mapping[str, Any]) -> KubernetesStore:
    """Return the store that the options name; nothing is sent yet. Raises InputError or InvalidAuth."""
    timeout = kubernetes_options.timeout(params)
    client = KubeClient.from_options(params, timeout=timeout, budget=2 * timeout)
    return KubernetesStore(client, kubernetes_options.settings(params))
