# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All namespaces in memory, followed by list and watch.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Expired, KubeError
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import lint
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.config import Config
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.decision import Namespace
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.server.api import Api, backoff

PATH = "/api/v1/namespaces"
Log = Callable[..., None]
LIST_AFTER = 3
"""A watch that fails so often in a row begins anew with a list."""


class NamespaceCache:
    """What pods may inherit, by namespace. Reads need no lock: entries are replaced as a whole.

    C(changed) is called with the name of each namespace that is new, changed or gone.
    """

    def __init__(self, api: Api, config: Config, log: Log) -> None:
        self._api = api
        self._config = config
        self._log = log
        self.changed: Callable[[str], None] = _nobody_cares
        self._entries: dict[str, Namespace] = {}
        self.invalid: dict[str, int] = {}
        self.synced = False
        self.restarts = 0
        self._heard = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="namespaces", daemon=True)

    def start(self) -> None:
        """Begin to follow the namespaces."""
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        self._stop.set()
        self._api.end_watch()

    def __len__(self) -> int:
        return len(self._entries)

    def age(self) -> float:
        """Seconds since the API server was last heard; a quiet watch gets a bookmark each minute."""
        return time.monotonic() - self._heard if self._heard else float("inf")

    def get(self, name: str) -> Namespace | None:
        """A namespace as far as we know."""
        return self._entries.get(name)

    def taking_part(self) -> list[Namespace]:
        """All namespaces whose pods inherit."""
        return [each for each in list(self._entries.values()) if self._config.takes_part(each.name, each.labels)]

    def fetch(self, name: str) -> Namespace:
        """Ask the API server for one namespace: it may be a moment old. Raises KubeError.

        The answer is not kept. It comes from another thread, and the watch may have told something newer meanwhile, or
        that the namespace is gone.
        """
        return self._entry(self._api.get(f"{PATH}/{name}"))

    def _entry(self, item: Mapping[str, Any]) -> Namespace:
        full = Namespace.from_object(item)
        kept = {key: value for key, value in full.annotations.items() if self._config.rule_for(key) is not None}
        return Namespace(full.name, full.labels, kept)

    def _store(self, item: Mapping[str, Any]) -> Namespace:
        entry = self._entry(item)
        if self._entries.get(entry.name) != entry:
            self._entries[entry.name] = entry
            self._judge(entry)
            self.changed(entry.name)
        return entry

    def _judge(self, entry: Namespace) -> None:
        """Count and report values that no pod will inherit, where pods inherit at all."""
        bad = {}
        if self._config.takes_part(entry.name, entry.labels):
            values = entry.annotations.items()
            bad = {key: value for key, value in values if value and not _usable(self._config, key, value)}
        for key, value in sorted(bad.items()):
            reason = lint.why_unusable(key, value)
            self._log("warning", "namespace holds an unusable value", namespace=entry.name, key=key, reason=reason)
        self.invalid.pop(entry.name, None)
        if bad:
            self.invalid[entry.name] = len(bad)

    def _forget(self, name: str) -> None:
        self._entries.pop(name, None)
        self.invalid.pop(name, None)
        self.changed(name)

    def _run(self) -> None:
        version = ""
        failures = 0
        while not self._stop.is_set():
            try:
                if not version:
                    version = self._list()
                    failures = 0
                for kind, item in self._api.watch(PATH, version):
                    self._heard = time.monotonic()
                    failures = 0
                    version = self._event(kind, item) or version
                self._stop.wait(0.2)
            except Expired:
                version = ""
            except Exception as error:
                # Whatever it was, a thread that ends would leave the cache as it is for good.
                if not self._stop.is_set():
                    self._log("warning", "watch of namespaces broke", error=str(error))
                self._stop.wait(backoff(failures))
                failures += 1
                # After a restore of etcd no watch can continue from a version that the API server has not reached yet.
                if not isinstance(error, KubeError) or failures % LIST_AFTER == 0:
                    version = ""
            self.restarts += 1

    def _list(self) -> str:
        page = self._api.list(PATH)
        names = {self._store(item).name for item in page.items}
        for name in set(self._entries) - names:
            self._forget(name)
        self._heard = time.monotonic()
        if not self.synced:
            self._log("info", "namespaces are known", count=len(names))
        self.synced = True
        return page.resource_version

    def _event(self, kind: str, item: Mapping[str, Any]) -> str:
        metadata = item.get("metadata") or {}
        if kind in ("ADDED", "MODIFIED"):
            self._store(item)
        elif kind == "DELETED":
            self._forget(str(metadata.get("name")))
        return str(metadata.get("resourceVersion") or "")


def _nobody_cares(_name: str) -> None:
    return None


def _usable(config: Config, key: str, value: str) -> bool:
    rule = config.rule_for(key)
    return rule is not None and lint.usable(rule.annotation, value)
