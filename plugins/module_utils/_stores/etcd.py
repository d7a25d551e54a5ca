# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease store in etcd, shared with flannelds that run under the same prefix.

Private to podnet.cni: may change in any release.

Keys and values are those of flannel v0.28.9 pkg/subnet/etcd. What differs is the number of round trips: flanneld
creates one key for one node, this store creates up to 126 in one transaction, guarded so that no lease which appeared
after the list was read can be overlooked.
"""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import replace
from typing import Any, Callable, Iterator, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Request, allocate
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._stores import configs, etcd_json, etcd_plan, etcd_watch
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    Entry,
    Event,
    Granted,
    LeaseStore,
    Listing,
    LostRaceError,
    Problem,
    StoredConfig,
    StoreError,
    UnknownOutcomeError,
    Want,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.nodes import Node, matcher

MAX_LOST_RACES = 10
# A controller that is winning needs about half a second for its remaining batches; let it finish.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


class EtcdStore(LeaseStore):
    """The leases under C(client)'s prefix. C(sleep) and C(rng) space out attempts after a lost race."""

    def __init__(
        self,
        client: EtcdClient,
        *,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.client = client
        self.keys = etcd_plan.Keys(client.options.prefix)
        self._sleep = sleep
        # Seeded by the system: controllers that collide must not pause in step.
        self._rng = rng or random.SystemRandom()

    @property
    def where(self) -> str:
        """The place that holds the leases, for messages."""
        return self.client.options.prefix

    @property
    def config_name(self) -> str:
        """The key of the network config."""
        return self.keys.config

    @property
    def config_remedy(self) -> str:
        """What to do when there is no network config."""
        return "write it with podnet.cni.flannel_network, or name the right etcd_prefix"

    def read_config(self) -> StoredConfig | None:
        """Return the network config, or None when there is none."""
        answer = self.client.call("kv/range", etcd_json.range_request(self.keys.config))
        pairs = answer.get("kvs", [])
        if not pairs:
            return None
        text = etcd_json.decode_value(pairs[0].get("value", ""))
        version = etcd_json.number(pairs[0], "mod_revision")
        try:
            return StoredConfig(text, version, network_config.parse(text))
        except InputError as error:
            return StoredConfig(text, version, None, str(error))

    def require_config(self) -> StoredConfig:
        """Return the network config; ConflictError tells how to write one when there is no usable one."""
        stored = self.read_config()
        if stored is None:
            raise ConflictError(
                f"etcd has no network config under {self.keys.config}; write it first with the module "
                f"podnet.cni.flannel_network, or name the right etcd_prefix"
            )
        stored.usable()
        return stored

    def write_config(
        self, text: str | None, before: StoredConfig | None, listing: Listing, doomed: Sequence[Entry] = ()
    ) -> None:
        """Store C(text) (None: delete the config), provided that neither config nor leases changed meanwhile.

        The C(doomed) leases of the listing are deleted with it.
        """
        together = etcd_json.MAX_BATCH_OPS // 2
        self._change(doomed[together:], lambda entry: etcd_json.delete(entry.key))
        key = self.keys.config
        compare = [
            etcd_json.unchanged(key, before.version if before else 0),
            etcd_json.nothing_newer(self.keys.first, self.keys.end, listing.revision),
        ]
        operations = [etcd_json.delete(entry.key) for entry in doomed[:together]]
        operations.append(etcd_json.delete(key) if text is None else etcd_json.put(key, text))
        try:
            answer = self.client.call("kv/txn", etcd_json.transaction(compare, operations), write=True)
        except UnknownOutcomeError:
            now = self.read_config()
            if (now.text if now else None) != text:
                raise
            return
        if not answer.get("succeeded"):
            raise LostRaceError(f"etcd: {key} or the leases changed while the config was written; run again")

    def list_leases(self, *, ttl: bool = False) -> Listing:
        """Return all leases at one revision; with C(ttl) also how long each of them still lives."""
        entries: list[Entry] = []
        blocked: list[Entry] = []
        problems: list[Problem] = []
        start, revision, more = self.keys.first, 0, True
        while more:
            answer = self.client.call(
                "kv/range",
                etcd_json.range_request(start, self.keys.end, revision=revision, limit=etcd_json.PAGE),
            )
            revision = revision or int(answer["header"]["revision"])
            pairs = answer.get("kvs", [])
            for pair in pairs:
                entry, taken, problem = etcd_plan.read_entry(self.keys, pair)
                entries.extend([entry] if entry else [])
                blocked.extend([taken] if taken else [])
                problems.extend([problem] if problem else [])
            more = bool(answer.get("more")) and bool(pairs)
            if more:
                start = etcd_json.decode_key(pairs[-1]["key"]) + "\0"
        if ttl:
            left = self.remaining(entries)
            entries = [replace(entry, lease=replace(entry.lease, ttl=left.get(entry.handle))) for entry in entries]
        self.problems = tuple(problems)
        return Listing(tuple(entries), self.problems, revision, tuple(blocked))

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
        """Give every request a lease and return what was done, in the order of C(requests)."""
        run = _Acquisition(self, stored, requests, want, ttl=ttl, choice=choice, seed=seed)
        return run.preview() if dry_run else run.commit()

    def release(self, match: Callable[[Lease], bool], *, dry_run: bool = False) -> list[Lease]:
        """Delete every lease for which C(match) holds and return them."""
        gone: dict[str, Lease] = {}

        def attempt() -> None:
            listing = self.list_leases()
            doomed = [entry for entry in listing.entries + listing.blocked if match(entry.lease)]
            gone.update((entry.key, entry.lease) for entry in doomed)
            if not dry_run:
                self._change(doomed, lambda entry: etcd_json.delete(entry.key))

        self.retry(attempt)
        return list(gone.values())

    def matcher(self, nodes: Sequence[Node]) -> Callable[[Lease], bool]:
        """Return the test for leases of C(nodes): by public IP, or by subnet for a node that gives no public IP."""
        return matcher(nodes)

    def watch(self, stop: Callable[[], bool], *, poll: float = 2.0) -> Iterator[Event]:
        """Yield a snapshot and then every change until C(stop) says so; it is asked at least every C(poll) seconds."""
        return etcd_watch.watch(self, stop, poll, self._sleep)

    def remaining(self, entries: Sequence[Entry]) -> dict[int, int]:
        """Return the seconds left of every etcd lease that C(entries) have, by its ID."""
        left = {}
        for handle in sorted({entry.handle for entry in entries} - {0}):
            answer = self.client.call("lease/timetolive", {"ID": str(handle)})
            left[handle] = max(etcd_json.number(answer, "TTL"), 0)
        return left

    def grant(self, ttl: int) -> int:
        """Return the ID of a new etcd lease of C(ttl) seconds."""
        return int(self.client.call("lease/grant", {"TTL": str(ttl)})["ID"])

    def revoke(self, handle: int) -> None:
        """Give an unused etcd lease back; where that fails it expires by itself."""
        with contextlib.suppress(StoreError):
            self.client.call("lease/revoke", {"ID": str(handle)})

    def commit(self, transaction: dict[str, Any]) -> int:
        """Do C(transaction) and return its revision; LostRaceError when its comparisons do not hold."""
        answer = self.client.call("kv/txn", transaction, write=True)
        if not answer.get("succeeded"):
            raise LostRaceError("etcd: the leases changed while they were written")
        return int(answer["header"]["revision"])

    def pause(self, lost: int) -> None:
        """Wait after the C(lost)-th lost race in a row, longer each time and never in step with others."""
        longest = min(_FIRST_PAUSE * 2 ** (lost - 1), _LONGEST_PAUSE)
        self._sleep(self._rng.uniform(longest / 2, longest))

    def retry(self, attempt: Callable[[], None]) -> None:
        """Repeat C(attempt) after each lost race and after a write of unknown outcome, up to the limit."""
        for lost in range(1, MAX_LOST_RACES + 1):
            try:
                return attempt()
            except (LostRaceError, UnknownOutcomeError):
                self.pause(lost)
        return attempt()

    def _change(self, entries: Sequence[Entry], operation: Callable[[Entry], dict[str, Any]]) -> None:
        for start in range(0, len(entries), etcd_json.MAX_BATCH_OPS):
            batch = entries[start : start + etcd_json.MAX_BATCH_OPS]
            self.commit(
                etcd_json.transaction(
                    [etcd_json.unchanged(entry.key, entry.version) for entry in batch],
                    [operation(entry) for entry in batch],
                )
            )


class _Acquisition:
    """One run of C(EtcdStore.acquire): what is still open, and what became of the rest."""

    def __init__(
        self,
        store: EtcdStore,
        stored: StoredConfig,
        requests: Sequence[Request],
        want: Want,
        *,
        ttl: int | None,
        choice: str,
        seed: int | None,
    ) -> None:
        self._store = store
        self._config = stored.usable()
        self._config_version = stored.version
        self._requests = requests
        self._want = want
        self._ttl = ttl
        self._choice = choice
        self._seed = seed
        self._done: dict[str, Granted] = {}
        self._written = 0
        self._handle = 0
        self._handle_used = False

    def preview(self) -> list[Granted]:
        """Return what would be done."""
        return [step.granted for step in self._plan(self._store.list_leases())]

    def commit(self) -> list[Granted]:
        """Do it, batch by batch; after a lost race decide anew about what is not yet written."""
        try:
            self._commit_all()
        except StoreError as error:
            if not self._written:
                raise
            raise StoreError(
                f"{error}. {self._written} of {len(self._requests)} leases were written; run again, they are kept"
            ) from error
        finally:
            if self._handle and not self._handle_used:
                self._store.revoke(self._handle)
        return [self._done[request.name] for request in self._requests]

    def _commit_all(self) -> None:
        store, lost = self._store, 0
        doubtful: list[etcd_plan.Step] = []
        doubt: UnknownOutcomeError | None = None
        while True:
            listing = self._list_again(doubt)
            self._settle(doubtful, listing)
            doubtful, doubt = [], None
            steps = self._plan(listing)
            self._note([step for step in steps if not step.is_write])
            revision = listing.revision
            try:
                for batch in etcd_plan.batches(step for step in steps if step.is_write):
                    doubtful = batch
                    revision = self._write(batch, revision)
                    self._note(batch, written=True)
                    lost = 0
                return
            except LostRaceError:
                doubtful = []
                self._check_config()
            except UnknownOutcomeError as error:
                doubt = error
            lost += 1
            if lost > MAX_LOST_RACES:
                raise doubt or LostRaceError(
                    f"etcd: lost {lost} races in a row against other writers under {store.keys.first}; run again"
                )
            store.pause(lost)

    def _list_again(self, doubt: UnknownOutcomeError | None) -> Listing:
        try:
            return self._store.list_leases()
        except StoreError:
            if doubt is not None:
                raise doubt from None
            raise

    def _settle(self, doubtful: Sequence[etcd_plan.Step], listing: Listing) -> None:
        """Find out whether the transaction whose answer was lost happened: all of its keys hold our value, or none."""
        if not doubtful:
            return
        stands = {entry.key: entry for entry in listing.entries}
        if all(
            step.key in stands and stands[step.key].value == step.value and stands[step.key].version > step.version
            for step in doubtful
        ):
            self._note(doubtful, written=True)

    def _plan(self, listing: Listing) -> list[etcd_plan.Step]:
        open_requests = [request for request in self._requests if request.name not in self._done]
        decisions = allocate(self._config, listing.taken, open_requests, seed=self._seed, choice=self._choice)
        remaining: dict[int, int] = {}
        if self._ttl is not None:
            kept = {id(decision.lease) for decision in decisions}
            remaining = self._store.remaining([entry for entry in listing.entries if id(entry.lease) in kept])
        steps = etcd_plan.plan(
            self._store.keys, listing.entries, decisions, self._want, ttl=self._ttl, remaining=remaining
        )
        etcd_plan.check_harmless(self._config, steps)
        return steps

    def _note(self, steps: Sequence[etcd_plan.Step], *, written: bool = False) -> None:
        for step in steps:
            self._done[step.granted.decision.request.name] = step.granted
        if written:
            self._written += len(steps)
            self._handle_used = True

    def _write(self, batch: Sequence[etcd_plan.Step], revision: int) -> int:
        if self._ttl is not None and not self._handle:
            self._handle = self._store.grant(self._ttl)
        transaction = etcd_plan.transaction(self._store.keys, batch, self._handle, revision, self._config_version)
        try:
            return self._store.commit(transaction)
        except UnknownOutcomeError:
            # Revoking it would delete the keys that may have been written.
            self._handle_used = True
            raise

    def _check_config(self) -> None:
        now = self._store.read_config()
        found = ["it is gone"] if now is None else configs.differences(now.usable(), self._config)
        if now is None or found:
            raise ConflictError(
                f"{self._store.config_name}: the network config was changed while leases were written "
                f"({', '.join(found)}): somebody else writes here. Find out who, agree on one config, and run again"
            )
        # Written anew as it was: what was decided under it holds.
        self._config_version = now.version
