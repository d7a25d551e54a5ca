# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lookups over a stand-in API server: options, several clusters, errors, caches."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import multiprocessing
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants as C
from ansible.errors import AnsibleError, AnsibleLookupError, AnsibleOptionsError

from ansible_collections.podnet.cni.plugins.doc_fragments._discovery import ModuleDocFragment
from ansible_collections.podnet.cni.plugins.module_utils._discovery import cluster as reading
from ansible_collections.podnet.cni.plugins.plugin_utils import _discovery_lookup
from ansible_collections.podnet.cni.plugins.plugin_utils._discovery_lookup import RunCache, cache_key, complete
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes

PLUGINS = "ansible_collections.podnet.cni.plugins"


@pytest.fixture(autouse=True)
def own_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of Ansible of its own, with nothing of this machine's configuration."""
    for name in list(C.config.get_configuration_definitions("lookup", "podnet.cni.cni")):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path))


def lookup(name: str) -> Any:
    """The lookup plugin as Ansible's loader would hand it out."""
    module = importlib.import_module(f"{PLUGINS}.lookup.{name}")
    documented = yaml.safe_load(module.DOCUMENTATION).get("options") or {}
    options = {**yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"], **documented}
    C.config.initialize_plugin_configuration_definitions("lookup", f"podnet.cni.{name}", options)
    plugin = module.LookupModule()
    plugin._load_name = f"podnet.cni.{name}"
    return plugin


def ask(name: str, *terms: Any, variables: dict[str, Any] | None = None, **options: Any) -> list[dict[str, Any]]:
    return list(lookup(name).run(list(terms), variables or {}, **options))


@contextlib.contextmanager
def kubeconfig(**clusters: fakes.Cluster | str) -> Iterator[dict[str, Any]]:
    """A kubeconfig with a context for each cluster; a string is an address where nobody answers."""
    with contextlib.ExitStack() as stack:
        servers = {
            name: item if isinstance(item, str) else stack.enter_context(fakes.serving(item))
            for name, item in clusters.items()
        }
        yield {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": [*servers, ""][0],
            "clusters": [{"name": name, "cluster": {"server": server}} for name, server in servers.items()],
            "users": [{"name": "reader", "user": {"token": "very-secret-token"}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "reader"}} for name in servers],
        }


def test_current_context() -> None:
    with kubeconfig(east=fakes.flannel_cluster()) as config:
        (record,) = ask("cni", kubeconfig=config)
    assert (record["cluster"], record["plugin"]) == ("east", "flannel")
    json.dumps(record)


def test_flannel_gives_only_flannel() -> None:
    cilium = fakes.daemonset("cilium", "kube-system", "quay.io/cilium/cilium:v1.17.3", labels={"k8s-app": "cilium"})
    cluster = fakes.Cluster().daemonsets(cilium).nodes(fakes.node("a"))
    with fakes.serving(cluster) as host:
        assert ask("flannel", host=host) == []
        assert [item["plugin"] for item in ask("cni", host=host)] == ["cilium"]


def test_flannel_that_may_hide_is_never_absent() -> None:
    cilium = fakes.daemonset("cilium", "kube-system", "quay.io/cilium/cilium:v1.17.3", labels={"k8s-app": "cilium"})
    cluster = fakes.Cluster().daemonsets(cilium).nodes(fakes.node("a"))
    cluster.forbidden = [r"^/apis/apps/v1/daemonsets$"]
    with fakes.serving(cluster) as host:
        (record,) = ask("flannel", host=host)
    assert (record["plugin"], record["scope"]) == ("unknown", "partial")
    assert any("flannel may be installed" in warning for warning in record["warnings"])


def test_flannel_beside_a_labelled_plugin_is_looked_for_everywhere() -> None:
    cluster = fakes.Cluster().nodes(fakes.node("a")).configmaps(fakes.flannel_configmap("zz", name="c"))
    cluster.daemonsets(
        fakes.daemonset("cilium", "kube-system", "quay.io/cilium/cilium:v1.17.3", labels={"k8s-app": "cilium"}),
        fakes.daemonset("overlay", "zz", fakes.IMAGE, configmap="c"),
    )
    with fakes.serving(cluster) as host:
        (record,) = ask("flannel", host=host)
        assert (record["namespace"], record["role"]) == ("zz", "secondary")
        (unknown,) = ask("flannel", host=host, mode="labels")
    assert unknown["plugin"] == "unknown", "a label that it lacks does not prove that it is not there"


