# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API client against the stand-in, above all what a healthy server seldom does."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._kube import errors
from ansible_collections.podnet.cni.plugins.module_utils._kube.auth import Auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient, update_with_retry
from ansible_collections.podnet.cni.tests.unit._kube_standin import Fault, KubeStandIn

NODES = "/api/v1/nodes"


@pytest.fixture(scope="module")
def running() -> Iterator[KubeStandIn]:
    with KubeStandIn() as server:
        yield server


@pytest.fixture
def standin(running: KubeStandIn) -> KubeStandIn:
    running.objects.clear()
    running.log.clear()
    running.faults.clear()
    running.oldest = 0
    running.denied = lambda _verb, _path: False
    return running


class Patient(KubeClient):
    """A client that notes its pauses instead of making them."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.pauses: list[float] = []
        super().__init__(Auth(host=url), sleep=self.pauses.append, **settings)


@pytest.fixture
def client(standin: KubeStandIn) -> Iterator[Patient]:
    with Patient(standin.url) as connected:
        yield connected


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"kind": "Node", "metadata": {"name": name, "labels": labels}}


@given(count=st.integers(0, 12), limit=st.integers(1, 13))
def test_every_item_once_whatever_the_page(running: KubeStandIn, count: int, limit: int) -> None:
    running.objects.clear()
    names = [f"n{index:02}" for index in range(count)]
    for name in names:
        running.put(f"{NODES}/{name}", node(name))
    with Patient(running.url) as connected:
        listing = connected.list(NODES, limit=limit)
    assert [item["metadata"]["name"] for item in listing.items] == names
    assert connected.requests == max(1, -(-count // limit))


def test_the_parameters_are_the_same_on_every_page(standin: KubeStandIn, client: Patient) -> None:
    for name in ("a", "b", "c"):
        standin.put(f"{NODES}/{name}", node(name, role="edge"))
    client.list(NODES, {"labelSelector": "role=edge"}, limit=2)
    assert all("labelSelector=role%3Dedge&limit=2" in path for path in standin.requests())


def test_an_expired_list_is_started_once_more_and_then_given_up(standin: KubeStandIn, client: Patient) -> None:
    for name in ("a", "b", "c"):
        standin.put(f"{NODES}/{name}", node(name))
    expired = Fault(410, when=lambda _method, path: len(standin.log) % 2 == 0)
    standin.faults.append(expired)
    assert len(client.list(NODES, limit=1).items) == 3
    assert client.requests == 5
    standin.log.clear()
    standin.faults.extend([expired, expired])
    with pytest.raises(errors.Expired):
        client.list(NODES, limit=1)


def test_retry_after_is_honoured(standin: KubeStandIn, client: Patient) -> None:
    standin.put(f"{NODES}/a", node("a"))
    standin.faults.extend([Fault(429, {"Retry-After": "7"}), Fault(503, {"Retry-After": "9"})])
    assert client.get(f"{NODES}/a")["metadata"]["name"] == "a"
    assert client.pauses[0] >= 7
    assert client.pauses[1] >= 9
    assert client.requests == 3


def test_a_write_is_repeated_after_429(standin: KubeStandIn, client: Patient) -> None:
    standin.faults.append(Fault(429, {"Retry-After": "1"}))
    client.create(NODES, node("a"))
    assert standin.requests("POST") == [NODES, NODES]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_create_is_not_repeated_when_it_may_have_happened(standin: KubeStandIn, client: Patient, status: int) -> None:
    standin.faults.append(Fault(status))
    with pytest.raises(errors.KubeError) as failure:
        client.create(NODES, node("a"))
    assert failure.value.status == status
    assert len(standin.requests("POST")) == 1


def test_the_budget_bounds_the_waiting(standin: KubeStandIn) -> None:
    standin.faults.append(Fault(429, {"Retry-After": "3600"}))
    with Patient(standin.url, budget=30) as connected, pytest.raises(errors.Unreachable, match="overloaded"):
        connected.get(NODES)
    assert connected.pauses == []


def test_errors_of_the_server_are_repeated_a_few_times(standin: KubeStandIn, client: Patient) -> None:
    standin.faults.extend([Fault(500)] * 10)
    with pytest.raises(errors.KubeError, match="500 injected after 4 tries"):
        client.get(NODES)


def test_a_cut_connection_is_repeated_once(standin: KubeStandIn, client: Patient) -> None:
    standin.put(f"{NODES}/a", node("a"))
    standin.faults.append(Fault(0))
    assert client.list(NODES).items
    standin.faults.extend([Fault(0), Fault(0)])
    with pytest.raises(errors.Unreachable, match="cannot connect"):
        client.list(NODES)


def test_a_cut_create_is_not_repeated(standin: KubeStandIn, client: Patient) -> None:
    standin.faults.append(Fault(0))
    with pytest.raises(errors.Unreachable):
        client.create(NODES, node("a"))
    assert len(standin.requests("POST")) == 1


def test_a_slow_answer_times_out(standin: KubeStandIn) -> None:
    standin.faults.append(Fault(200, delay=1.0))
    with Patient(standin.url, timeout=0.2) as connected, pytest.raises(errors.Unreachable, match="no answer within"):
        connected.get(NODES)


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with Patient(url) as connected, pytest.raises(errors.Unreachable) as failure:
            connected.get("/version")
    assert url in str(failure.value)
    assert "GET /version" in str(failure.value)


def test_a_server_that_is_no_api_server(standin: KubeStandIn, client: Patient) -> None:
    standin.faults.append(Fault(200, {"Content-Type": "text/html"}, "<html>welcome</html>"))
    with pytest.raises(errors.KubeError, match="Is this a Kubernetes API server"):
        client.get("/version")
    standin.faults.append(Fault(200, text="{half"))
    with pytest.raises(errors.Unreachable, match="not JSON"):
        client.get("/version")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Expired),
        (422, errors.KubeError),
    ],
)
def test_errors_by_status(standin: KubeStandIn, client: Patient, status: int, kind: type[errors.KubeError]) -> None:
    standin.faults.append(Fault(status))
    with pytest.raises(errors.KubeError) as failure:
        client.get("/version")
    assert failure.value.__class__ is kind
    assert (failure.value.status, failure.value.path) == (status, "/version")


def test_patch_says_its_kind_and_manager(standin: KubeStandIn, client: Patient) -> None:
    standin.put(f"{NODES}/a", node("a"))
    client.patch(f"{NODES}/a", {"metadata": {"labels": {"x": "1"}}}, "apply", field_manager="podnet", force=True)
    _method, path, headers = standin.log[-1]
    assert path == f"{NODES}/a?fieldManager=podnet&force=true"
    assert headers["Content-Type"] == "application/apply-patch+yaml"


def test_update_gives_up_after_its_attempts(standin: KubeStandIn, client: Patient) -> None:
    standin.put(f"{NODES}/a", node("a"))

    def change(current: dict[str, Any]) -> dict[str, Any]:
        standin.put(f"{NODES}/a", node("a"))
        return {"metadata": {"labels": {"x": "1"}}}

    with pytest.raises(errors.Conflict):
        update_with_retry(client, f"{NODES}/a", change, attempts=3)
    assert len(standin.requests("PATCH")) == 3


def test_update_with_nothing_to_do_writes_nothing(standin: KubeStandIn, client: Patient) -> None:
    standin.put(f"{NODES}/a", node("a"))
    assert update_with_retry(client, f"{NODES}/a", lambda _current: None)[1] is False
    assert standin.requests("PATCH") == []


def test_watch_bookmarks_and_expiry(standin: KubeStandIn, client: Patient) -> None:
    start = client.list(NODES).resource_version
    standin.put(f"{NODES}/a", node("a"))
    events = list(client.watch(NODES, start, seconds=1))
    assert [event.type for event in events] == ["ADDED", "BOOKMARK"]
    standin.put(f"{NODES}/b", node("b"))
    standin.forget()
    with pytest.raises(errors.Expired):
        list(client.watch(NODES, start, seconds=1))


def test_a_watch_can_be_ended_from_another_thread(standin: KubeStandIn, client: Patient) -> None:
    standin.put(f"{NODES}/a", node("a"))
    events = client.watch(NODES, "0", seconds=60)
    next(events)
    timer = threading.Timer(0.2, client.end_watches)
    timer.start()
    with pytest.raises(errors.Unreachable):
        list(events)
    timer.join()


def test_counters(standin: KubeStandIn, client: Patient) -> None:
    standin.put(f"{NODES}/a", node("a"))
    client.get(f"{NODES}/a")
    assert client.log == [f"GET {NODES}/a"]
    assert client.requests == 1
    assert client.bytes > 20


def test_impersonation_headers(standin: KubeStandIn) -> None:
    auth = Auth(host=standin.url, impersonate_user="jane", impersonate_groups=("devs", "ops"))
    with KubeClient(auth) as connected:
        connected.list(NODES)
    headers = standin.log[-1][2]
    assert headers["Impersonate-User"] == "jane"
    assert headers["Impersonate-Group"] == "ops"


def test_old_urllib3_would_merge_the_groups(standin: KubeStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib3.__version__", "1.26.20")
    one, two = ({"impersonate_user": "jane", "impersonate_groups": groups} for groups in (("devs",), ("devs", "ops")))
    KubeClient(Auth(host=standin.url, **one)).close()
    with pytest.raises(errors.InvalidAuth, match="urllib3"):
        KubeClient(Auth(host=standin.url, **two))


def test_requests_go_through_the_proxy(standin: KubeStandIn) -> None:
    standin.put(f"{NODES}/a", node("a"))
    with KubeClient(Auth(host="http://192.0.2.1", proxy=standin.url)) as connected:
        assert connected.get(f"{NODES}/a")["metadata"]["name"] == "a"
    assert standin.requests() == [f"http://192.0.2.1{NODES}/a"]


def test_the_user_in_the_proxys_url_is_sent_to_it(standin: KubeStandIn) -> None:
    proxy = standin.url.replace("http://", "http://jane:p%40ss@")
    with KubeClient(Auth(host="http://192.0.2.1", proxy=proxy)) as connected:
        connected.list(NODES)
    expected = "Basic " + base64.b64encode(b"jane:p@ss").decode()
    assert ("proxy-authorization", expected) in [(key.lower(), value) for key, value in standin.log[-1][2].items()]


def test_hosts_in_no_proxy_are_reached_directly(standin: KubeStandIn) -> None:
    standin.put(f"{NODES}/a", node("a"))
    with KubeClient(Auth(host=standin.url, proxy="http://127.0.0.1:1", no_proxy="127.0.0.0/8")) as connected:
        assert connected.get(f"{NODES}/a")["metadata"]["name"] == "a"


def test_a_proxy_that_is_not_there_is_named_as_the_cause(standin: KubeStandIn) -> None:
    auth = Auth(host="http://192.0.2.1", proxy="http://user:must-not-show@127.0.0.1:1")
    with KubeClient(auth) as connected, pytest.raises(errors.Unreachable, match="the proxy does not answer") as failure:
        connected.get("/version")
    assert "must-not-show" not in str(failure.value)


def raisable() -> list[Exception]:
    """An instance of every exception that the libraries below the client define, as far as one can be made."""
    found: list[Exception] = [
        KeyError("x"),
        RuntimeError("x"),
        ImportError("No module named 'socks'"),
        RecursionError(),
    ]
    for module in (http.client, json, kubernetes.client.exceptions, kubernetes.config, socket, ssl, urllib3.exceptions):
        for kind in vars(module).values():
            if not isinstance(kind, type) or not issubclass(kind, Exception):
                continue
            for arguments in ((), ("x",), (None, "x"), (None, "/", "x"), ("x", "y", 0), ("utf-8", b"x", 0, 1, "y")):
                with contextlib.suppress(TypeError, AttributeError):
                    found.append(kind(*arguments))
                    break
    return found


@pytest.mark.parametrize("error", raisable(), ids=lambda error: type(error).__name__)
def test_nothing_of_the_libraries_leaves_the_client_untranslated(
    client: Patient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_arguments: Any, **_named: Any) -> None:
        raise error

    monkeypatch.setattr(client._pool, "request", fail)
    with pytest.raises(errors.KubeError) as caught:
        client.get(NODES)
    assert str(caught.value).startswith(f"GET {NODES}")
    with pytest.raises(errors.KubeError):
        next(client.watch(NODES, "1"))


def test_a_proxy_that_no_package_speaks_is_told(standin: KubeStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where PySocks is not installed; requests and urllib3 may have loaded it already."""
    for name in [name for name in sys.modules if name == "socks" or name.startswith("urllib3.contrib.socks")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "socks", None)
    with pytest.raises(errors.InvalidAuth, match="the TLS or proxy options cannot be used"):
        KubeClient(Auth(host=standin.url, proxy="socks5://127.0.0.1:1"))
