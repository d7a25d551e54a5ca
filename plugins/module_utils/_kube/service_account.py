# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kubeconfig for a program outside of the cluster, out of the token Secret of its ServiceAccount.

Private to podnet.cni: may change in any release.

The controller manager fills a Secret of the type kubernetes.io/service-account-token that names a ServiceAccount, and
such a token does not end (https://kubernetes.io/docs/concepts/security/service-accounts/).
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import NotFound

POLL_SECONDS = 0.5


def document(server: str, secret: Mapping[str, Any]) -> str:
    """Return the kubeconfig as JSON, which is YAML, for C(server), an URL; empty where the Secret has no token yet."""
    data = secret.get("data") or {}
    if not data.get("token"):
        return ""
    name = secret["metadata"]["annotations"]["kubernetes.io/service-account.name"]
    cluster = {"server": server, "certificate-authority-data": data.get("ca.crt", "")}
    user = {"token": base64.b64decode(data["token"]).decode()}
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": "cluster", "user": name}}],
        "current-context": name,
    }
    return json.dumps(made, indent=2) + "\n"


def run(
    client: KubeClient, params: Mapping[str, Any], *, check: bool, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Return the result of M(podnet.cni.kube_service_account_info). Raises PodnetError for a Secret that stays empty.

    C(check) says that the Secret may not be there yet.
    """
    namespace, name = params["namespace"], params["secret"]
    server = params["server"] or client.target.server
    for _attempt in range(int(params["timeout"] / POLL_SECONDS) + 1):
        try:
            secret = client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        except NotFound:
            if check:
                return {"changed": False, "kubeconfig": "", "server": server}
            raise
        if secret.get("type") != "kubernetes.io/service-account-token":
            raise PodnetError(
                f"Secret {namespace}/{name} is of the type {secret.get('type')}, not "
                "kubernetes.io/service-account-token. Name another one, or remove it."
            )
        made = document(server, secret)
        if made:
            return {"changed": False, "kubeconfig": made, "server": server}
        sleep(POLL_SECONDS)
    raise PodnetError(
        f"Secret {namespace}/{name} has no token after {params['timeout']:g} s. kube-controller-manager fills it: look "
        "whether it runs, with the controller serviceaccount-token-controller, and whether the ServiceAccount that the "
        "Secret names is there."
    )