@pytest.mark.parametrize(
    ("options", "words"),
    [({"mode": "labels"}, "mode=labels"), ({"mode": "namespaces"}, "kube-flannel"), ({"nodes": 0}, "nodes=0")],
)
@pytest.mark.parametrize("name", ["flannel", "cni"])
def test_where_nobody_looked_nothing_is_absent(name: str, options: dict[str, Any], words: str) -> None:
    with fakes.serving(fakes.Cluster().nodes(fakes.node("a"))) as host:
        (record,) = ask(name, host=host, **options)
    assert record["plugin"] == "unknown"
    assert any("may be installed" in warning and words in warning for warning in record["warnings"])


def test_k3s_without_a_look_at_its_nodes_is_unknown() -> None:
    cluster = fakes.Cluster("v1.30.4+k3s1").nodes(fakes.flannel_node("a", 1, version="v1.30.4+k3s1"))
    with fakes.serving(cluster) as host:
        assert [item["plugin"] for item in ask("flannel", host=host)] == ["flannel"]
        assert [item["plugin"] for item in ask("flannel", host=host, nodes=0)] == ["unknown"]


def test_several_contexts_keep_their_order_and_show_overlaps() -> None:
    other = fakes.Cluster().daemonsets(fakes.flannel_daemonset()).nodes(fakes.flannel_node("a", 1))
    other.configmaps(fakes.flannel_configmap(net_conf='{"Network": "10.244.128.0/17", "Backend": {"Type": "vxlan"}}'))
    other.service_cidrs(["10.112.0.0/12"])
    with kubeconfig(east=fakes.flannel_cluster(), west=other) as config:
        records = ask("cni", "west", "east", kubeconfig=config, summary=True)
    assert [(item["cluster"], item["kind"]) for item in records] == [
        ("west", "component"),
        ("west", "summary"),
        ("east", "component"),
        ("east", "summary"),
    ]
    assert records[1]["overlaps"] == [
        {
            "kind": "pod",
            "cidr": "10.244.128.0/17",
            "other_cluster": "east",
            "other_kind": "pod",
            "other_cidr": "10.244.0.0/16",
        }
    ]
    assert records[3]["overlaps"][0]["other_cluster"] == "west"
    assert records[3]["primary"] == "flannel"


def test_clusters_are_asked_at_the_same_time() -> None:
    """Each of two clusters answers its first request only when the other has been asked as well."""
    meeting = threading.Barrier(2, timeout=30)

    class Waiting(fakes.Cluster):
        def answer(self, method: str, url: str) -> tuple[int, dict[str, Any]]:
            if url == "/version":
                meeting.wait()
            return super().answer(method, url)

    clusters = [Waiting().nodes(fakes.node("a")) for _cluster in range(2)]
    with kubeconfig(east=clusters[0], west=clusters[1]) as config:
        assert len(ask("cni", "east", "west", kubeconfig=config)) == 2


NOBODY = "http://127.0.0.1:9"


