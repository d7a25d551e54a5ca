# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AdmissionReview in, AdmissionReview out: pure functions.

Private to podnet.cni: may change in any release.

The exchange is that of k8s.io/api admission/v1 and k8s.io/apiserver pkg/admission/plugin/webhook/request.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import catalogue, decision, lint
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.config import Config
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.decision import Namespace

VERSION = "admission.k8s.io/v1"
WARNING_LENGTH = 120
"""API servers cut longer warnings (k8s.io/api admission/v1 types.go)."""


@dataclass(frozen=True)
class Request:
    """What we need of a review. C(kind) is pod, namespace or empty for anything else."""

    uid: str
    kind: str
    operation: str
    namespace: str
    object: Mapping[str, Any]
    old: Mapping[str, Any]
    dry_run: bool


@dataclass(frozen=True)
class Outcome:
    """The answer, a word for metrics (patched, unchanged, skipped, refused) and the keys it is about."""

    answer: dict[str, Any]
    result: str
    keys: tuple[str, ...] = ()


def read(body: bytes) -> Request:
    """Read a review. Raises InputError for anything that cannot be answered."""
    try:
        review = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError("the body is not JSON") from None
    if not isinstance(review, dict) or (review.get("apiVersion"), review.get("kind")) != (VERSION, "AdmissionReview"):
        raise InputError(f"the body is not an AdmissionReview of {VERSION}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str) or not request["uid"]:
        raise InputError("the review holds no request with a uid")
    resource = request.get("resource")
    kind = ""
    if isinstance(resource, dict) and resource.get("group") == "" and not request.get("subResource"):
        kind = {"pods": "pod", "namespaces": "namespace"}.get(str(resource.get("resource")), "")
    item, old = request.get("object"), request.get("oldObject")
    if kind and request.get("operation") in ("CREATE", "UPDATE") and not isinstance(item, dict):
        raise InputError("the review holds no object")
    name = request.get("namespace")
    return Request(
        request["uid"],
        kind,
        str(request.get("operation")),
        name if isinstance(name, str) else "",
        item if isinstance(item, dict) else {},
        old if isinstance(old, dict) else {},
        request.get("dryRun") is True,
    )


def concerns_pod(request: Request) -> bool:
    """Whether the review is about the creation of a pod, so that its namespace is needed."""
    return request.kind == "pod" and request.operation == "CREATE" and bool(request.namespace)


def allow(request: Request, result: str = "skipped") -> Outcome:
    """Let the request through as it is."""
    return Outcome(_answer(request, {"allowed": True}), result)


def review_pod(request: Request, namespace: Namespace, config: Config) -> Outcome:
    """Give a new pod what it inherits. Dry runs are answered alike, since nothing but the answer comes of a review."""
    decided = decision.decide(request.object, namespace, config)
    patch = decision.build_patch(request.object, decided, config)
    response: dict[str, Any] = {"allowed": True}
    if decided.unusable:
        response["warnings"] = [
            f"not inherited from namespace {namespace.name}: {key}: {lint.why_unusable(key, value)}"[:WARNING_LENGTH]
            for key, value in sorted(decided.unusable.items())
        ]
    if decided.skipped:
        return Outcome(_answer(request, response), "skipped")
    if not patch:
        return Outcome(_answer(request, response), "unchanged")
    keys = tuple(sorted(decided.writes))
    response["patchType"] = "JSONPatch"
    response["patch"] = base64.b64encode(json.dumps(patch, separators=(",", ":")).encode()).decode("ascii")
    response["auditAnnotations"] = {"inherited": ",".join(keys)}
    return Outcome(_answer(request, response), "patched", keys)


def review_namespace(request: Request, config: Config) -> Outcome:
    """Refuse values that pods would inherit and that are wrong. Only values that change are judged."""
    new, old = decision.annotations_of(request.object), decision.annotations_of(request.old)
    changed = [
        key
        for key in sorted(new)
        if new[key] != old.get(key) and catalogue.find(key) is not None and config.rule_for(key) is not None
    ]
    findings = lint.lint_namespace(new, only=changed) if changed else []
    errors = [finding for finding in findings if finding.severity == lint.ERROR]
    if errors:
        status = {"code": 422, "reason": "Invalid", "message": " ".join(str(error) for error in errors)[:2000]}
        response = {"allowed": False, "status": status}
        return Outcome(_answer(request, response), "refused", tuple(sorted({error.key for error in errors})))
    response = {"allowed": True}
    if findings:
        response["warnings"] = [f"{each.key}: {each.remedy}: {each.reason}"[:WARNING_LENGTH] for each in findings]
    return Outcome(_answer(request, response), "unchanged")


def _answer(request: Request, response: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": VERSION, "kind": "AdmissionReview", "response": {"uid": request.uid, **response}}
