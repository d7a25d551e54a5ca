# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The admission server without an API server: reviews, HTTP, certificates, the program's own answers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Unreachable
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config, decision
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.server import certificate, http, program, review
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._kube_ovn._pki import pair

ROUTES = "ovn.kubernetes.io/routes"
SECURITY = "ovn.kubernetes.io/port_security"
GATEWAY = '[{"gw":"10.16.0.1"}]'
CONFIG = config.parse({"annotations": ["routes", "port_security"], "namespace_selector": {}})
TEAM = decision.Namespace("team", {}, {ROUTES: GATEWAY, SECURITY: "True"})


def body(item: Any = None, **request: Any) -> bytes:
    """A review of the creation of a pod in namespace team."""
    full = {
        "uid": "u-1",
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": "CREATE",
        "namespace": "team",
        "object": {"metadata": {"generateName": "web-"}, "spec": {}} if item is None else item,
        **request,
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": full}).encode()


def patch_of(outcome: review.Outcome) -> Any:
    return json.loads(base64.b64decode(outcome.answer["response"]["patch"]))


def test_a_pod_gets_a_patch_and_a_warning() -> None:
    outcome = review.review_pod(review.read(body()), TEAM, CONFIG)
    response = outcome.answer["response"]
    assert (response["uid"], response["allowed"], response["patchType"]) == ("u-1", True, "JSONPatch")
    assert [item["path"] for item in patch_of(outcome)] == [
        "/metadata/annotations",
        "/metadata/annotations/ovn.kubernetes.io~1routes",
        "/metadata/annotations/podnet.cni~1inherited",
    ]
    assert response["auditAnnotations"] == {"inherited": ROUTES}
    reason = f"not inherited from namespace team: {SECURITY}: it is not the text true or false: True"
    assert response["warnings"] == [reason]


def test_a_dry_run_is_answered_alike() -> None:
    real, dry = (review.review_pod(review.read(body(dryRun=dry)), TEAM, CONFIG) for dry in (False, True))
    assert real == dry


def test_nothing_to_do_means_no_patch() -> None:
    own = {"metadata": {"annotations": {ROUTES: ""}}}
    outcome = review.review_pod(review.read(body(own)), TEAM, CONFIG)
    assert outcome.result == "unchanged"
    assert not {"patch", "patchType"} & set(outcome.answer["response"])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"1"}}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":""}}',
        b"[" * 100000,
        body(object=None),
        body(object=[1]),
    ],
)
def test_malformed_reviews_are_refused(text: bytes) -> None:
    with pytest.raises(InputError):
        review.read(text)


def test_a_namespace_is_judged_by_what_changes() -> None:
    def judged(new: Any, old: Any) -> dict[str, Any]:
        request = review.read(
            body(
                {"metadata": {"annotations": new}},
                oldObject={"metadata": {"annotations": old}},
                operation="UPDATE",
                resource={"group": "", "version": "v1", "resource": "namespaces"},
            )
        )
        return dict(review.review_namespace(request, CONFIG).answer["response"])

    refused = judged({ROUTES: '[{"dst":"10.0.0.1","gw":"10.16.0.1"}]'}, {})
    assert not refused["allowed"]
    assert "Write 10.0.0.1/32" in refused["status"]["message"]
    assert judged({ROUTES: "["}, {ROUTES: "["})["allowed"]
    assert judged({"ovn.kubernetes.io/mirror": "?"}, {})["allowed"], "nobody inherits it"
    warned = judged({ROUTES: '[{"dst":"10.0.0.1/8","gw":"10.16.0.1"}]'}, None)
    assert warned["allowed"]
    assert warned["warnings"]


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=10), inner, max_size=3)),
    max_leaves=8,
)
PODS = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.one_of(
            JSON_VALUES, st.fixed_dictionaries({}, optional={"annotations": JSON_VALUES, "labels": JSON_VALUES})
        ),
        "spec": JSON_VALUES,
    },
)


