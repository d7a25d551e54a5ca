# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The admission server that cannot answer, certificates on the move, and the sync of running pods."""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration._kube_pki import DAY, Authority
from ansible_collections.podnet.cni.tests.integration.kube_ovn._balancer import Balancer
from ansible_collections.podnet.cni.tests.integration.kube_ovn._cluster import (
    GATEWAY,
    ROUTES,
    SECURITY,
    annotate,
    annotations_of,
    create,
    namespace,
    pod,
    set_status,
    until,
)
from ansible_collections.podnet.cni.tests.integration.kube_ovn._webhook import (
    Server,
    configuration,
    registered,
    replica,
)
from ansible_collections.podnet.cni.tests.integration.kube_ovn.test_policy import CONFIG

pytestmark = pytest.mark.kube

RATE = "ovn.kubernetes.io/ingress_rate"


@pytest.mark.parametrize("policy", ["Ignore", "Fail"])
@pytest.mark.parametrize("fault", ["down", "foreign", "expired"])
def test_when_the_webhook_cannot_answer(kube: _kube.KubeServer, tmp_path: Path, policy: str, fault: str) -> None:
    where = f"hook-{policy.lower()}-{fault}"
    kube.apply(namespace(where, {ROUTES: GATEWAY}))
    (port,) = _kube._free_ports(1)
    running = None
    text = Authority(tmp_path).certificate.read_text()
    if fault != "down":
        running = Server(kube, tmp_path / "server", CONFIG.to_dict())
        port = running.port
    if running is not None and fault == "expired":
        text = running.bundle
        certificate, key = _expired(running.authority)
        os.replace(key, running.key)
        os.replace(certificate, running.certificate)
        until(lambda: running.status("/readyz") == (503, "the certificate has expired"), "noticing the end")
    try:
        with registered(kube, configuration(where, f"https://localhost:{port}", text, policy, namespaces=False)):
            if policy == "Fail":
                until(lambda: not _creates(kube, where), "the refusal")
            else:
                until(lambda: _failed_open(kube, where), "the pod that slips through")
                assert ROUTES not in create(kube, where, pod("one"))
    finally:
        if running is not None:
            running.stop()


def _failed_open(kube: _kube.KubeServer, where: str) -> bool:
    """Create a pod and ask the API server whether it let one through without an answer."""
    create(kube, where, pod("probe"), dry_run=True)
    counter = f'apiserver_admission_webhook_fail_open_count{{name="pods.{where}.example.org"'
    return counter in kube.api("GET", "/metrics")


def _expired(authority: Authority) -> tuple[Path, Path]:
    """A server certificate that has ended already."""
    return authority.server("old", lifetime=-DAY)


def _creates(kube: _kube.KubeServer, where: str) -> bool:
    try:
        create(kube, where, pod("refused"), dry_run=True)
    except RuntimeError as error:
        assert "failed calling webhook" in str(error)
        return False
    return True


def test_half_rotated_ca(kube: _kube.KubeServer, tmp_path: Path) -> None:
    """While the bundle holds both CAs, leaves of either are trusted."""
    where = "hook-rotated"
    kube.apply(namespace(where, {ROUTES: GATEWAY}))
    other = tmp_path / "other"
    other.mkdir()
    newer = Authority(other, "newer")
    with replica(kube, tmp_path / "server", CONFIG.to_dict()) as running:
        both = running.bundle + newer.certificate.read_text()
        with registered(kube, configuration(where, f"https://localhost:{running.port}", both, namespaces=False)):
            until(lambda: ROUTES in create(kube, where, pod("one"), dry_run=True), "the old leaf's being trusted")
            certificate, key = newer.server("new")
            os.replace(key, running.key)
            os.replace(certificate, running.certificate)
            until(lambda: running.metric("certificate_reloads") > 0, "the reload")
            assert ROUTES in create(kube, where, pod("two"))


def test_a_rolling_update_refuses_no_pod(kube: _kube.KubeServer, tmp_path: Path) -> None:
    """Each replica is replaced by a new one while pods are created; nobody answers for a missing server here."""
    where = "hook-rolling"
    kube.apply(namespace(where, {ROUTES: GATEWAY}))
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(replica(kube, tmp_path / "one", CONFIG.to_dict()))
        pair = ("--certificate", str(first.certificate), "--key", str(first.key))

        def another(name: str) -> Server:
            return stack.enter_context(replica(kube, tmp_path / name, CONFIG.to_dict(), *pair))

        running = [first, another("two")]
        balancer = stack.enter_context(Balancer([each.port for each in running]))
        url = f"https://localhost:{balancer.port}"
        stack.enter_context(registered(kube, configuration(where, url, first.bundle, namespaces=False)))
        until(lambda: ROUTES in create(kube, where, pod("probe"), dry_run=True), "the webhook's taking effect")
        stop = threading.Event()

        def make(worker: int) -> int:
            count = 0
            while not stop.is_set():
                assert ROUTES in create(kube, where, pod(f"made-{worker}"), dry_run=True)
                count += 1
            return count

        with ThreadPoolExecutor(3) as pool:
            workers = [pool.submit(make, number) for number in range(3)]
            try:
                for name in ("three", "four"):
                    running.append(another(name))
                    old = running.pop(0)
                    balancer.use([each.port for each in running])
                    old.stop()
            finally:
                stop.set()
            assert sum(worker.result() for worker in workers) > 0


def test_the_loop_keeps_running_pods_in_step(kube: _kube.KubeServer, tmp_path: Path) -> None:
    where = "hook-sync"
    path = f"/api/v1/namespaces/{where}"
    document = {
        "annotations": ["routes", "port_security", "ingress_rate"],
        "namespace_selector": {"matchLabels": {"takes-part": where}},
    }
    kube.apply(namespace(where, {RATE: "1"}, {"takes-part": where}))
    create(kube, where, pod("old"))
    create(kube, where, pod("own", {RATE: "7"}))
    for name in ("old", "own"):
        set_status(kube, f"{path}/pods/{name}", {"phase": "Running", "podIP": "10.16.0.9"})
    with replica(kube, tmp_path / "sync", document, "--sync-interval", "1", mode="sync") as running:
        until(lambda: annotations_of(kube, where, "old").get(RATE) == "1", "the first value")
        annotate(kube, path, {RATE: "2", SECURITY: "true", ROUTES: GATEWAY})
        until(lambda: annotations_of(kube, where, "old").get(SECURITY) == "true", "the new value")
        until(lambda: running.metric("drifted_pods") == 2, "the report of the routes")
        # Neither a typing error nor the label's removal takes anything away.
        annotate(kube, path, {RATE: "2M", ROUTES: None})
        until(
            lambda: running.metric("held_pods") == 1 and not running.metric("drifted_pods"), "the report of the value"
        )
        for value, held in ((None, 2), (where, 1)):
            label = {"metadata": {"labels": {"takes-part": value}}}
            kube.api("PATCH", path, label, "application/merge-patch+json")
            until(lambda count=held: running.metric("held_pods") == count, f"the report of the label {value}")
        assert annotations_of(kube, where, "old")[RATE] == "2"
        annotate(kube, path, {RATE: None, SECURITY: None})
        until(lambda: RATE not in annotations_of(kube, where, "old"), "the removal")
        left = annotations_of(kube, where, "old")
        assert left[SECURITY] == "true", "protection goes only by an explicit word"
        assert ROUTES not in left
        assert annotations_of(kube, where, "own")[RATE] == "7"
        assert running.metric("sync_failures_total") == 0
