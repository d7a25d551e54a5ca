# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kubeconfigs that a reader without libraries follows, and those that it refuses by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube import service_account
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import InvalidAuth, Unreachable
from ansible_collections.podnet.cni.plugins.module_utils._kube.plain import PlainReader

SERVER = "https://192.0.2.1:6443"


def kubeconfig(directory: Path, cluster: dict[str, Any], user: dict[str, Any]) -> str:
    path = directory / "kubeconfig"
    content = {
        "clusters": [{"name": "other", "cluster": {"server": "https://x"}}, {"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "k", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "k",
    }
    path.write_text(json.dumps(content))
    return str(path)


def test_a_token_in_the_file_or_in_one_beside_it(tmp_path: Path) -> None:
    found = PlainReader(kubeconfig(tmp_path, {"server": SERVER}, {"token": "abc"}), 1.0).target
    assert [found.server, found.token] == [SERVER, "abc"]
    assert found.label == f"{SERVER} (kubeconfig {tmp_path}/kubeconfig)"
    assert "abc" not in repr(found)
    (tmp_path / "token").write_text("def\n")
    beside = PlainReader(kubeconfig(tmp_path, {"server": SERVER}, {"tokenFile": "token"}), 1.0).target
    assert [beside.token] == ["def"]


def test_it_follows_what_the_collection_makes_for_an_account(tmp_path: Path) -> None:
    secret = {
        "metadata": {"annotations": {"kubernetes.io/service-account.name": "podnet-overlay-refresh"}},
        "data": {"token": "YWJj", "ca.crt": ""},
    }
    path = tmp_path / "kubeconfig"
    path.write_text(service_account.document(SERVER, secret))
    assert [PlainReader(str(path), 1.0).target.token] == ["abc"]


@pytest.mark.parametrize(
    ("cluster", "user", "reason"),
    [
        ({"server": "http://192.0.2.1"}, {"token": "x"}, "'http://192.0.2.1' is not an https address"),
        ({}, {"token": "x"}, "no current context with a cluster and a user"),
        ({"server": SERVER}, {}, "no current context with a cluster and a user"),
        ({"server": SERVER, "insecure-skip-tls-verify": True}, {"token": "x"}, "has insecure-skip-tls-verify, which"),
        ({"server": SERVER, "proxy-url": "http://p"}, {"token": "x"}, "has proxy-url, which"),
        ({"server": SERVER}, {"exec": {"command": "aws"}}, "has exec, which"),
        ({"server": SERVER}, {"username": "u", "password": "p"}, "has password, username, which"),
        ({"server": SERVER}, {"tokenFile": "nowhere"}, "nowhere cannot be read: No such file"),
        ({"server": SERVER}, {"token": "a\nb"}, "characters that no HTTP header may hold"),
        ({"server": SERVER}, {"token": "gr\u00fcn"}, "characters that no HTTP header may hold"),
        ({"server": SERVER}, {"client-certificate-data": "YQ=="}, "without the other"),
        ({"server": SERVER}, {"client-certificate-data": "YQ==", "client-key-data": "YQ=="}, "cannot be loaded"),
        ({"server": SERVER}, {"client-certificate-data": "*", "client-key-data": "YQ=="}, "data is not base64"),
        ({"server": SERVER, "certificate-authority-data": "YQ=="}, {"token": "x"}, "cannot be loaded"),
        ({"server": SERVER, "certificate-authority-data": "/w=="}, {"token": "x"}, "cannot be loaded"),
        ({"server": SERVER, "certificate-authority": "ca.pem"}, {"token": "x"}, "ca.pem cannot be read"),
    ],
)
def test_what_it_does_not_follow_is_refused_by_name(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidAuth, match=reason) as caught:
        PlainReader(kubeconfig(tmp_path, cluster, user), 1.0)
    assert str(tmp_path / "kubeconfig") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "cannot be read: No such file"), ("apiVersion: v1\n", "is not JSON"), ("[]", "no current context")],
)
def test_what_is_not_a_kubeconfig(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidAuth, match=reason):
        PlainReader(str(path), 1.0)


def test_a_server_that_does_not_listen(tmp_path: Path) -> None:
    reader = PlainReader(kubeconfig(tmp_path, {"server": "https://127.0.0.1:1"}, {"token": "abc"}), 1.0)
    with pytest.raises(Unreachable, match=r"GET /x at https://127.0.0.1:1 .*: cannot connect: .*refused") as caught:
        reader.get("/x")
    assert "abc" not in str(caught.value)
