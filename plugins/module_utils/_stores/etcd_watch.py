# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow the leases in etcd, over lost connections and compactions.

Private to podnet.cni: may change in any release.

As flanneld does (flannel v0.28.9 pkg/subnet/etcd/registry.go watchSubnets), with one difference: after a compaction
whole leases are compared, so that a peer whose public IP or MAC changed meanwhile is reported.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Iterator, Mapping, Protocol, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._stores import etcd_json, etcd_plan, watching
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    AccessError,
    Entry,
    Event,
    Listing,
    Problem,
    StoreError,
    UnreachableError,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import (
    EtcdAnswerError,
    EtcdClient,
    is_token_error,
)


class Source(Protocol):
    """What is asked of an etcd store."""

    client: EtcdClient
    keys: etcd_plan.Keys

    def list_leases(self, *, ttl: bool = False) -> Listing:
        """Return all leases at one revision; with C(ttl) also how long each of them still lives."""

    def remaining(self, entries: Sequence[Entry]) -> dict[int, int]:
        """Return the seconds left of every etcd lease that C(entries) have, by its ID."""


class _Resync(Exception):
    """The revision to continue from is gone; list anew."""


def watch(store: Source, stop: Callable[[], bool], poll: float, sleep: Callable[[float], None]) -> Iterator[Event]:
    """Yield a snapshot, then every change of a lease until C(stop) returns true.

    A renewal, which writes the same lease again, is not a change. An outage is one C(problem) event; afterwards the
    watch continues where it was. Raises StoreError when the store cannot be read at the start, or denies access.
    """
    state = _Following(store)
    yield from state.begin()
    pause = watching.FIRST_PAUSE
    broken = False
    while not stop():
        try:
            yield from state.follow(stop, poll)
            pause, broken = watching.FIRST_PAUSE, False
            continue
        except AccessError:
            raise
        except EtcdAnswerError as error:
            if not is_token_error(error.code, error.text):
                raise
            store.client.forget_token()
        except UnreachableError as error:
            if not broken:
                yield Event("problem", state.revision, problem=_outage(error))
            broken = True
        watching.sleep_until(pause, stop, sleep)
        pause = min(pause * 2, watching.LONGEST_PAUSE)


class _Following:
    """The leases known so far and the revision up to which they are known."""

    def __init__(self, store: Source) -> None:
        self._store = store
        self._known: dict[str, Entry] = {}
        self.revision = 0

    def begin(self) -> Iterator[Event]:
        """Read everything and yield it as a snapshot."""
        listing = self._store.list_leases(ttl=True)
        self._remember(listing)
        yield Event("snapshot", listing.revision, leases=tuple(listing.leases))
        for problem in listing.problems:
            yield Event("problem", listing.revision, problem=problem)

    def follow(self, stop: Callable[[], bool], poll: float) -> Iterator[Event]:
        """Yield changes until the stream is idle for C(poll) seconds."""
        keys = self._store.keys
        request = etcd_json.range_request(keys.first, keys.end)
        request["start_revision"] = str(self.revision + 1)
        # One plain call first: it finds an endpoint that answers, and authenticates.
        self._store.client.call("kv/range", etcd_json.range_request(keys.config, limit=1))
        try:
            for message in self._store.client.stream("watch", {"create_request": request}, poll):
                if message is None or stop():
                    return
                yield from self._read(message)
        except _Resync:
            yield from self._resync()

    def _read(self, message: Mapping[str, Any]) -> Iterator[Event]:
        if message.get("canceled"):
            reason = str(message.get("cancel_reason", ""))
            if etcd_json.number(dict(message), "compact_revision") or "compacted" in reason:
                raise _Resync
            if "permission denied" in reason:
                raise AccessError(f"etcd denies watching {self._store.keys.first}; grant the role read access to it")
            raise EtcdAnswerError(0, reason, f"etcd ended the watch: {reason}")
        at = int(fields.at(message, "header", "revision") or 0)
        if message.get("created") and at and at < self.revision:
            # An etcd that lost its data starts counting anew and would stay silent until it caught up.
            raise _Resync
        changes = message.get("events", [])
        for change in changes:
            yield from self._apply(change)
        # Only now: when reading a time to live fails in between, the same changes come again and are skipped.
        revisions = [int(change["kv"].get("mod_revision", 0)) for change in changes]
        self.revision = max([self.revision, *revisions])

    def _apply(self, change: Mapping[str, Any]) -> Iterator[Event]:
        pair = change["kv"]
        revision = int(pair.get("mod_revision", 0))
        key = etcd_json.decode_key(pair["key"])
        entry: Entry | None = None
        if change.get("type") != "DELETE":
            entry, _blocked, problem = etcd_plan.read_entry(self._store.keys, pair)
            if problem is not None:
                yield Event("problem", revision, problem=problem)
        if entry is None:
            gone = self._known.pop(key, None)
            if gone is not None:
                yield Event("removed", revision, lease=gone.lease)
            return
        left = self._store.remaining([entry]).get(entry.handle)
        entry = replace(entry, lease=replace(entry.lease, ttl=left))
        before = self._known.get(key)
        self._known[key] = entry
        yield from watching.difference(before, entry, revision)

    def _resync(self) -> Iterator[Event]:
        before = self._known
        listing = self._store.list_leases(ttl=True)
        self._remember(listing)
        for key, entry in before.items():
            if key not in self._known:
                yield Event("removed", listing.revision, lease=entry.lease)
        for key, entry in self._known.items():
            yield from watching.difference(before.get(key), entry, listing.revision)
        for problem in listing.problems:
            yield Event("problem", listing.revision, problem=problem)

    def _remember(self, listing: Listing) -> None:
        self._known = {entry.key: entry for entry in listing.entries}
        self.revision = listing.revision


def _outage(error: StoreError) -> Problem:
    return Problem("unreachable", "etcd", str(error), "the watch continues by itself when etcd is back")
