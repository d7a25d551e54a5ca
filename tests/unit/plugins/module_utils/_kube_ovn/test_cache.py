# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The namespace cache against an API of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.server import cache

RATE = "ovn.kubernetes.io/ingress_rate"
LABELS = {"podnet.cni/kube-ovn-inheritance": "enabled"}
CONFIG = config.parse({"annotations": ["ingress_rate"]})


def space(rate: str, version: int, labels: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": "team", "labels": LABELS if labels is None else labels, "annotations": {RATE: rate}}
    return {"metadata": {**metadata, "resourceVersion": str(version)}}


class Page(NamedTuple):
    items: list[dict[str, Any]]
    resource_version: str


class FakeApi:
    """Lists, and watches that fail as told; ends the cache's thread of control when nothing is left to tell."""

    def __init__(self, watches: list[Any]) -> None:
        self.watches = watches
        self.live = space("1", 5)
        self.lists = 0
        self.versions: list[str] = []
        self.cache: cache.NamespaceCache | None = None

    def get(self, _path: str) -> dict[str, Any]:
        return self.live

    def list(self, _path: str) -> Page:
        self.lists += 1
        return Page([space("1", 5)], "5")

    def watch(self, _path: str, version: str) -> Iterator[tuple[str, dict[str, Any]]]:
        self.versions.append(version)
        if not self.watches:
            assert self.cache is not None
            self.cache.stop()
            return
        told = self.watches.pop(0)
        if isinstance(told, Exception):
            raise told
        yield told

    def end_watch(self) -> None:
        return None


def run(watches: list[Any], monkeypatch: pytest.MonkeyPatch) -> tuple[FakeApi, cache.NamespaceCache]:
    monkeypatch.setattr(cache, "backoff", lambda _attempt: 0.0)
    api: Any = FakeApi(watches)
    found = api.cache = cache.NamespaceCache(api, CONFIG, lambda *_line, **_more: None)
    found._run()
    return api, found


def test_a_live_answer_does_not_replace_what_the_watch_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by an older state, and not for a namespace that is gone."""
    _api, found = run([("MODIFIED", space("2", 6))], monkeypatch)
    assert found.fetch("team").annotations == {RATE: "1"}
    known = found.get("team")
    assert known is not None
    assert known.annotations == {RATE: "2"}
    _api, found = run([("DELETED", space("1", 6))], monkeypatch)
    assert found.fetch("team").annotations == {RATE: "1"}
    assert found.get("team") is None


def test_a_watch_that_keeps_failing_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restore of etcd: 504 Too large resource version, whatever is tried."""
    refusal = KubeError("504 Too large resource version", status=504)
    api, _found = run([("MODIFIED", space("2", 900)), *[refusal] * cache.LIST_AFTER], monkeypatch)
    assert api.lists == 2
    assert api.versions == ["5", *["900"] * cache.LIST_AFTER, "5"]


def test_a_watch_that_breaks_once_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    api, _found = run([KubeError("cut"), ("MODIFIED", space("2", 6)), KubeError("cut")], monkeypatch)
    assert api.lists == 1


def test_unusable_values_are_named_where_pods_inherit() -> None:
    lines: list[dict[str, Any]] = []
    api: Any = FakeApi([])
    found = cache.NamespaceCache(api, CONFIG, lambda *_line, **more: lines.append(more))
    found._store(space("10M", 1, {}))
    assert (lines, found.invalid) == ([], {})
    found._store(space("10M", 2))
    assert found.invalid == {"team": 1}
    reason = "it is not a whole number of at most nine digits: 10M"
    assert lines == [{"namespace": "team", "key": RATE, "reason": reason}]
    found._store(space("10", 3))
    assert found.invalid == {}
