# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API client against a real API server."""

from __future__ import annotations

import base64
import datetime
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._kube import errors
from ansible_collections.podnet.cni.plugins.module_utils._kube.auth import Auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient, update_with_retry
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration._kube_pki import DAY, Authority

pytestmark = pytest.mark.kube

MAPS = "/api/v1/namespaces/default/configmaps"


def client(kubeconfig: Path, **options: Any) -> KubeClient:
    return KubeClient.from_options({"kubeconfig": str(kubeconfig), **options})


@pytest.fixture
def admin(kube: _kube.KubeServer) -> Iterator[KubeClient]:
    with client(kube.admin) as connected:
        yield connected


@pytest.fixture
def maps(kube: _kube.KubeServer) -> Iterator[list[str]]:
    """Names of seven config maps, in the order a list gives them."""
    names = [f"page-{index}" for index in range(7)]
    for name in names:
        kube.apply(config_map(name))
    yield names
    for name in names:
        kube.api("DELETE", f"{MAPS}/{name}")


@pytest.fixture
def aged(own_kube: _kube.KubeServer) -> _kube.KubeServer:
    """A server that was restarted on a compacted store: it knows no old versions."""
    own_kube.stop_apiserver()
    own_kube.compact()
    own_kube.start_apiserver()
    return own_kube


