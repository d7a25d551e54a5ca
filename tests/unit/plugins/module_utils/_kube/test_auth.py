# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connection options, kubeconfig files, and what is said when they cannot be used."""

from __future__ import annotations

import base64
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._kube import auth, library
from ansible_collections.podnet.cni.plugins.module_utils._kube.auth import Auth, resolve
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import InvalidAuth, MissingLibrary

HIDDEN = "must-not-show"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*auth.ENVIRONMENT.values(), "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


def kubeconfig(**user: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443"}}],
        "users": [{"name": "u", "user": user or {"token": HIDDEN}}],
        "contexts": [
            {"name": "a", "context": {"cluster": "c", "user": "u"}},
            {"name": "b", "context": {"cluster": "c"}},
        ],
        "current-context": "a",
    }


def written(path: Path, content: Any) -> str:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_options_go_before_the_environment() -> None:
    environ = {"K8S_AUTH_HOST": "https://env", "K8S_AUTH_CONTEXT": "env", "K8S_AUTH_VERIFY_SSL": "no"}
    made = Auth.from_options({"host": "https://given", "context": None}, environ)
    assert (made.host, made.context, made.validate_certs) == ("https://given", "env", False)


def test_groups_from_the_environment_are_split() -> None:
    environ = {"K8S_AUTH_IMPERSONATE_USER": "jane", "K8S_AUTH_IMPERSONATE_GROUPS": "devs, ops"}
    assert Auth.from_options({}, environ).impersonate_groups == ("devs", "ops")


def test_a_boolean_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidAuth, match="K8S_AUTH_VERIFY_SSL"):
        Auth.from_options({}, {"K8S_AUTH_VERIFY_SSL": "maybe"})


def test_secrets_are_not_shown() -> None:
    made = Auth(api_key=HIDDEN, password=HIDDEN, kubeconfig={"token": HIDDEN}, proxy=f"http://u:{HIDDEN}@p")
    assert HIDDEN not in repr(made)


def test_the_password_of_a_proxy_is_a_secret() -> None:
    content = kubeconfig()
    content["clusters"][0]["cluster"]["proxy-url"] = "http://user:p%40ss@192.0.2.9:3128"
    assert auth.secrets(content) >= {"p%40ss", "p@ss"}
    assert auth.secrets({"proxy-url": "http://192.0.2.9:3128"}) == set()
    assert auth.secrets({"proxy-url": "http://[u:secret@h"}) == {"http://[u:secret@h"}
    assert auth.ARGUMENT_SPEC["proxy"]["no_log"] is True


def test_host_and_token() -> None:
    target = resolve(Auth(host="https://192.0.2.9:6443/", api_key=f"{HIDDEN}\n"))
    assert target.server == "https://192.0.2.9:6443"
    assert target.credentials() == f"Bearer {HIDDEN}"
    assert HIDDEN not in target.label


def test_user_and_password() -> None:
    target = resolve(Auth.from_options({"host": "https://192.0.2.9", "username": "u", "password": "p"}))
    expected = "Basic " + base64.b64encode(b"u:p").decode()
    assert target.credentials() == expected


def test_kubeconfig_file_and_named_context(tmp_path: Path) -> None:
    path = written(tmp_path / "config", kubeconfig())
    first, second = resolve(Auth(kubeconfig=path)), resolve(Auth(kubeconfig=path, context="b"))
    assert (first.context, second.context) == ("a", "b")
    assert first.credentials() == f"Bearer {HIDDEN}"
    assert second.credentials() == ""
    assert first.label == "https://192.0.2.1:6443 (context a)"


def test_options_replace_what_the_kubeconfig_says() -> None:
    target = resolve(Auth(kubeconfig=kubeconfig(), host="https://192.0.2.7", api_key="other", validate_certs=False))
    assert target.server == "https://192.0.2.7"
    assert target.credentials() == "Bearer other"
    assert target.configuration.verify_ssl is False


def test_the_kubeconfig_is_not_used_when_only_a_host_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", written(tmp_path / "config", kubeconfig()))
    target = resolve(Auth(host="https://192.0.2.7"))
    assert target.credentials() == ""


