# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the discovery lookups have in common: options, parallel clusters, errors and caches.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleError, AnsibleLookupError, AnsibleOptionsError
from ansible.plugins.loader import cache_loader
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.podnet.cni.plugins.module_utils._discovery import cluster, recognisers, summary
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import SCHEMA_VERSION, Record, to_dict
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube.auth import Auth, key_files_removed
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError
from ansible_collections.podnet.cni.plugins.module_utils._kube.library import load

MAX_CACHE_TIMEOUT = 300
_MAX_PARALLEL = 8

Data = dict[str, Any]
display = Display()


class DiscoveryLookup(LookupBase):
    """A lookup over clusters, by its full C(name); C(sought) is the one plugin it is about, empty for all."""

    name = ""
    sought = ""
    _store: Any = None

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Data]:
        """Records of each context, in the order of the terms; see the documentation of the lookups."""
        self._reject_unknown(kwargs)
        self.set_options(var_options=variables, direct=kwargs)
        self._check()
        self._store = self._open_store()
        contexts = self._contexts(terms)
        answers = self._all(contexts)
        if self.get_option("summary"):
            summaries = [summary.summarise(answer) if answer else None for answer in answers]
            summary.note_overlaps([item for item in summaries if item is not None])
            answers = [[*answer, item] if item else answer for answer, item in zip(answers, summaries, strict=True)]
        return [record for answer in answers for record in answer]

    # -- options ----------------------------------------------------------------------------------------------------

    def _reject_unknown(self, given: Iterable[str]) -> None:
        """Ansible itself ignores options a lookup does not have, and with them every typing error."""
        known: set[str] = set()
        for name, definition in C.config.get_configuration_definitions("lookup", self._load_name).items():
            known.update([name, *definition.get("aliases", [])])
        unknown = sorted(set(given) - known)
        if unknown:
            listed = ", ".join(sorted(known - {"_terms"}))
            raise AnsibleOptionsError(f"{self.name}: there is no option {', '.join(unknown)}; there are {listed}.")

    def _check(self) -> None:
        for name, lowest, highest in (
            ("nodes", 0, 5000),
            ("cache_timeout", 1, MAX_CACHE_TIMEOUT),
            ("timeout", 0.1, 600),
        ):
            value = self.get_option(name)
            if not lowest <= value <= highest:
                raise AnsibleOptionsError(f"{self.name}: {name} is {value}; use {lowest} to {highest}.")
        if not self.get_option("namespaces"):
            raise AnsibleOptionsError(f"{self.name}: namespaces is empty; name at least one.")

    def _contexts(self, terms: Iterable[Any]) -> list[str | None]:
        contexts: list[str | None] = []
        for term in terms:
            if not isinstance(term, str) or not term.strip():
                raise AnsibleOptionsError(f"{self.name}: a term is the name of a context, not {term!r}.")
            if term in contexts:
                raise AnsibleOptionsError(f"{self.name}: context {term!r} is named twice.")
            # A tagged string would not survive as a key of the cache.
            contexts.append(str(term))
        if contexts and self.get_option("host"):
            raise AnsibleOptionsError(f"{self.name}: host is one cluster; leave it out to name contexts.")
        return contexts or [self.get_option("context")]

    def _scope(self) -> cluster.Scope:
        return cluster.Scope(
            mode=self.get_option("mode"),
            namespaces=tuple(map(str, self.get_option("namespaces"))),
            nodes=self.get_option("nodes"),
            sought=self.sought,
        )

    # -- clusters ---------------------------------------------------------------------------------------------------

    def _all(self, contexts: list[str | None]) -> list[list[Data]]:
        options = self.get_options()
        scope = self._scope()

        def ask(context: str | None) -> list[Data] | KubeError:
            try:
                return self._cached(Auth.from_options({**options, "context": context}), scope)
            except KubeError as error:
                return error

        try:
            load()
            # Workers of Ansible end without the exit handlers that would remove the files.
            with key_files_removed(), ThreadPoolExecutor(max_workers=min(_MAX_PARALLEL, len(contexts))) as pool:
                answers = list(pool.map(ask, contexts))
        except PodnetError as error:
            raise AnsibleLookupError(f"{self.name}: {error}") from error
        errors = [answer for answer in answers if isinstance(answer, KubeError)]
        if errors and self.get_option("on_error") == "fail":
            raise AnsibleLookupError(f"{self.name}: " + " ".join(map(str, errors))) from errors[0]
        return [
            self._instead(str(context or self.get_option("host") or ""), answer)
            if isinstance(answer, KubeError)
            else answer
            for context, answer in zip(contexts, answers, strict=True)
        ]

    def _instead(self, name: str, error: KubeError) -> list[Data]:
        """The answer for a cluster that could not be asked."""
        if self.get_option("on_error") == "empty":
            return []
        display.warning(f"{self.name}: {error}")
        return [to_dict(Record(plugin="unknown", cluster=name, scope="partial", warnings=[str(error)]))]

    def _ask(self, auth: Auth, scope: cluster.Scope) -> list[Data]:
        with KubeClient(auth, timeout=self.get_option("timeout"), budget=2 * self.get_option("timeout")) as client:
            name = client.target.context or client.target.server
            return [to_dict(record) for record in cluster.discover(client, scope, recognisers.load_all(), name)]

    # -- caches -----------------------------------------------------------------------------------------------------

    def _cached(self, auth: Auth, scope: cluster.Scope) -> list[Data]:
        key = cache_key(auth, scope)
        if not self.get_option("run_cache"):
            return self._beyond_run(key, lambda: self._ask(auth, scope))
        with RunCache(key) as remembered:
            if remembered.answer is None:
                remembered.answer = self._beyond_run(key, lambda: self._ask(auth, scope))
            return remembered.answer

    def _beyond_run(self, key: str, ask: Callable[[], list[Data]]) -> list[Data]:
        if self._store is None:
            return ask()
        try:
            return list(self._store.get(key))
        except KeyError:
            answer = ask()
        if complete(answer):
            self._store.set(key, answer)
        return answer

    def _open_store(self) -> Any:
        """The cache plugin, None when answers are not to be remembered beyond the run."""
        if not self.get_option("cache"):
            return None
        name = self.get_option("cache_plugin")
        settings = {f"_{key}": self.get_option(f"cache_{key}") for key in ("prefix", "timeout")}
        try:
            store = cache_loader.get(name, _uri=self.get_option("cache_connection"), **settings)
        except AnsibleError as error:
            raise AnsibleOptionsError(f"{self.name}: cache_plugin {name} cannot be used: {error}") from error
        if store is None:
            raise AnsibleOptionsError(f"{self.name}: cache_plugin: there is no cache plugin {name}.")
        return store