def config_map(name: str, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "labels": {"podnet": "test"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_pages_are_followed(admin: KubeClient, maps: list[str]) -> None:
    listing = admin.list(MAPS, {"labelSelector": "podnet=test"}, limit=3)
    assert [item["metadata"]["name"] for item in listing.items] == maps
    assert listing.kind == "ConfigMapList"
    assert admin.requests == 3
    assert admin.bytes > 0


def test_metadata_only_leaves_the_data_out(admin: KubeClient, kube: _kube.KubeServer) -> None:
    kube.apply(config_map("big", text="x" * 10000))
    listing = admin.list(MAPS, {"fieldSelector": "metadata.name=big"}, metadata_only=True)
    kube.api("DELETE", f"{MAPS}/big")
    assert listing.kind == "PartialObjectMetadataList"
    assert "data" not in listing.items[0]
    assert admin.bytes < 10000


def test_list_restarts_when_the_continuation_expired(aged: _kube.KubeServer) -> None:
    class Slow(KubeClient):
        """Between the first and the second page the server forgets the version the token stands for."""

        def request(self, method: str, path: str, **rest: Any) -> Any:
            if self.requests == 1:
                rest["query"] = {**rest["query"], "continue": expired_token(rest["query"]["continue"])}
            return super().request(method, path, **rest)

    with Slow(Auth(kubeconfig=str(aged.admin))) as slow:
        listing = slow.list("/api/v1/namespaces", limit=1)
        assert "kube-system" in [item["metadata"]["name"] for item in listing.items]
        assert len(listing.items) == slow.requests - 2


def expired_token(token: str) -> str:
    """The same continuation at the first revision of the store, which is compacted by now."""
    content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    content["rv"] = 1
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize("kind", ["merge", "strategic"])
def test_patch_kinds(admin: KubeClient, kube: _kube.KubeServer, kind: str) -> None:
    kube.apply(config_map("patched", old="1"))
    changed = admin.patch(f"{MAPS}/patched", {"data": {"new": "2"}}, kind)
    kube.api("DELETE", f"{MAPS}/patched")
    assert changed["data"] == {"old": "1", "new": "2"}


def test_server_side_apply_takes_a_field_over_only_by_force(admin: KubeClient, kube: _kube.KubeServer) -> None:
    kube.apply(config_map("owned", key="theirs"))
    mine = config_map("owned", key="mine")
    with pytest.raises(errors.Conflict, match="conflict with"):
        admin.patch(f"{MAPS}/owned", mine, "apply", field_manager="podnet")
    forced = admin.patch(f"{MAPS}/owned", mine, "apply", field_manager="podnet", force=True)
    kube.api("DELETE", f"{MAPS}/owned")
    assert forced["data"] == {"key": "mine"}


def test_dry_run_changes_nothing(admin: KubeClient, kube: _kube.KubeServer) -> None:
    kube.apply(config_map("dry", key="old"))
    assert admin.patch(f"{MAPS}/dry", {"data": {"key": "new"}}, dry_run=True)["data"] == {"key": "new"}
    assert admin.get(f"{MAPS}/dry")["data"] == {"key": "old"}
    kube.api("DELETE", f"{MAPS}/dry")


def test_create_twice_is_a_conflict(admin: KubeClient) -> None:
    admin.create(MAPS, config_map("once"))
    with pytest.raises(errors.Conflict) as failure:
        admin.create(MAPS, config_map("once"))
    admin.delete(f"{MAPS}/once")
    assert failure.value.reason == "AlreadyExists"
    with pytest.raises(errors.NotFound):
        admin.get(f"{MAPS}/once")


def test_a_lost_race_is_repeated_on_the_new_object(admin: KubeClient, kube: _kube.KubeServer) -> None:
    kube.apply(config_map("raced", count="0"))
    seen: list[str] = []

    def change(current: dict[str, Any]) -> dict[str, Any]:
        seen.append(current["data"]["count"])
        if len(seen) == 1:
            kube.apply(config_map("raced", count="5"))
        return {"data": {"count": str(int(current["data"]["count"]) + 1)}}

    after, changed = update_with_retry(admin, f"{MAPS}/raced", change)
    kube.api("DELETE", f"{MAPS}/raced")
    assert changed
    assert seen == ["0", "5"]
    assert after["data"]["count"] == "6"


def test_watch_gives_changes_and_ends_when_asked(admin: KubeClient, kube: _kube.KubeServer) -> None:
    start = admin.list(MAPS).resource_version
    kube.apply(config_map("watched", key="1"))
    kube.apply(config_map("watched", key="2"))
    kube.api("DELETE", f"{MAPS}/watched")
    events = [
        event for event in admin.watch(MAPS, start, seconds=1) if event.object["metadata"].get("name") == "watched"
    ]
    assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert int(events[-1].resource_version) > int(start)


def test_watch_from_a_forgotten_version_is_expired(aged: _kube.KubeServer) -> None:
    with client(aged.admin) as connected, pytest.raises(errors.Expired):
        list(connected.watch("/api/v1/namespaces", "1", seconds=1))


def test_a_broken_watch_is_unreachable(aged: _kube.KubeServer) -> None:
    with client(aged.admin) as connected:
        listing = connected.list("/api/v1/namespaces")
        events = connected.watch("/api/v1/namespaces", listing.resource_version, seconds=30)
        aged.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}})
        assert next(events).object["metadata"]["name"] == "new"
        aged.stop_apiserver(kill=True)
        with pytest.raises(errors.Unreachable):
            list(events)


def test_forbidden_names_user_verb_and_server(kube: _kube.KubeServer) -> None:
    limited = kube.limited_kubeconfig("nothing", [])
    with client(limited) as connected, pytest.raises(errors.Forbidden) as failure:
        connected.list("/api/v1/nodes")
    for part in ("nothing", "list", "nodes", kube.url, "Grant"):
        assert part in str(failure.value)


def test_certificate_of_an_expired_kubeconfig(kube: _kube.KubeServer) -> None:
    expired = kube.certificate_kubeconfig("yesterday", groups=("system:masters",), lifetime=-DAY)
    with client(expired) as connected, pytest.raises(errors.Unauthorized) as failure:
        connected.get("/api/v1/nodes")
    day = (datetime.datetime.now(datetime.timezone.utc) - DAY).strftime("%Y-%m-%d")
    assert f"client certificate expired at {day}" in str(failure.value)


def test_unknown_token_is_not_quoted(kube: _kube.KubeServer) -> None:
    bad = kube.write_kubeconfig("stranger", {"token": "very-secret-token"})
    with client(bad) as connected, pytest.raises(errors.Unauthorized) as failure:
        connected.get("/api/v1/nodes")
    assert "stranger" in str(failure.value)
    assert "very-secret" not in str(failure.value)


