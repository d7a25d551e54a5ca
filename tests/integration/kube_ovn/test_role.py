# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role with both engines on a real API server, and its Deployment run as the kubelet would run it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import __file__ as imported
from ansible_collections.podnet.cni.tests.integration import _kube, _warm
from ansible_collections.podnet.cni.tests.integration._as_typed import as_typed
from ansible_collections.podnet.cni.tests.integration.kube_ovn._cluster import (
    GATEWAY,
    ROUTES,
    SECURITY,
    annotate,
    annotations_of,
    create,
    namespace,
    pod,
    until,
)

pytestmark = pytest.mark.kube

TREE = Path(imported).parents[5]
NAME = "kube-ovn-inheritance"
GROUP = "/apis/admissionregistration.k8s.io/v1"
SECRETS = f"/api/v1/namespaces/{NAME}/secrets"


@pytest.fixture(scope="module")
def cluster() -> Iterator[_kube.KubeServer]:
    """A cluster of its own, because the role owns what it finds there."""
    _kube.require()
    with _kube.running() as server:
        yield server


class Play:
    """Runs the role and tells what changed."""

    def __init__(self, kube: _kube.KubeServer, directory: Path) -> None:
        self.kube = kube
        self.directory = directory

    def run(
        self, entry: str = "main", *, check: bool = False, fails: bool = False, **variables: Any
    ) -> tuple[int, str]:
        """Number of changed tasks and the output."""
        given = {f"kube_ovn_inheritance_{name}": value for name, value in variables.items()}
        given.update(kube_ovn_inheritance_kubeconfig=str(self.kube.admin), kube_ovn_inheritance_wait=False)
        role = {"name": "podnet.cni.kube_ovn_inheritance", "tasks_from": entry}
        tasks = [{"ansible.builtin.include_role": role, "vars": as_typed("kube_ovn_inheritance", given)}]
        play = [{"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks}]
        path = self.directory / "play.yml"
        path.write_text(json.dumps(play))
        done = _warm.ansible(
            "playbook",
            *("-i", "localhost,", "-e", f"ansible_python_interpreter={_warm.interpreter()}"),
            *(["--check", "--diff"] if check else []),
            str(path),
            environment={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(TREE), "ANSIBLE_NOCOLOR": "1"},
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, output
        return int(re.findall(r"changed=(\d+)", output)[-1]), output

    def names(self, plural: str) -> list[str]:
        """Names of our objects of a cluster-wide kind of the admission group."""
        items = self.kube.api("GET", f"{GROUP}/{plural}")["items"]
        return sorted(item["metadata"]["name"] for item in items if item["metadata"]["name"].startswith(NAME))


@pytest.fixture
def play(cluster: _kube.KubeServer, tmp_path: Path) -> Play:
    return Play(cluster, tmp_path)


def test_policy_engine_from_nothing_to_nothing(play: Play) -> None:
    kube = play.kube
    kube.apply(namespace("team", {ROUTES: GATEWAY}))
    options: dict[str, Any] = {"annotations": ["routes", {"annotation": "port_security", "mode": "enforce"}]}
    planned, _output = play.run(check=True, **options)
    assert planned > 0
    assert play.names("mutatingadmissionpolicies") == []
    play.run(**options)
    assert play.run(**options)[0] == 0
    assert play.names("mutatingadmissionpolicies") == [NAME]
    assert play.names("validatingadmissionpolicies") == [f"{NAME}-enforced", f"{NAME}-values"]
    until(lambda: ROUTES in create(kube, "team", pod("probe"), dry_run=True), "the policy's taking effect")
    create(kube, "team", pod("one"))
    kube.apply(namespace("secured", {SECURITY: "true"}))
    assert create(kube, "secured", pod("own", {SECURITY: "false"}))[SECURITY] == "true"
    with pytest.raises(RuntimeError, match="must be a JSON array"):
        annotate(kube, "/api/v1/namespaces/team", {ROUTES: "none"})

    play.run("uninstall", **options)
    assert play.run("uninstall", **options)[0] == 0
    for plural in ("mutatingadmissionpolicies", "validatingadmissionpolicies", "mutatingadmissionpolicybindings"):
        assert play.names(plural) == []
    assert annotations_of(kube, "team", "one")[ROUTES] == GATEWAY
    play.run("uninstall", keep_values=False, **options)
    assert ROUTES not in annotations_of(kube, "team", "one")
    assert annotations_of(kube, "secured", "own")[SECURITY] == "true", "not without the word"
    play.run("uninstall", keep_values=False, confirm="unprotect", **options)
    assert SECURITY not in annotations_of(kube, "secured", "own")


def test_webhook_engine(play: Play, tmp_path: Path) -> None:
    kube = play.kube
    kube.apply(namespace("web", {ROUTES: GATEWAY}))
    enforced = ["routes", {"annotation": "port_security", "mode": "enforce"}]
    options: dict[str, Any] = {"engine": "webhook", "sync": True, "annotations": enforced, "failure_policy": "Fail"}
    options["api_server_cidrs"] = ["198.18.0.0/24"]
    assert play.run(check=True, **options)[0] > 0
    play.run(**options)
    assert play.run(**options)[0] == 0
    webhook = kube.api("GET", f"{GROUP}/mutatingwebhookconfigurations/{NAME}")["webhooks"][0]
    assert (webhook["failurePolicy"], webhook["timeoutSeconds"]) == ("Fail", 3)
    excluded = webhook["namespaceSelector"]["matchExpressions"][-1]["values"]
    assert excluded == ["kube-system", "kube-public", "kube-node-lease", NAME]
    bundle = base64.b64decode(webhook["clientConfig"]["caBundle"]).decode()

    answer = review_by_deployment(kube, tmp_path, bundle)
    assert answer["response"]["allowed"]
    assert ROUTES.replace("/", "~1") in base64.b64decode(answer["response"]["patch"]).decode()

    # An enforced value is kept on running pods, though the webhook is asked about new ones only.
    assert play.names("validatingadmissionpolicies") == [f"{NAME}-enforced"]
    guarded = {"podnet.cni/kube-ovn-inheritance": "enabled", "kubernetes.io/metadata.name": "guarded"}
    kube.apply(namespace("guarded", {SECURITY: "true"}, guarded))
    with without_webhook(kube):
        until(lambda: created(kube, "guarded", pod("one", {SECURITY: "true"})), "a pod without an answer")
    until(lambda: not annotated(kube, "guarded", "one", {SECURITY: "false"}), "the refusal of an edit")

    # The server is down and pods are refused, but namespaces can be changed. It is asked about values that change only.
    web = "/api/v1/namespaces/web"
    asked = unanswered(kube)
    kube.api("PATCH", web, {"metadata": {"labels": {"x": "y"}}}, "application/merge-patch+json")
    annotate(kube, web, {"example.org/a": "b"})
    annotate(kube, web, {ROUTES: None})
    assert unanswered(kube) == asked
    annotate(kube, web, {ROUTES: GATEWAY})
    assert unanswered(kube) == asked + 1

    # The CA is exchanged over three runs: both trusted, new leaf, the old one forgotten.
    newer = bundle
    for number in (2, 2, 1):
        assert play.run(ca_generation=2, ca_settle=0.0, **options)[0] > 0
        webhook = kube.api("GET", f"{GROUP}/mutatingwebhookconfigurations/{NAME}")["webhooks"][0]
        newer = base64.b64decode(webhook["clientConfig"]["caBundle"]).decode()
        assert newer.count("BEGIN") == number
    assert newer != bundle
    assert play.run(ca_generation=2, ca_settle=0.0, **options)[0] == 0

    # Changing the engine leaves nothing of the old one.
    play.run(engine="policy")
    assert play.names("mutatingwebhookconfigurations") == []
    assert play.names("mutatingadmissionpolicies") == [NAME]
    with pytest.raises(RuntimeError, match="404"):
        kube.api("GET", f"/apis/apps/v1/namespaces/{NAME}/deployments/{NAME}")
    play.run("uninstall")
    assert play.names("mutatingadmissionpolicies") == []


@contextlib.contextmanager
def without_webhook(kube: _kube.KubeServer) -> Iterator[None]:
    """Pods may be made although nobody answers, inside the block."""
    path = f"{GROUP}/mutatingwebhookconfigurations/{NAME}"

    def set_policy(value: str) -> None:
        change = [{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": value}]
        kube.api("PATCH", path, change, "application/json-patch+json")

    set_policy("Ignore")
    try:
        yield
    finally:
        set_policy("Fail")


def created(kube: _kube.KubeServer, where: str, item: dict[str, Any]) -> bool:
    """Whether a pod could be made; not while the API server still asks a server that is down."""
    try:
        create(kube, where, item)
    except RuntimeError as error:
        assert "failed calling webhook" in str(error)
        return False
    return True


def unanswered(kube: _kube.KubeServer) -> float:
    """How often the API server asked about a namespace and went on without an answer."""
    counter = f'apiserver_admission_webhook_fail_open_count{{name="namespaces.{NAME}.'
    lines = kube.api("GET", "/metrics").splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(counter))


def annotated(kube: _kube.KubeServer, where: str, name: str, annotations: dict[str, str | None]) -> bool:
    """Whether a pod can be annotated."""
    try:
        annotate(kube, f"/api/v1/namespaces/{where}/pods/{name}?dryRun=All", annotations)
    except RuntimeError as error:
        assert "cannot be changed on a pod" in str(error)
        return False
    return True


def review_by_deployment(kube: _kube.KubeServer, directory: Path, bundle: str) -> dict[str, Any]:
    """Start the Deployment's container as a process with its volumes, and send it a review as the API server does."""
    spec = kube.api("GET", f"/apis/apps/v1/namespaces/{NAME}/deployments/{NAME}")["spec"]["template"]["spec"]
    container = spec["containers"][0]
    mounts = {mount["name"]: directory / mount["mountPath"].strip("/") for mount in container["volumeMounts"]}
    for volume in spec["volumes"]:
        for path, text in files_of(kube, volume).items():
            target = mounts[volume["name"]] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    (directory / "token").write_text(kube.token(NAME, NAME))
    port, status = _kube._free_ports(2)
    arguments = [text.replace("=/", f"={directory}/") for text in container["args"]]
    process = subprocess.Popen(
        [
            *(sys.executable, *container["command"][1:], *arguments),
            *(f"--port={port}", f"--status-port={status}", "--host=127.0.0.1", "--drain=0"),
            *(f"--certificate={directory}/certificates/tls.crt", f"--key={directory}/certificates/tls.key"),
            *(f"--api-server={kube.url}", f"--ca-file={kube.authority.certificate}"),
            f"--token-file={directory}/token",
        ],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(directory / "program")},
        cwd=directory,
    )
    try:
        until(lambda: answers(status), "readiness of the container")
        return ask(port, bundle)
    finally:
        process.terminate()
        process.wait(20)


def files_of(kube: _kube.KubeServer, volume: dict[str, Any]) -> dict[str, str]:
    """Path -> text of a volume, as the kubelet would put it there."""
    if "secret" in volume:
        data = kube.api("GET", f"{SECRETS}/{volume['secret']['secretName']}")["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}
    source = volume["configMap"]
    data = kube.api("GET", f"/api/v1/namespaces/{NAME}/configmaps/{source['name']}")["data"]
    items = source.get("items") or [{"key": key, "path": key} for key in data]
    assert {item["key"] for item in items} == set(data)
    return {item["path"]: data[item["key"]] for item in items}


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False


def ask(port: int, bundle: str) -> dict[str, Any]:
    """Send a review; the certificate has to be that of the Service, by the bundle of the registration."""
    request = {
        "uid": "1",
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": "CREATE",
        "namespace": "web",
        "object": pod("one"),
    }
    text = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()
    context = ssl.create_default_context(cadata=bundle)
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10)
    plain = socket.create_connection(("127.0.0.1", port))
    connection.sock = context.wrap_socket(plain, server_hostname=f"{NAME}.{NAME}.svc")
    with contextlib.closing(connection):
        connection.request("POST", "/mutate-pods?timeout=3s", text)
        return dict(json.loads(connection.getresponse().read()))


def test_bad_variables_change_nothing(play: Play) -> None:
    assert "never inherited" in play.run(fails=True, annotations=["logical_switch"])[1]
    problems = {"timeout": 31, "sync_rate": 0.0, "sync_interval": -1.0, "certificate_renew_days": 365}
    output = play.run(fails=True, **problems)[1]
    assert "not between 1 and 30" in output
    for name in ("sync_rate (0.0)", "sync_interval (-1.0)", "certificate_renew_days (365)"):
        assert f"kube_ovn_inheritance_{name}" in output
    assert play.names("mutatingadmissionpolicies") == []


@pytest.mark.parametrize("labels", [{}, {"podnet.cni/made-by": "another"}])
def test_a_namespace_the_role_did_not_make_survives(play: Play, labels: dict[str, str]) -> None:
    kube = play.kube
    where = f"foreign-{len(labels)}"
    kube.apply(namespace(where, labels=labels))
    before = kube.api("GET", f"/api/v1/namespaces/{where}")["metadata"]
    play.run(engine="webhook", namespace=where)
    for entry in ("main", "uninstall"):
        play.run(entry, engine="policy", namespace=where)
        after = kube.api("GET", f"/api/v1/namespaces/{where}")["metadata"]
        assert (after["uid"], after["labels"]) == (before["uid"], before["labels"])
        assert "deletionTimestamp" not in after


def test_a_namespace_of_the_role_goes_on_uninstall_only(play: Play) -> None:
    path = "/api/v1/namespaces/own-inheritance"
    play.run(engine="webhook", namespace="own-inheritance")
    play.run(engine="policy", namespace="own-inheritance")
    assert "deletionTimestamp" not in play.kube.api("GET", path)["metadata"]
    play.run("uninstall", namespace="own-inheritance")
    with contextlib.suppress(RuntimeError):
        assert "deletionTimestamp" in play.kube.api("GET", path)["metadata"]


def test_certificates_change_hands(play: Play) -> None:
    """From the role to cert-manager and back, with stubs of cert-manager's kinds and a Secret as it would write it."""
    kube = play.kube
    where = "by-cert-manager"
    options: dict[str, Any] = {"engine": "webhook", "namespace": where}
    play.run(**options)
    kube.apply(stub("Issuer"), stub("Certificate"))
    until(lambda: served(kube, where), "cert-manager's kinds")
    play.run(certificate="cert_manager", **options)
    assert play.run(certificate="cert_manager", **options)[0] == 0
    path = f"/apis/cert-manager.io/v1/namespaces/{where}"
    found = {item["metadata"]["name"]: item["spec"] for item in kube.api("GET", f"{path}/certificates")["items"]}
    policies = {name: spec["privateKey"]["rotationPolicy"] for name, spec in found.items()}
    assert policies == {f"{NAME}-ca": "Never", f"{NAME}-tls": "Always"}
    assert found[f"{NAME}-ca"]["secretName"] == f"{NAME}-issuer"
    secrets = f"/api/v1/namespaces/{where}/secrets"
    issued = {"metadata": {"name": f"{NAME}-issuer"}, "type": "kubernetes.io/tls"}
    kube.api("POST", secrets, {**issued, "data": dict.fromkeys(("ca.crt", "tls.crt", "tls.key"), "eA==")})
    play.run(**options)
    for kind in ("issuers", "certificates"):
        assert kube.api("GET", f"{path}/{kind}")["items"] == []
    names = {item["metadata"]["name"] for item in kube.api("GET", secrets)["items"]}
    assert names == {f"{NAME}-ca", f"{NAME}-tls"}
    assert play.run(**options)[0] == 0
    play.run("uninstall", **options)


def served(kube: _kube.KubeServer, where: str) -> bool:
    """Whether the API server knows cert-manager's kinds."""
    try:
        for kind in ("issuers", "certificates"):
            kube.api("GET", f"/apis/cert-manager.io/v1/namespaces/{where}/{kind}")
    except RuntimeError:
        return False
    return True


def stub(kind: str) -> dict[str, Any]:
    """A CustomResourceDefinition that takes whatever cert-manager's own would."""
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    spec = {"group": "cert-manager.io", "scope": "Namespaced", "names": names, "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.cert-manager.io"},
        "spec": spec,
    }


def test_the_namespace_of_kube_ovn_itself_is_excluded(play: Play) -> None:
    kube = play.kube
    kube.apply(namespace("ovn-system"))
    labels = {"app": "kube-ovn-cni"}
    container = {"name": "cni-server", "image": "docker.io/kubeovn/kube-ovn:v1.15.0"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "kube-ovn-cni", "namespace": "ovn-system"}
    kube.apply({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec})
    play.run(engine="policy", namespace_selector={}, namespace="beside-ovn")
    item = kube.api("GET", f"{GROUP}/mutatingadmissionpolicies/{NAME}")
    (expression,) = item["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["kube-system", "kube-public", "kube-node-lease", "beside-ovn", "ovn-system"]
    play.run("uninstall", namespace="beside-ovn")