def test_the_default_kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", written(tmp_path / "config", kubeconfig()))
    assert resolve(Auth()).context == "a"


def test_the_account_of_the_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    incluster = importlib.import_module("kubernetes.config.incluster_config")
    (tmp_path / "token").write_text(HIDDEN)
    (tmp_path / "ca.crt").write_text("a certificate")
    monkeypatch.setattr(incluster, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.3")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("KUBECONFIG", written(tmp_path / "config", kubeconfig()))
    assert (resolve(Auth()).server, resolve(Auth()).credentials()) == ("https://192.0.2.3:443", f"bearer {HIDDEN}")
    assert resolve(Auth(context="a")).server == "https://192.0.2.1:6443", "a context that is named comes first"


def test_several_files_are_merged(tmp_path: Path) -> None:
    other = kubeconfig()
    other["contexts"] = [{"name": "far", "context": {"cluster": "c", "user": "u"}}]
    paths = f"{written(tmp_path / 'one', kubeconfig())}:{written(tmp_path / 'two', other)}"
    assert resolve(Auth(kubeconfig=paths, context="far")).context == "far"


def test_impersonation_of_the_kubeconfig() -> None:
    content = kubeconfig(**{"token": HIDDEN, "as": "jane", "as-groups": ["devs"]})
    assert resolve(Auth(kubeconfig=content)).headers == [("Impersonate-User", "jane"), ("Impersonate-Group", "devs")]
    assert resolve(Auth(kubeconfig=content, impersonate_user="joe")).headers == [("Impersonate-User", "joe")]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kubeconfig": "/does/not/exist"}, "no kubeconfig /does/not/exist"),
        ({}, "no kubeconfig ~/.kube/config"),
        ({"kubeconfig": {}}, "no list 'clusters'"),
        ({"kubeconfig": kubeconfig(), "context": "z"}, "no context 'z'.*it knows: a, b"),
        ({"host": "192.0.2.1"}, "write it as https://"),
        ({"host": "https://h", "client_cert": "/x"}, "client_cert and client_key belong together"),
        ({"host": "https://h", "username": "u"}, "username and password belong together"),
        ({"host": "https://h", "ca_cert": "/does/not/exist"}, "ca_cert: there is no file"),
        ({"host": "https://h", "impersonate_groups": ("g",)}, "needs impersonate_user"),
        ({"kubeconfig": kubeconfig(tokenFile="/does/not/exist")}, "No such file"),
        ({"kubeconfig": kubeconfig(**{"client-certificate-data": "abc", "client-key-data": "abc"})}, "not base64"),
        ({"kubeconfig": kubeconfig(**{"client-certificate": "/nope", "client-key": "/nope"})}, "File does not exist"),
    ],
)
def test_what_cannot_be_used(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidAuth, match=text):
        resolve(Auth(**options))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda content: content.pop("current-context"), "no current context"),
        (lambda content: content["clusters"].clear(), "names cluster 'c', which has no server"),
        (lambda content: content["clusters"][0]["cluster"].pop("server"), "has no server"),
        (lambda content: content["users"].clear(), "names user 'u'"),
    ],
)
def test_incomplete_kubeconfigs_name_what_is_missing(tmp_path: Path, change: Any, text: str) -> None:
    content = kubeconfig()
    change(content)
    for given in (content, written(tmp_path / "config", content)):
        with pytest.raises(InvalidAuth, match=text) as failure:
            resolve(Auth(kubeconfig=given))
        assert HIDDEN not in str(failure.value)


@pytest.mark.parametrize("content", ["[1, 2", f"token: {HIDDEN}\n\tbroken", "just text", "", "- a"])
def test_files_that_are_no_kubeconfig(tmp_path: Path, content: str) -> None:
    path = written(tmp_path / "config", content)
    with pytest.raises(InvalidAuth, match=path) as failure:
        resolve(Auth(kubeconfig=path))
    assert HIDDEN not in str(failure.value)