def test_wrong_ca(kube: _kube.KubeServer, tmp_path: Path) -> None:
    other = Authority(tmp_path, "somebody else").certificate
    wrong = kube.certificate_kubeconfig("careless", authority=other)
    with client(wrong) as connected, pytest.raises(errors.Unreachable, match="not signed by the CA"):
        connected.get("/version")
    with client(wrong, validate_certs=False) as connected:
        assert "gitVersion" in connected.get("/version")


def test_server_name_that_is_not_in_the_certificate(kube: _kube.KubeServer) -> None:
    content = yaml.safe_load(kube.admin.read_text())
    content["clusters"][0]["cluster"]["tls-server-name"] = "elsewhere.example"
    named = KubeClient.from_options({"kubeconfig": content})
    with named, pytest.raises(errors.Unreachable, match="does not name"):
        named.get("/version")


def test_https_port_spoken_to_in_plain_text(kube: _kube.KubeServer) -> None:
    plain = f"http://127.0.0.1:{kube.port}"
    with client(kube.admin, host=plain) as connected, pytest.raises(errors.KubeError, match="HTTPS server"):
        connected.get("/version")


def test_options_alone_with_token_and_ca(kube: _kube.KubeServer) -> None:
    kube.limited_kubeconfig("reader", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}])
    options = {"host": kube.url, "api_key": kube.token("reader"), "ca_cert": str(kube.authority.certificate)}
    with KubeClient.from_options(options) as connected:
        assert connected.list("/api/v1/nodes").kind == "NodeList"
        assert connected.target.label == kube.url


def test_options_from_the_environment(kube: _kube.KubeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", str(kube.admin))
    with KubeClient.from_options({}) as connected:
        assert "gitVersion" in connected.get("/version")


def test_token_file_with_a_line_feed(kube: _kube.KubeServer, tmp_path: Path) -> None:
    kube.limited_kubeconfig("filed", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}])
    (tmp_path / "token").write_text(kube.token("filed") + "\n")
    path = kube.write_kubeconfig("filed-by-file", {"tokenFile": str(tmp_path / "token")})
    with client(path) as connected:
        assert connected.list("/api/v1/nodes").kind == "NodeList"


def test_exec_plugin(kube: _kube.KubeServer, tmp_path: Path) -> None:
    kube.limited_kubeconfig("plugged", [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}])
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": kube.token("plugged")}}
    (tmp_path / "answer").write_text(json.dumps(answer))
    plugin = {"apiVersion": version, "command": shutil.which("cat"), "args": [str(tmp_path / "answer")]}
    path = kube.write_kubeconfig("by-plugin", {"exec": plugin})
    with client(path) as connected:
        assert connected.list("/api/v1/nodes").kind == "NodeList"


def test_impersonation_by_option_and_by_kubeconfig(kube: _kube.KubeServer) -> None:
    with client(kube.admin, impersonate_user="jane", impersonate_groups=["devs", "ops"]) as connected:
        review = connected.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", self_review())
    assert review["status"]["userInfo"]["username"] == "jane"
    assert set(review["status"]["userInfo"]["groups"]) >= {"devs", "ops"}
    content = yaml.safe_load(kube.admin.read_text())
    content["users"][0]["user"].update({"as": "joe", "as-groups": ["devs"]})
    with KubeClient.from_options({"kubeconfig": content}) as connected:
        review = connected.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", self_review())
    assert review["status"]["userInfo"]["username"] == "joe"


def self_review() -> dict[str, Any]:
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def test_two_contexts_at_once(kube: _kube.KubeServer, tmp_path: Path) -> None:
    kube.limited_kubeconfig("second", [])
    merged = os.pathsep.join(str(kube.directory / f"{name}.kubeconfig") for name in ("admin", "second"))
    with client(Path(merged), context="admin") as first, client(Path(merged), context="second") as second:
        assert first.list("/api/v1/nodes").kind == "NodeList"
        with pytest.raises(errors.Forbidden, match="context second"):
            second.list("/api/v1/nodes")