@given(
    PODS,
    st.fixed_dictionaries({}, optional={"namespace": JSON_VALUES, "oldObject": JSON_VALUES, "dryRun": JSON_VALUES}),
)
def test_any_object_gets_an_answer(item: dict[str, Any], more: dict[str, Any]) -> None:
    """Whatever the objects hold, the answer allows the pod and its patch can be applied."""
    request = review.read(body(item, **more))
    for outcome in (review.review_pod(request, TEAM, CONFIG), review.review_namespace(request, CONFIG)):
        assert outcome.answer["response"]["uid"] == "u-1"
    outcome = review.review_pod(request, TEAM, CONFIG)
    assert outcome.answer["response"]["allowed"] is True
    if outcome.result == "patched":
        keys = {entry["path"] for entry in patch_of(outcome)}
        assert keys <= {
            "/metadata/annotations",
            "/metadata/annotations/ovn.kubernetes.io~1routes",
            "/metadata/annotations/podnet.cni~1inherited",
        }


class Cache:
    """A namespace cache that knows one namespace, and one more when the API server is asked."""

    synced = True
    invalid: tuple[str, ...] = ()

    def get(self, name: str) -> decision.Namespace | None:
        return TEAM if name == "team" else None

    def fetch(self, name: str) -> decision.Namespace:
        if name == "new":
            return decision.Namespace("new", {}, {ROUTES: GATEWAY})
        raise Unreachable("GET: no answer")

    def age(self) -> float:
        return 1.5

    def __len__(self) -> int:
        return 1


def admission(tls: certificate.ServerCertificate | None = None) -> program.Admission:
    cache: Any = Cache()
    return program.Admission(CONFIG, cache, tls, program.Logger("error"))


def reviewed(app: program.Admission, text: bytes, path: str = program.MUTATE) -> http.Reply:
    return asyncio.run(app.review("POST", path, text))


def test_a_namespace_that_is_not_known_yet_is_asked_for() -> None:
    app = admission()
    assert json.loads(reviewed(app, body(namespace="new")).body)["response"]["patch"]
    assert app.metrics.live_reads == 1


def test_no_answer_is_guessed() -> None:
    """When the namespace cannot be read the failure policy shall decide, so the answer is an error."""
    app = admission()
    assert reviewed(app, body(namespace="gone")).status == 500
    assert reviewed(app, b"{").status == 400
    assert reviewed(app, body(), "/else").status == 404
    text = app.metrics.render({}).decode()
    assert 'requests_total{path="/mutate-pods",result="error"} 1' in text
    assert 'requests_total{path="/mutate-pods",result="malformed"} 1' in text


@settings(max_examples=50)
@given(st.one_of(st.binary(max_size=200), JSON_VALUES.map(lambda value: json.dumps(value).encode())))
def test_any_body_gets_a_reply(text: bytes) -> None:
    for path in (program.MUTATE, program.VALIDATE):
        assert reviewed(admission(), text, path).status == 400


def test_logs_hold_no_contents(capsys: pytest.CaptureFixture[str]) -> None:
    app = admission()
    app.log = program.Logger("debug")
    item = {"metadata": {"name": "pod-secret", "annotations": {"a": "content-secret"}}, "spec": {"env": "env-secret"}}
    reviewed(app, body(item))
    line = json.loads(capsys.readouterr().out)
    assert (line["uid"], line["namespace"], line["result"], line["keys"]) == ("u-1", "team", "patched", [ROUTES])
    assert "secret" not in json.dumps(line)


def test_a_malformed_review_is_logged_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    app = admission()
    app.log = program.Logger("warning")
    assert reviewed(app, b'{"kind":"secret"}').status == 400
    line = json.loads(capsys.readouterr().out)
    assert (line["message"], line["octets"]) == ("malformed review", 17)
    assert "not an AdmissionReview" in line["error"]
    assert "secret" not in json.dumps(line)


