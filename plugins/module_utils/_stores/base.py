# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every lease store offers, and the values that go in and out of it.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Callable, Iterator, Optional, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision, Request
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._stores.nodes import Node

CREATED = "created"
UPDATED = "updated"
UNCHANGED = "unchanged"


class StoreError(PodnetError):
    """The store could not be asked, or it refused."""


class AccessError(StoreError):
    """The store does not let this user in, or not to this key."""


class UnreachableError(StoreError):
    """No endpoint of the store answered; nothing was changed."""


class UnknownOutcomeError(StoreError):
    """The connection broke after a write was sent: it may or may not have happened. Read back before repeating it."""


class LostRaceError(StoreError):
    """Somebody else changed the store between our reading and our writing; nothing was written."""


@dataclass(frozen=True)
class Problem:
    """Something in the store that a person should look at.

    C(kind) is a fixed word for programs, C(key) names the key or the thing it is about, C(message) says what is
    wrong and C(remedy) what to do.
    """

    kind: str
    key: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Entry:
    """A lease as the store holds it: key, value, the revision of its last change and its etcd lease (0: none)."""

    key: str
    value: str
    lease: Lease
    version: int
    handle: int = 0


@dataclass(frozen=True)
class Listing:
    """All leases at one revision of the store.

    C(blocked) are keys whose value cannot be read: nobody knows whose they are, but their subnets are taken.
    """

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    revision: int
    blocked: tuple[Entry, ...] = ()

    @property
    def leases(self) -> list[Lease]:
        """The readable leases, in the order of their keys."""
        return [entry.lease for entry in self.entries]

    @property
    def taken(self) -> list[Lease]:
        """All leases that an allocation must avoid."""
        return self.leases + [entry.lease for entry in self.blocked]


@dataclass(frozen=True)
class StoredConfig:
    """The network config as stored; C(config) is None and C(error) says why when it cannot be used."""

    text: str
    version: int
    config: NetworkConfig | None
    error: str = ""

    def usable(self) -> NetworkConfig:
        """Return the config; ConflictError says what is wrong with it."""
        if self.config is None:
            raise ConflictError(
                f"the stored network config cannot be used: {self.error}; correct it with the module "
                f"podnet.cni.flannel_network"
            )
        return self.config


@dataclass(frozen=True)
class Granted:
    """What became of one request: its lease, what was done (CREATED, UPDATED, UNCHANGED) and why.

    C(before) is the lease that stood under the same key, C(released) are this node's leases that were deleted.
    """

    decision: Decision
    lease: Lease
    done: str
    reason: str
    before: Lease | None = None
    released: tuple[Lease, ...] = ()


@dataclass(frozen=True)
class Event:
    """A change of the leases.

    C(kind) is C(snapshot) (C(leases) holds all of them; always the first event), C(added), C(updated) or
    C(removed) (C(lease) holds the one), or C(problem) (C(problem) holds it).
    """

    kind: str
    revision: int
    lease: Lease | None = None
    leases: tuple[Lease, ...] = ()
    problem: Problem | None = None


# (what was decided, this node's lease that exists or None) -> the lease that shall be stored; its ttl is ignored.
Want = Callable[[Decision, Optional[Lease]], Lease]


class LeaseStore(ABC):
    """Where the leases of one flannel network live. Every method may raise StoreError.

    C(problems) is what the last list of leases found wrong with keys or Nodes: nothing that stops anybody.
    """

    problems: tuple[Problem, ...] = ()
    allocates = True
    """Whether subnets come from the network config's ranges, and the config is written through the store."""

    @property
    @abstractmethod
    def where(self) -> str:
        """The place that holds the leases, for messages."""

    @property
    @abstractmethod
    def config_name(self) -> str:
        """What holds the network config, for messages."""

    @property
    @abstractmethod
    def config_remedy(self) -> str:
        """What to do when there is no network config."""

    @abstractmethod
    def read_config(self) -> StoredConfig | None:
        """Return the network config, or None when there is none."""

    @abstractmethod
    def require_config(self) -> StoredConfig:
        """Return the network config; ConflictError says what to do when there is no usable one."""

    @abstractmethod
    def write_config(self, text: str | None, before: StoredConfig | None, listing: Listing) -> None:
        """Store C(text) (None: delete the config), if neither config nor leases changed since they were read.

        Raises LostRaceError when they did.
        """

    @abstractmethod
    def list_leases(self, *, ttl: bool = False) -> Listing:
        """Return all leases at one revision; with C(ttl) also how long each of them still lives."""

    @abstractmethod
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
        """Give every request a lease and return what was done, in the order of C(requests).

        C(ttl) is the lifetime in seconds, None for leases that do not expire. A lease that is already as wanted is not
        written. C(dry_run) returns what would be done. Raises InputError or ConflictError when the requests cannot be
        met, before anything is written for the current list of leases.
        """

    @abstractmethod
    def release(self, match: Callable[[Lease], bool], *, dry_run: bool = False) -> list[Lease]:
        """Delete every lease for which C(match) holds and return them."""

    @abstractmethod
    def matcher(self, nodes: Sequence[Node]) -> Callable[[Lease], bool]:
        """Return the test for leases of C(nodes); InputError for a node that does not tell which lease is its own."""

    def misfits(self, leases: Sequence[Lease], config: NetworkConfig) -> list[Problem]:
        """Return a problem for each lease that the store may hold although it does not fit the network config."""
        return []

    @abstractmethod
    def watch(self, stop: Callable[[], bool], *, poll: float = 2.0) -> Iterator[Event]:
        """Yield a snapshot and then every change until C(stop) says so; it is asked at least every C(poll) seconds."""