def test_fifty_clusters_in_one_run_hold_the_objects_of_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read of a cluster is let go of with its answer, so memory is bounded by those that are asked at once."""
    crowd = [fakes.daemonset(f"agent-{number}", "team", "example.com/agent:1") for number in range(60)]
    cluster = fakes.flannel_cluster().daemonsets(*crowd)
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = [0]
    real = reading._Reader.__init__

    def counted(reader: Any, *arguments: Any) -> None:
        real(reader, *arguments)
        alive.add(reader)
        most[0] = max(most[0], len(alive))

    monkeypatch.setattr(reading._Reader, "__init__", counted)
    names = [f"c{number}" for number in range(50)]
    with fakes.serving(cluster) as server, kubeconfig(**dict.fromkeys(names, server)) as config:
        found = ask("cni", *names, kubeconfig=config, summary=True, mode="full")
    assert [item["cluster"] for item in found if item["kind"] == "summary"] == names
    assert most[0] <= 2 * _discovery_lookup._MAX_PARALLEL
    gc.collect()
    assert not alive


def test_unreachable_cluster_fails() -> None:
    failing = pytest.raises(AnsibleLookupError, match="cannot connect")
    with kubeconfig(east=fakes.flannel_cluster(), west=NOBODY) as config, failing as caught:
        ask("cni", "east", "west", kubeconfig=config)
    assert "west" in str(caught.value)
    assert "very-secret-token" not in str(caught.value)


def test_a_cluster_by_address_keeps_its_name_when_it_does_not_answer() -> None:
    (record,) = ask("flannel", host=NOBODY, on_error="warn")
    assert (record["plugin"], record["cluster"]) == ("unknown", NOBODY)


@pytest.mark.parametrize(("on_error", "expected"), [("warn", ["flannel", "unknown"]), ("empty", ["flannel"])])
def test_unreachable_cluster_tolerated(on_error: str, expected: list[str]) -> None:
    with kubeconfig(east=fakes.flannel_cluster(), west=NOBODY) as config:
        records = ask("cni", "east", "west", kubeconfig=config, on_error=on_error)
    assert [item["plugin"] for item in records] == expected
    if on_error == "warn":
        assert (records[1]["cluster"], records[1]["scope"]) == ("west", "partial")


def test_401_fails_and_403_does_not() -> None:
    class Refusing(fakes.Cluster):
        def answer(self, method: str, url: str) -> tuple[int, dict[str, Any]]:
            return 401, {"kind": "Status", "code": 401, "message": "Unauthorized"}

    with fakes.serving(Refusing()) as host, pytest.raises(AnsibleLookupError, match="401"):
        ask("cni", host=host)
    closed = fakes.Cluster()
    closed.forbidden = [""]
    with fakes.serving(closed) as host:
        (record,) = ask("cni", host=host)
    assert (record["plugin"], record["scope"]) == ("unknown", "partial")


@pytest.mark.parametrize(
    ("terms", "options", "words"),
    [
        ([], {"hots": "x"}, "no option hots"),
        ([], {"mode": "some"}, "mode"),
        ([], {"nodes": -1}, "nodes is -1"),
        ([], {"cache_timeout": 0}, "cache_timeout is 0"),
        ([], {"cache_timeout": 301}, "cache_timeout is 301"),
        ([], {"namespaces": []}, "namespaces is empty"),
        ([7], {}, "a term is the name of a context"),
        ([""], {}, "a term is the name of a context"),
        (["east", "east"], {}, "named twice"),
        (["east"], {"host": "http://127.0.0.1:9"}, "host is one cluster"),
    ],
)
def test_bad_options(terms: list[Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleError, match=words) as caught:
        ask("cni", *terms, **options)
    assert "podnet.cni.cni" in str(caught.value)


def test_aliases_are_options() -> None:
    with fakes.serving(fakes.flannel_cluster()) as host:
        assert ask("cni", host=host, verify_ssl=False)


def test_options_from_variables() -> None:
    with fakes.serving(fakes.flannel_cluster()) as host:
        (record,) = ask("cni", variables={"podnet_cni_host": host, "podnet_cni_discovery_mode": "full"})
    assert record["plugin"] == "flannel"


@pytest.mark.parametrize("broken", ["missing-file", {"apiVersion": "v1", "kind": "Config"}])
def test_unusable_kubeconfig(broken: Any, tmp_path: Path) -> None:
    value = str(tmp_path / broken) if isinstance(broken, str) else broken
    with pytest.raises(AnsibleLookupError):
        ask("cni", "east", kubeconfig=value)


def test_a_worker_process_leaves_no_key_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible's workers end without exit handlers, which is where the package removes the files it has made."""
    files = tmp_path / "files"
    files.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(files))
    with kubeconfig(east="https://127.0.0.1:9") as config:
        config["users"][0]["user"] = {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}

        def worker() -> None:
            ask("cni", kubeconfig=config, on_error="warn")
            (tmp_path / "asked").touch()

        process = multiprocessing.get_context("fork").Process(target=worker)
        process.start()
        process.join(60)
    assert (process.exitcode, (tmp_path / "asked").exists()) == (0, True)
    assert list(files.iterdir()) == []