@pytest.mark.parametrize(
    "option", ["--sync-rate=0", "--sync-rate=-1", "--sync-rate=nan", "--sync-interval=0", "--drain=-1"]
)
def test_options_that_would_stop_the_server_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.parse_arguments(["--config", "x", option])
    assert option.split("=", maxsplit=1)[0] in capsys.readouterr().err


def test_readiness(tmp_path: Path) -> None:
    tls = certificate.ServerCertificate(*pair(tmp_path, "one"))
    app = admission(tls)
    assert app.problem() == ""
    tls.not_after = 0
    assert app.problem() == "the certificate has expired"
    assert "certificate_expiry_seconds -" in app.metrics.render(app._gauges()).decode()
    app.cache.synced = False
    assert app.problem() == "namespaces are not known yet"
    for path, status in (("/healthz", 200), ("/readyz", 503), ("/metrics", 200), ("/else", 404)):
        assert asyncio.run(app.status("GET", path, b"")).status == status


Client = Callable[[int], Awaitable[Any]]


def served(client: Client, context: ssl.SSLContext | None = None, **limits: Any) -> Any:
    """Run a client against a server that gives each body back."""

    async def echo(_method: str, _path: str, text: bytes) -> http.Reply:
        return http.Reply(200, text)

    async def run() -> Any:
        server = http.HttpServer(echo, http.Limits(**limits))
        port = await server.start("127.0.0.1", 0, context)
        try:
            return await asyncio.wait_for(client(port), 30)
        finally:
            await server.stop(0.1)

    return asyncio.run(run())


