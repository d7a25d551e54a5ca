# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow the leases on Nodes, over ended watches, lost connections and forgotten versions.

Private to podnet.cni: may change in any release.

The list of Nodes and its version come first, then a watch from that version with bookmarks, as described at
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
"""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable, Iterator, Mapping, Protocol

from ansible_collections.podnet.cni.plugins.module_utils._kube import errors
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient, WatchEvent
from ansible_collections.podnet.cni.plugins.module_utils._stores import watching
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    AccessError,
    Entry,
    Event,
    Listing,
    Problem,
    StoredConfig,
    UnreachableError,
)

_NODES = "/api/v1/nodes"


class Source(Protocol):
    """What is asked of a store of leases on Nodes."""

    client: KubeClient

    @property
    def config_name(self) -> str:
        """What holds the network config, for messages."""

    def read_config(self) -> StoredConfig | None:
        """Return the network config, or None when there is none."""

    def list_leases(self) -> Listing:
        """Return the leases of all Nodes."""

    def read_node(self, node: Mapping[str, Any]) -> tuple[Entry | None, Entry | None, Problem | None]:
        """Return (lease, blocked subnets, problem) of a Node; any of them may be None."""


def watch(store: Source, stop: Callable[[], bool], poll: float, sleep: Callable[[float], None]) -> Iterator[Event]:
    """Yield a snapshot, then every change of a lease until C(stop) returns true.

    Changes of a Node that leave its lease alone, such as heartbeats, are not reported. An outage is one C(problem)
    event, and so is a Node that cannot be read, until that changes; afterwards the watch continues where it was. The
    network config is read at the start, as flanneld does it: it says which families a Node must be annotated for. Where
    it cannot be used, a C(problem) says so. Raises StoreError when the Nodes cannot be read at the start, or access is
    denied.
    """
    state = _Following(store)
    yield from state.begin()
    pause, broken, anew = watching.FIRST_PAUSE, False, False
    while not stop():
        try:
            if anew:
                yield from state.resync()
                anew = False
            for event in state.follow(stop, poll):
                pause, broken = watching.FIRST_PAUSE, False
                if event is not None:
                    yield event
            continue
        except errors.Expired:
            anew = True
            continue
        except (errors.Unauthorized, errors.Forbidden) as error:
            raise AccessError(str(error)) from error
        except AccessError:
            raise
        except (errors.KubeError, UnreachableError) as error:
            if not broken:
                yield Event("problem", state.revision, problem=_outage(error))
            broken = True
        watching.sleep_until(pause, stop, sleep)
        pause = min(pause * 2, watching.LONGEST_PAUSE)


class _Following:
    """The leases known so far and the version up to which they are known."""

    def __init__(self, store: Source) -> None:
        self._store = store
        self._known: dict[str, Entry] = {}
        self._problems: dict[str, Problem] = {}
        self.revision = 0

    def begin(self) -> Iterator[Event]:
        """Read everything and yield it as a snapshot."""
        unusable = self._read_config()
        listing = self._list()
        yield Event("snapshot", listing.revision, leases=tuple(listing.leases))
        if unusable is not None:
            yield Event("problem", listing.revision, problem=unusable)
        for problem in listing.problems:
            yield Event("problem", listing.revision, problem=problem)

    def resync(self) -> Iterator[Event]:
        """Read everything again and yield what differs from what was known."""
        before, problems = self._known, self._problems
        listing = self._list()
        for name, entry in before.items():
            if name not in self._known:
                yield Event("removed", listing.revision, lease=entry.lease)
        for name, entry in self._known.items():
            yield from watching.difference(before.get(name), entry, listing.revision)
        for problem in listing.problems:
            if problems.get(problem.key) != problem:
                yield Event("problem", listing.revision, problem=problem)

    def _list(self) -> Listing:
        listing = self._store.list_leases()
        self._known = {entry.key: entry for entry in listing.entries}
        self._problems = {problem.key: problem for problem in listing.problems}
        self.revision = listing.revision
        return listing

    def _read_config(self) -> Problem | None:
        """Have the store read the network config; gives what is wrong with it."""
        where = self._store.config_name
        try:
            stored = self._store.read_config()
        except AccessError as error:
            reason = str(error)
        else:
            if stored is not None and stored.config is not None:
                return None
            reason = f"{where} cannot be used: {stored.error}" if stored else f"{where} has no net-conf.json"
        return Problem(
            "no_network_config",
            where,
            f"{reason}. Each family that a Node is annotated for counts, even where flanneld skips the Node",
            "name the right kube_namespace and kube_config_map, or give network_config",
        )

    def follow(self, stop: Callable[[], bool], poll: float) -> Iterator[Event | None]:
        """Yield changes until the server ends the watch; None for a sign of life that is not a change."""
        pump = _Pump(self._store.client, str(self.revision))
        try:
            while not stop():
                message = pump.next(poll)
                if message is _IDLE:
                    continue
                if message is _END:
                    return
                yield None
                yield from self._apply(message)
        finally:
            pump.stop()

    def _apply(self, message: WatchEvent) -> Iterator[Event]:
        version = message.resource_version
        self.revision = int(version) if version.isdigit() else self.revision
        if message.type == "BOOKMARK":
            return
        node = message.object
        name = str(node["metadata"]["name"])
        before, told = self._known.pop(name, None), self._problems.pop(name, None)
        entry, problem = None, None
        if message.type != "DELETED":
            entry, _blocked, problem = self._store.read_node(node)
        if problem is not None:
            self._problems[name] = problem
            # A kubelet's heartbeat changes the Node every few seconds to minutes.
            if problem != told:
                yield Event("problem", self.revision, problem=problem)
        if entry is None:
            if before is not None:
                yield Event("removed", self.revision, lease=before.lease)
            return
        self._known[entry.key] = entry
        yield from watching.difference(before, entry, self.revision)


_IDLE = object()
_END = object()


class _Pump:
    """Reads one watch in a thread of its own, so that its reader can look up from it at any time."""

    def __init__(self, client: KubeClient, version: str) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(maxsize=1000)
        self._stopped = threading.Event()
        self._client = client
        self._events = client.watch(_NODES, version)
        threading.Thread(target=self._run, daemon=True).start()

    def next(self, seconds: float) -> Any:
        """The next WatchEvent, _IDLE when none came in time, _END after the last; raises what the watch raised."""
        try:
            message = self._queue.get(timeout=seconds)
        except queue.Empty:
            return _IDLE
        if isinstance(message, Exception):
            raise message
        return message

    def stop(self) -> None:
        """Let the thread end; where the watch cannot be ended from here, it does when the server ends it."""
        self._stopped.set()
        self._client.end_watches()

    def _run(self) -> None:
        try:
            for event in self._events:
                if not self._put(event):
                    return
            self._put(_END)
        except Exception as error:  # handed to the reader
            self._put(error)
        finally:
            self._events.close()

    def _put(self, message: Any) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(message, timeout=0.5)
                return True
            except queue.Full:
                continue
        return False


def _outage(error: Exception) -> Problem:
    return Problem("unreachable", "kubernetes", str(error), "the watch continues by itself when the API server is back")
