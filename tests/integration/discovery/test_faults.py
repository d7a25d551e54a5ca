# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lookups say when they may not or cannot ask a real API server."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible import constants as C
from ansible.errors import AnsibleLookupError

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration._kube_pki import Authority
from ansible_collections.podnet.cni.tests.unit.plugins.lookup.test_discovery import ask

pytestmark = pytest.mark.kube


@pytest.fixture(autouse=True)
def own_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path))


def expired(kube: _kube.KubeServer, _path: Path) -> Path:
    return kube.certificate_kubeconfig("late", lifetime=-datetime.timedelta(hours=1))


def wrong_ca(kube: _kube.KubeServer, path: Path) -> Path:
    return kube.certificate_kubeconfig("misled", authority=Authority(path).certificate)


def bad_token(kube: _kube.KubeServer, _path: Path) -> Path:
    return kube.write_kubeconfig("forger", {"token": "very-secret-token"})


def failing_exec(kube: _kube.KubeServer, _path: Path) -> Path:
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}
    return kube.write_kubeconfig("helped", {"exec": command})


FAULTS = [
    pytest.param(expired, "expired", id="expired"),
    pytest.param(wrong_ca, "not signed by the CA", id="wrong-ca"),
    pytest.param(bad_token, "401", id="bad-token"),
    pytest.param(failing_exec, "exec|false", id="failing-exec"),
]


@pytest.mark.parametrize(("make", "words"), FAULTS)
def test_the_lookup_fails_and_says_why(
    kube: _kube.KubeServer, tmp_path: Path, make: Callable[[_kube.KubeServer, Path], Path], words: str
) -> None:
    with pytest.raises(AnsibleLookupError, match=words) as caught:
        ask("flannel", kubeconfig=str(make(kube, tmp_path)))
    assert "very-secret-token" not in str(caught.value)


@pytest.mark.parametrize(("make", "words"), FAULTS)
def test_with_warn_the_cluster_is_unknown(
    kube: _kube.KubeServer, tmp_path: Path, make: Callable[[_kube.KubeServer, Path], Path], words: str
) -> None:
    (record,) = ask("flannel", kubeconfig=str(make(kube, tmp_path)), on_error="warn")
    assert (record["plugin"], record["scope"], record["confidence"]) == ("unknown", "partial", "weak")
    assert ask("flannel", kubeconfig=str(make(kube, tmp_path)), on_error="empty") == []
