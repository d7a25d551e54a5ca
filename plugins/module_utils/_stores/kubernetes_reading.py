# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of a lease store in a Kubernetes cluster: the network config, and the leases on Node objects.

Private to podnet.cni: may change in any release.

Apart from the store that writes, because a host that only follows its peers has neither the right nor the library.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Protocol, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._kube import errors, fields
from ansible_collections.podnet.cni.plugins.module_utils._stores import kubernetes_codec as codec
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    AccessError,
    Entry,
    Listing,
    LostRaceError,
    Problem,
    StoredConfig,
    StoreError,
    UnreachableError,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_options import Settings

NODES = "/api/v1/nodes"
CONFIG_KEY = "net-conf.json"


class _Server(Protocol):
    @property
    def label(self) -> str:
        """The API server and where it was named, for messages."""


class _Page(Protocol):
    @property
    def items(self) -> Sequence[dict[str, Any]]:
        """All items."""

    @property
    def resource_version(self) -> str:
        """The version that they were read at."""


class Reads(Protocol):
    """What is asked of a client. Both raise KubeError."""

    @property
    def target(self) -> _Server:
        """The API server."""

    def get(self, path: str) -> dict[str, Any]:
        """One object."""

    def list(self, path: str) -> _Page:
        """All items of a collection."""


class NodeReader:
    """The leases on the Nodes of the cluster that C(client) talks to. Every method may raise StoreError."""

    def __init__(self, client: Reads, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self.keys = codec.annotation_keys(settings.annotation_prefix)
        self.problems: tuple[Problem, ...] = ()
        self._config: NetworkConfig | None = None

    @property
    def where(self) -> str:
        """The cluster, for messages."""
        return self.client.target.label

    @property
    def config_remedy(self) -> str:
        """What to do when there is no network config."""
        return "name the right kube_namespace and kube_config_map, or give network_config"

    @property
    def config_name(self) -> str:
        """What holds the network config, for messages."""
        if self.settings.network_config is not None:
            return "network_config"
        return f"ConfigMap {self.settings.namespace}/{self.settings.config_map}"

    def read_config(self) -> StoredConfig | None:
        """Return the network config; None when the ConfigMap, or net-conf.json in it, is missing."""
        if self.settings.network_config is not None:
            config = network_config.parse(self.settings.network_config, check_ranges=False)
            self._config = config
            return StoredConfig(network_config.render(config), 0, config)
        path = f"/api/v1/namespaces/{self.settings.namespace}/configmaps/{self.settings.config_map}"
        try:
            found = asked(lambda: self.client.get(path))
        except MissingError:
            return None
        text = fields.at(found, "data", CONFIG_KEY)
        if text is None:
            return None
        try:
            self._config = network_config.parse(text, check_ranges=False)
        except InputError as error:
            return StoredConfig(text, version_of(found), None, str(error))
        return StoredConfig(text, version_of(found), self._config)

    def require_config(self) -> StoredConfig:
        """Return the network config; ConflictError says what to do when there is no usable one."""
        stored = self.read_config()
        if stored is None:
            raise ConflictError(
                f"{self.client.target.label} has no {CONFIG_KEY} in {self.config_name}; name the right kube_namespace "
                "and kube_config_map, or give network_config where flannel is built into the distribution"
            )
        if stored.config is None:
            raise ConflictError(f"{self.config_name} at {self.client.target.label} cannot be used: {stored.error}")
        return stored

    def list_leases(self, *, ttl: bool = False) -> Listing:
        """Return the leases of all Nodes. A Node that flanneld ignores has none; one that it skips is a problem."""
        found = asked(lambda: self.client.list(NODES))
        entries: list[Entry] = []
        blocked: list[Entry] = []
        problems: list[Problem] = []
        for node in found.items:
            entry, taken, problem = self.read_node(node)
            entries.extend([entry] if entry else [])
            blocked.extend([taken] if taken else [])
            problems.extend([problem] if problem else [])
        self.problems = tuple(problems)
        return Listing(tuple(entries), self.problems, _number(found.resource_version), tuple(blocked))

    def read_node(self, node: Mapping[str, Any]) -> tuple[Entry | None, Entry | None, Problem | None]:
        """Return (lease, blocked subnets, problem) of a Node; any of them may be None."""
        name = codec.name_of(node)
        try:
            lease = codec.decode(node, self.keys, self._config)
        except InputError as error:
            remedy = "restart flannel on the node, or correct the annotation that was written by hand"
            if isinstance(error, codec.NoPodCidr):
                remedy = (
                    "podCIDRs never change: give the controller manager a range of each family in --cluster-cidr, then "
                    "delete the Node and let it register again; or disable the family in the network config"
                )
            problem = Problem("unreadable_node", name, f"{error}. No peer has a route to this node", remedy)
            return None, self.blocked(node), problem
        if lease is None:
            return None, self.blocked(node), None
        return Entry(name, "", lease, version_of(node)), None, None

    def blocked(self, node: Mapping[str, Any]) -> Entry | None:
        """An entry for the pod CIDRs of a Node without a readable lease; None where they cannot be read either."""
        try:
            subnets = codec.pod_cidrs(node)
        except InputError:
            return None
        if subnets == (None, None):
            return None
        name = codec.name_of(node)
        return Entry(name, "", Lease(subnets[0], subnets[1], name=name), version_of(node))


class MissingError(StoreError):
    """The object does not exist."""


_TRANSLATION = (
    (errors.NotFound, MissingError),
    (errors.Unauthorized, AccessError),
    (errors.Forbidden, AccessError),
    (errors.Conflict, LostRaceError),
    (errors.Unreachable, UnreachableError),
)


def asked(action: Callable[[], Any]) -> Any:
    """Run a request; its failure is raised as the StoreError that callers of a lease store know."""
    try:
        return action()
    except errors.KubeError as error:
        for kind, translated in _TRANSLATION:
            if isinstance(error, kind):
                raise translated(str(error)) from error
        raise StoreError(str(error)) from error


def version_of(item: Mapping[str, Any]) -> int:
    """The version of an object, 0 for one without."""
    return _number(fields.at(item, "metadata", "resourceVersion") or "")


def _number(text: Any) -> int:
    return int(text) if str(text).isdigit() else 0