def cache_key(auth: Auth, scope: cluster.Scope) -> str:
    """A digest of who asks which cluster for what; files that the options name count with their content."""
    parts: list[Any] = [SCHEMA_VERSION, dataclasses.asdict(auth), dataclasses.asdict(scope)]
    if not isinstance(auth.kubeconfig, dict):
        listed = auth.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
        parts.extend(map(_digest_of_file, str(listed).split(os.pathsep)))
    parts.extend(_digest_of_file(name) for name in (auth.ca_cert, auth.client_cert, auth.client_key) if name)
    parts.append(os.environ.get("KUBERNETES_SERVICE_HOST", ""))
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _digest_of_file(name: str) -> str:
    path = Path(name).expanduser()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def complete(answer: list[Data]) -> bool:
    """Whether an answer may be remembered: one that lacks what was forbidden may not."""
    return not any(record["scope"] == "partial" for record in answer)


class RunCache:
    """An answer that lives as long as this run of Ansible, shared by all its worker processes.

    As a context manager it lets one process at a time ask for a key; the others wait and find C(answer) set.
    Ansible's own temporary directory is made for the run, readable by its user alone, and removed at the end.
    """

    def __init__(self, key: str) -> None:
        self._file = Path(C.DEFAULT_LOCAL_TMP) / f"podnet-cni-{key}.json"
        self.answer: list[Data] | None = None

    def __enter__(self) -> RunCache:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = self._file.with_suffix(".lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if self._file.exists():
            self.answer = json.loads(self._file.read_text(encoding="utf-8"))
            self._known = True
        else:
            self._known = False
        return self

    def __exit__(self, kind: object, *_exc: object) -> None:
        try:
            if kind is None and not self._known and self.answer is not None and complete(self.answer):
                self._file.write_text(json.dumps(self.answer), encoding="utf-8")
        finally:
            self._lock.close()
