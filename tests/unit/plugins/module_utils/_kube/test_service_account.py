# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kubeconfig out of a token Secret, and what is said of one that has no token."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import service_account
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound

PARAMS = {"namespace": "kube-system", "secret": "flanneld-token", "server": None, "timeout": 2.0}


def secret(token: str | None, kind: str = "kubernetes.io/service-account-token") -> dict[str, Any]:
    data = {"ca.crt": "Q0E="}
    if token is not None:
        data["token"] = base64.b64encode(token.encode()).decode()
    metadata = {"name": "flanneld-token", "annotations": {"kubernetes.io/service-account.name": "flanneld"}}
    return {"type": kind, "metadata": metadata, "data": data}


class Client:
    """Answers with one Secret after the other, the last for ever; none is NotFound."""

    def __init__(self, *answers: dict[str, Any] | None) -> None:
        self.answers = list(answers)
        self.target = SimpleNamespace(server="https://198.51.100.5:6443")

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/kube-system/secrets/flanneld-token"
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise NotFound("no such Secret")
        return answer


def run(client: Client, *, check: bool = False, **params: Any) -> dict[str, Any]:
    return service_account.run(client, {**PARAMS, **params}, check=check, sleep=lambda _seconds: None)


@pytest.mark.parametrize(("given", "server"), [(None, "https://198.51.100.5:6443"), ("https://api:1", "https://api:1")])
def test_a_token_that_comes_late_makes_a_kubeconfig(given: str | None, server: str) -> None:
    made = json.loads(run(Client(secret(None), secret(""), secret("abc")), server=given)["kubeconfig"])
    assert made["clusters"][0]["cluster"] == {"server": server, "certificate-authority-data": "Q0E="}
    assert made["users"] == [{"name": "flanneld", "user": {"token": "abc"}}]
    assert made["contexts"][0]["context"] == {"cluster": "cluster", "user": "flanneld"}
    assert made["current-context"] == made["contexts"][0]["name"]


def test_a_token_that_does_not_come_is_told_with_who_makes_it() -> None:
    with pytest.raises(PodnetError, match=r"no token after 2 s\. kube-controller-manager"):
        run(Client(secret(None)))


def test_another_kind_of_secret_is_refused() -> None:
    with pytest.raises(PodnetError, match="of the type Opaque"):
        run(Client(secret("abc", kind="Opaque")))


def test_only_a_check_run_does_without_the_secret() -> None:
    assert run(Client(None), check=True)["kubeconfig"] == ""
    with pytest.raises(NotFound):
        run(Client(None))
