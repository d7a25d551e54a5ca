# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The admission server as a process, asked by a real API server."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import decision
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.kube_ovn._cluster import (
    CIDR,
    GATEWAY,
    RECORD,
    ROUTES,
    annotate,
    create,
    namespace,
    pod,
    until,
)
from ansible_collections.podnet.cni.tests.integration.kube_ovn._webhook import (
    Server,
    configuration,
    registered,
    replica,
)
from ansible_collections.podnet.cni.tests.integration.kube_ovn.test_policy import CONFIG, NAMESPACES, PODS

pytestmark = pytest.mark.kube

RATE = "ovn.kubernetes.io/ingress_rate"


@pytest.fixture(scope="module")
def server(kube: _kube.KubeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One replica that the API server asks, with failure policy Fail."""
    directory = tmp_path_factory.mktemp("server")
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(replica(kube, directory, CONFIG.to_dict(), "--log-level", "debug"))
        url = f"https://localhost:{running.port}"
        stack.enter_context(registered(kube, configuration("hook", url, running.bundle)))
        kube.apply(namespace("hook-probe", {ROUTES: GATEWAY}))
        until(lambda: ROUTES in create(kube, "hook-probe", pod("probe"), dry_run=True), "the webhook's taking effect")
        yield running


@pytest.mark.parametrize("name", sorted(set(NAMESPACES) - {"broken"}))  # the server refuses that one
def test_webhook_decides_as_the_function(kube: _kube.KubeServer, server: Server, name: str) -> None:
    where = f"hook-{name}"
    kube.apply(namespace(where, **NAMESPACES[name]))
    stored = decision.Namespace.from_object(kube.api("GET", f"/api/v1/namespaces/{where}"))
    for index, options in enumerate(PODS):
        one = pod(f"pod-{index}", **options)
        got = create(kube, where, one)
        wanted = decision.decide(one, stored, CONFIG)
        record = decision.read_record(got.pop(RECORD, None))
        assert got == {**(one["metadata"].get("annotations") or {}), **wanted.writes}, (name, options)
        assert record == {key: decision.digest(value) for key, value in wanted.writes.items()}


def test_a_pod_right_after_its_namespace(kube: _kube.KubeServer, server: Server) -> None:
    for number in range(20):
        where = f"hook-fresh-{number}"
        kube.api("POST", "/api/v1/namespaces", namespace(where, {ROUTES: GATEWAY}))
        assert create(kube, where, pod("first"))[ROUTES] == GATEWAY
    assert server.status("/readyz") == (200, "ok")


def test_bad_namespace_values_are_refused(kube: _kube.KubeServer, server: Server) -> None:
    where = "hook-refused"
    path = f"/api/v1/namespaces/{where}"
    kube.apply(namespace(where, CIDR))
    for value, reason in (
        ('[{"dst":"10.0.0.1","gw":"10.16.0.1"}]', "Write 10.0.0.1/32"),
        ('[{"gw":"10.17.0.1"}]', "outside the namespace's subnets"),
        ('[{"dst":"fd00::/8","gw":"10.16.0.1"}]', "different families"),
        ("[", "not JSON"),
    ):
        with pytest.raises(RuntimeError, match=reason):
            annotate(kube, path, {ROUTES: value})
    annotate(kube, path, {ROUTES: GATEWAY})


def test_a_slow_client_and_a_big_body_do_not_disturb(kube: _kube.KubeServer, server: Server) -> None:
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _each in range(50)]
    for each in slow:
        each.send(b"\x16\x03\x01")
    big = pod("big", {"example.org/big": "x" * 200_000})
    assert create(kube, "hook-probe", big)[ROUTES] == GATEWAY
    for each in slow:
        each.close()


def test_certificates_are_exchanged_under_load(kube: _kube.KubeServer, server: Server) -> None:
    """New leaf, open connections, no failed pod although the failure policy is Fail."""
    reloads = server.metric("certificate_reloads")

    def make(number: int) -> bool:
        return ROUTES in create(kube, "hook-probe", pod(f"swap-{number}"), dry_run=True)

    with ThreadPoolExecutor(4) as pool:
        made = pool.map(make, range(200))
        certificate, key = server.authority.server("next")
        os.replace(key, server.key)
        os.replace(certificate, server.certificate)
        assert all(made)
    until(lambda: server.metric("certificate_reloads") > reloads, "loading the new certificate")
    assert make(1000)


def test_logs_and_metrics(server: Server) -> None:
    text = server.log.read_text()
    assert '"message": "review"' in text
    assert "example.org/main" not in text
    assert server.metric("cache_synced") == 1
    assert server.metric("certificate_expiry_seconds") > 0
    assert server.metric("cache_age_seconds") < 120


def test_ten_thousand_namespaces(tmp_path: Path) -> None:
    """A cluster of its own: the cache holds them all, and a new one is found at once."""
    _kube.require()
    with _kube.running() as cluster:

        def fill(numbers: range) -> None:
            many = (namespace(f"many-{number:05}", {ROUTES: GATEWAY}) for number in numbers)
            cluster.create("/api/v1/namespaces", many)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(fill, [range(start, 10_000, 4) for start in range(4)]))
        with replica(cluster, tmp_path / "server", CONFIG.to_dict()) as running:
            assert running.metric("namespaces") >= 10_000
            cluster.apply(namespace("one-more", {ROUTES: GATEWAY}))
            until(lambda: running.metric("namespaces") >= 10_001, "the watch's event")