def plugin(*command: str) -> dict[str, Any]:
    version = "client.authentication.k8s.io/v1"
    return kubeconfig(exec={"apiVersion": version, "command": command[0], "args": list(command[1:])})


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("/does/not/exist",), "No such file"),
        ((sys.executable, "-c", "import sys; sys.exit('log in first')"), "log in first"),
        ((sys.executable, "-c", "print('no json')"), "failed to decode"),
        ((sys.executable, "-c", "print('{}')"), "malformed response"),
    ],
)
def test_failing_exec_plugins_say_why(command: tuple[str, ...], text: str) -> None:
    with pytest.raises(InvalidAuth, match="gave no credentials") as failure:
        resolve(Auth(kubeconfig=plugin(*command)))
    assert text in str(failure.value)
    assert command[0] in str(failure.value)


def test_a_hanging_exec_plugin_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "EXEC_TIMEOUT", 0.2)
    with pytest.raises(InvalidAuth, match=r"did not finish within 0.2 s"):
        resolve(Auth(kubeconfig=plugin(sys.executable, "-c", "import time; time.sleep(3)")))


def renewing(tmp_path: Path, later: str) -> auth.Target:
    """A target whose exec plugin gives a token that has run out at once; from its second call on it does *later*."""
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": HIDDEN, "expirationTimestamp": "2023-11-14T22:13:20Z"},
    }
    program = tmp_path / "login.py"
    program.write_text(
        f"import pathlib, sys, time\nseen = pathlib.Path({str(tmp_path / 'seen')!r})\n"
        f"if seen.exists():\n    {later}\nseen.touch()\nprint({json.dumps(answer)!r})\n"
    )
    return resolve(Auth(kubeconfig=plugin(sys.executable, str(program))))


def test_an_exec_plugin_that_hangs_while_it_renews_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = renewing(tmp_path, "time.sleep(3)")
    monkeypatch.setattr(auth, "EXEC_TIMEOUT", 0.2)
    with pytest.raises(InvalidAuth, match=r"the exec plugin .* did not finish within 0.2 s"):
        target.credentials()


def test_an_exec_plugin_that_fails_while_it_renews_says_why(tmp_path: Path) -> None:
    target = renewing(tmp_path, "sys.exit('log in first')")
    with pytest.raises(InvalidAuth, match=r"gave no new credentials: .*log in first"):
        target.credentials()


def test_a_renewal_that_raises_is_no_crash(tmp_path: Path) -> None:
    target = renewing(tmp_path, "pass")

    def refuse(_configuration: Any) -> None:
        raise KeyError(HIDDEN)

    target.configuration.refresh_api_key_hook = refuse
    with pytest.raises(InvalidAuth, match=r"could not be renewed \(KeyError\)") as failure:
        target.credentials()
    assert HIDDEN not in str(failure.value)


def certificate_kubeconfig() -> dict[str, Any]:
    """With data where other kubeconfigs have paths; the package writes it to files when it is resolved."""
    data = base64.b64encode(HIDDEN.encode()).decode()
    return kubeconfig(**{"client-certificate-data": data, "client-key-data": base64.b64encode(b"key").decode()})


def test_key_files_of_the_block_are_removed_and_earlier_ones_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    earlier = kubeconfig(**{"client-certificate-data": "b3RoZXI=", "client-key-data": "b3RoZXIga2V5"})
    with auth.key_files_removed():
        kept = resolve(Auth(kubeconfig=earlier)).configuration.key_file
        with auth.key_files_removed():
            made = resolve(Auth(kubeconfig=certificate_kubeconfig())).configuration.key_file
            assert Path(made).read_text() == "key"
        assert not Path(made).exists()
        assert Path(kept).exists()
        again = resolve(Auth(kubeconfig=certificate_kubeconfig())).configuration.key_file
        assert Path(again).read_text() == "key", "they can be made once more"
    assert list(tmp_path.iterdir()) == []


def test_an_expired_token_is_recognised() -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 1700000000}).encode()).decode().rstrip("=")
    target = resolve(Auth(host="https://h", api_key=f"head.{claims}.signature"))
    assert target.age_hint() == "The token expired at 2023-11-14 22:13 UTC. "
    assert resolve(Auth(host="https://h", api_key="a.b.c")).age_hint() == ""


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(library, "import_module", refuse)
    with pytest.raises(MissingLibrary, match=r"kubernetes is missing.*delegate_to"):
        resolve(Auth(host="https://h"))