async def exchange(port: int, *texts: bytes, eof: bool = False) -> bytes:
    """Send texts on one connection and read until it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for text in texts:
        writer.write(text)
        await writer.drain()
    if eof:
        writer.write_eof()
    try:
        return await reader.read()
    except ConnectionError:
        return b"cut"
    finally:
        writer.close()


def test_keep_alive_and_pipelining() -> None:
    one = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
    two = b"POST /a?timeout=3s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\ntwo"
    answer = served(lambda port: exchange(port, one + two))
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.endswith(b"\r\n\r\ntwo")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET x HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 3145729\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n", 431),
    ],
)
def test_bad_requests(text: bytes, status: int) -> None:
    assert served(lambda port: exchange(port, text)).startswith(b"HTTP/1.1 %d " % status)


def test_a_body_of_three_mebibytes_is_taken() -> None:
    text = b"x" * (3 * 1024 * 1024)
    head = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(text)
    assert served(lambda port: exchange(port, head, text)).endswith(b"x" * 100)


@pytest.mark.parametrize(
    "text", [b"P", b"POST / HTTP/1.1\r\nHost: x\r\n", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", b""]
)
def test_a_slow_client_is_cut(text: bytes) -> None:
    assert served(lambda port: exchange(port, text), idle=0.2, header=0.2, body=0.2) in (b"", b"cut")


def test_a_draining_server_answers_and_asks_to_close() -> None:
    async def run() -> list[bytes]:
        async def handler(_method: str, _path: str, _text: bytes) -> http.Reply:
            return http.Reply(200)

        server = http.HttpServer(handler, http.Limits())
        port = await server.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answers = []
        for _each in range(2):
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            answers.append(await reader.readuntil(b"\r\n\r\n"))
            server.drain()
        answers.append(await reader.read())
        writer.close()
        answers.append(await exchange(port, b"GET / HTTP/1.1\r\n\r\n"))
        await server.stop(0.1)
        return answers

    first, second, rest, fresh = asyncio.run(run())
    assert b"Connection: keep-alive" in first
    assert b"Connection: close" in second
    assert rest == b""
    assert fresh.startswith(b"HTTP/1.1 200"), "new connections are still answered"


def test_a_new_connection_is_refused_when_all_others_are_busy() -> None:
    async def client(port: int) -> list[bytes]:
        first = [await asyncio.open_connection("127.0.0.1", port) for _each in range(2)]
        for _reader, each in first:
            each.write(b"GET / HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\n")
        await asyncio.sleep(0.1)
        refused = await exchange(port)
        reader, writer = first[0]
        writer.write(b"all")
        answer = await reader.read()
        for _reader, each in first:
            each.close()
        return [refused, answer]

    refused, answer = served(client, connections=2)
    assert refused in (b"", b"cut")
    assert answer.startswith(b"HTTP/1.1 200")


def test_silent_clients_do_not_shut_others_out(tmp_path: Path) -> None:
    """More of them than there are connections, all after their handshake; a client that asks is served and kept."""
    tls = certificate.ServerCertificate(*pair(tmp_path, "one"))
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    request = b"GET / HTTP/1.1\r\n\r\n"

    async def client(port: int) -> list[bytes]:
        async def connect() -> Any:
            return await asyncio.open_connection("127.0.0.1", port, ssl=trusting)

        silent = [await connect() for _each in range(6)]
        reader, writer = await connect()
        answers = []
        for _each in range(2):
            writer.write(request)
            answers.append(await reader.readuntil(b"\r\n\r\n"))
            silent += [await connect() for _each in range(6)]
        for _reader, each in [*silent, (reader, writer)]:
            each.transport.abort()
        return answers

    answers = served(client, tls.context, connections=4)
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 2


def test_a_connection_that_never_asks_is_cut_early() -> None:
    """A connection that was used before may rest longer: the API server keeps some."""

    async def client(port: int) -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        cut = await exchange(port)
        writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        return cut, await reader.read()

    cut, answer = served(client, header=0.3, idle=60.0)
    assert cut in (b"", b"cut")
    assert answer.startswith(b"HTTP/1.1 200")


@settings(max_examples=40)
@given(
    st.lists(
        st.sampled_from([b"GET ", b"/", b" HTTP/1.1", b"\r\n", b":", b"Content-Length", b"3", b"\x00", b"\xff"]),
        max_size=12,
    )
)
def test_noise_does_not_break_the_server(parts: list[bytes]) -> None:
    async def client(port: int) -> bytes:
        await exchange(port, b"".join(parts), eof=True)
        return await exchange(port, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")

    assert served(client).startswith(b"HTTP/1.1 200")


def test_a_new_certificate_is_served_and_open_connections_go_on(tmp_path: Path) -> None:
    files = pair(tmp_path, "one")
    tls = certificate.ServerCertificate(*files)

    async def connect(port: int) -> tuple[Any, Any, Any]:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        return reader, writer, writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    async def client(port: int) -> tuple[bool, bytes]:
        reader, writer, before = await connect(port)
        for old, new in zip(files, pair(tmp_path, "two", days=2)):
            os.replace(new, old)
        assert tls.refresh()
        _reader, second, after = await connect(port)
        second.close()
        writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        return before != after, await reader.readline()

    changed, line = served(client, tls.context)
    assert changed
    assert line == b"HTTP/1.1 200 OK\r\n"
    assert not tls.refresh(), "nothing changed"


def test_a_pair_that_does_not_fit_is_not_served(tmp_path: Path) -> None:
    files = pair(tmp_path, "one")
    tls = certificate.ServerCertificate(*files)
    before = tls.not_after
    os.replace(pair(tmp_path, "two", days=2)[0], files[0])
    assert not tls.refresh()
    assert tls.problem
    assert tls.not_after == before
    with pytest.raises(InputError, match="cannot be served"):
        certificate.ServerCertificate(*files)


@pytest.mark.parametrize("days", [1, 365, 365 * 40])
def test_end_of_validity(tmp_path: Path, days: int) -> None:
    """Both forms of a time, before and after 2050."""
    path, _key = pair(tmp_path, "any", days=days)
    text = Path(path).read_text(encoding="ascii")
    wanted = x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc.timestamp()
    assert certificate.end_of_validity(text) == wanted