# -- caches -----------------------------------------------------------------------------------------------------------


def test_a_run_asks_once() -> None:
    cluster = fakes.flannel_cluster()
    with fakes.serving(cluster) as host:
        first = ask("cni", host=host)
        number = len(cluster.requests)
        assert ask("cni", host=host) == first
        assert len(cluster.requests) == number
        ask("cni", host=host, mode="full")
        assert len(cluster.requests) > number, "another question needs another answer"
        number = len(cluster.requests)
        ask("cni", host=host, run_cache=False)
        assert len(cluster.requests) > number


def test_incomplete_answers_and_failures_are_not_remembered(tmp_path: Path) -> None:
    cluster = fakes.flannel_cluster()
    cluster.forbidden = [r"/nodes$"]
    options = {"cache": True, "cache_plugin": "jsonfile", "cache_connection": str(tmp_path / "kept")}
    with fakes.serving(cluster) as host:
        assert ask("cni", host=host, **options)[0]["scope"] == "partial"
        cluster.forbidden = []
        assert ask("cni", host=host, **options)[0]["scope"] == "cluster"


def test_cache_plugin_outlives_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = fakes.flannel_cluster()
    options = {
        "cache": True,
        "cache_plugin": "jsonfile",
        "cache_connection": str(tmp_path / "kept"),
        "cache_timeout": 60,
    }
    with fakes.serving(cluster) as host:
        first = ask("cni", host=host, api_key="very-secret-token", **options)
        number = len(cluster.requests)
        (tmp_path / "next").mkdir()
        monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path / "next"))
        assert ask("cni", host=host, api_key="very-secret-token", **options) == first
        assert len(cluster.requests) == number
        ask("cni", host=host, api_key="another-identity", **options)
        assert len(cluster.requests) == 2 * number
    kept = [item for item in (tmp_path / "kept").iterdir() if item.is_file()]
    assert kept
    assert all("secret" not in item.name and "secret" not in item.read_text() for item in kept)


def test_cache_plugin_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = fakes.flannel_cluster()
    options = {
        "cache": True,
        "cache_plugin": "jsonfile",
        "cache_connection": str(tmp_path / "kept"),
        "cache_timeout": 1,
        "run_cache": False,
    }
    with fakes.serving(cluster) as host:
        ask("cni", host=host, **options)
        number = len(cluster.requests)
        later = time.time() + 2
        monkeypatch.setattr(time, "time", lambda: later)
        ask("cni", host=host, **options)
    assert len(cluster.requests) == 2 * number


def test_unknown_cache_plugin() -> None:
    with pytest.raises(AnsibleOptionsError, match="cache_plugin"):
        ask("cni", host=NOBODY, cache=True, cache_plugin="podnet.cni.none")


@pytest.mark.parametrize("option", ["kubeconfig", "ca_cert", "client_cert", "client_key"])
def test_key_depends_on_the_content_of_files(tmp_path: Path, option: str) -> None:
    path = tmp_path / "config"
    path.write_text("one")
    auth = _discovery_lookup.Auth.from_options({"kubeconfig": {}, option: str(path)}, {})
    scope = _discovery_lookup.cluster.Scope()
    first = cache_key(auth, scope)
    assert cache_key(auth, scope) == first
    path.write_text("two")
    assert cache_key(auth, scope) != first
    assert cache_key(auth, _discovery_lookup.cluster.Scope(mode="full")) != cache_key(auth, scope)


def test_run_cache_keeps_nothing_after_an_exception() -> None:
    with pytest.raises(AnsibleOptionsError), RunCache("k") as remembered:
        remembered.answer = [{"scope": "cluster"}]
        raise AnsibleOptionsError("x")
    with RunCache("k") as remembered:
        assert remembered.answer is None


def test_complete() -> None:
    assert complete([{"scope": "cluster"}, {"scope": "namespace"}])
    assert not complete([{"scope": "cluster"}, {"scope": "partial"}])
