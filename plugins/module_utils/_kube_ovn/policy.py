# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decision as admission policies: CEL for the API server, no server of ours.

Private to podnet.cni: may change in any release.

Types are those of k8s.io/api admissionregistration/v1 (Kubernetes 1.36), what CEL offers is k8s.io/apiserver
pkg/cel/environment and pkg/admission/plugin/policy/mutating. CEL reads no JSON and knows no hash: routes are judged by
pattern, and the record holds a copy of each value instead of its hash.
"""

from __future__ import annotations

import json
from typing import Any, Iterable

from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import Selector
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import catalogue
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.catalogue import ANY_PROVIDER, Annotation
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.config import DEFAULT, Config, Rule
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.decision import MIRROR_KEY

GROUP = "admissionregistration.k8s.io"
NOT_HOST_NETWORK = "!has(object.spec.hostNetwork) || object.spec.hostNetwork == false"
NOT_MIRROR = f'!has(object.metadata.annotations) || !("{MIRROR_KEY}" in object.metadata.annotations)'

_POD_RULES = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
_NAMESPACE_RULES = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["namespaces"]}


def quote(text: str) -> str:
    """A text as a CEL literal; a JSON literal is one, as long as it has no surrogates."""
    return json.dumps(text, ensure_ascii=False)


def _list(items: Iterable[str]) -> str:
    return "[" + ", ".join(quote(item) for item in items) + "]"


def _raw(pattern: str) -> str:
    return f"r'^(?:{pattern})$'"


def usable(annotation: Annotation, value: str) -> str:
    """The CEL expression of lint.usable() for an expression C(value)."""
    form = f"{value}.matches({_raw(annotation.pattern)})"
    if annotation.kind == "address":
        return f"({form} && isIP({value}))"
    if annotation.kind == "addresses":
        return f"({form} && {value}.split(',').all(t, isIP(t)))"
    if annotation.kind != "routes":
        return form
    gateway, target = _member("e", "gw"), _member("e", "dst")
    # The pattern holds an entry to two members; that they differ is told by the count of each.
    entry = (
        f"size({gateway[0]}) <= 1 && size({target[0]}) <= 1"
        f" && {gateway[0]}.all(t, isIP(t.split('\"')[3])) && {target[0]}.all(t, isCIDR(t.split('\"')[3]))"
        f" && (size({gateway[0]}) == 0 || size({target[0]}) == 0"
        f" || ip({gateway[1]}).family() == cidr({target[1]}).ip().family())"
    )
    # What is too long is told by its size alone: judging it would cost more than an expression may.
    short = f"size({value}) <= {catalogue.ROUTES_LIMIT}"
    return f"({short} && {form} && {value}.findAll(r'\\{{[^}}]*\\}}').all(e, {entry}))"


def _member(entry: str, name: str) -> tuple[str, str]:
    """Expressions for the matches of a member in an entry, and for the text of the first."""
    found = f'{entry}.findAll(r\'"{name}"[ \\t\\r\\n]*:[ \\t\\r\\n]*"[^"]*"\')'
    return found, f"{found}[0].split('\"')[3]"


def selects(selector: Selector, labels: str) -> str:
    """The CEL expression of Selector.matches() for an expression of a label map."""
    parts = []
    for item in selector.requirements:
        key = quote(item.key)
        if item.operator == "Exists":
            parts.append(f"{key} in {labels}")
        elif item.operator == "DoesNotExist":
            parts.append(f"!({key} in {labels})")
        else:
            inside = f"({key} in {labels} && {labels}[{key}] in {_list(sorted(item.values))})"
            parts.append(inside if item.operator == "In" else f"!{inside}")
    return " && ".join(parts) or "true"


def _value(key: str) -> str:
    """The namespace's value for a key expression, else the cluster-wide default, else nothing."""
    return (
        f"({key} in variables.nsAnn ? string(variables.nsAnn[{key}])"
        f' : ({key} in variables.defaults ? variables.defaults[{key}] : ""))'
    )


def _keys(rule: Rule, config: Config, own: bool) -> str:
    """The list of keys that a rule yields; with C(own) without those that are the pod's own choice."""
    value = _value("k")
    tests = [f'{value} != ""', usable(rule.annotation, value)]
    if own:
        if rule.mode == DEFAULT:
            tests.insert(0, "!variables.optOut && !(k in variables.podAnn)")
        else:
            tests.append(f"!(k in variables.podAnn && variables.podAnn[k] == {value})")
    if rule.provider == ANY_PROVIDER:
        named = [item.key for item in config.rules if item.annotation == rule.annotation and item is not rule]
        pattern = rf"(?:{catalogue.PROVIDER_PATTERN})\.kubernetes\.io/{rule.annotation.name}"
        source = "variables.nsAnn"
        tests[:0] = [f"k.matches({_raw(pattern)})", *([f"!(k in {_list(named)})"] if named else [])]
    else:
        source = _list([rule.key])
    conditions = [selects(rule.pods, "variables.podLabels"), selects(rule.namespaces, "variables.nsLabels")]
    listed = f"{source}.filter(k, {' && '.join(tests)})"
    needed = [each for each in conditions if each != "true"]
    return f"({' && '.join(needed)} ? {listed} : [])" if needed else listed


def _variable(name: str, expression: str) -> dict[str, str]:
    return {"name": name, "expression": expression}


def _map_or_empty(expression: str) -> str:
    return f"has({expression}) ? {expression} : {{}}"


def _common_variables(config: Config) -> list[dict[str, str]]:
    defaults = {rule.key: rule.default for rule in config.rules if rule.default}
    literal = ", ".join(f"{quote(key)}: {quote(value)}" for key, value in defaults.items())
    return [
        _variable("nsAnn", _map_or_empty("namespaceObject.metadata.annotations")),
        _variable("nsLabels", _map_or_empty("namespaceObject.metadata.labels")),
        _variable("podAnn", _map_or_empty("object.metadata.annotations")),
        _variable("podLabels", _map_or_empty("object.metadata.labels")),
        # An empty literal has no value type, and the look-up needs one.
        _variable("defaults", f"{{{literal or quote('') + ': ' + quote('')}}}"),
    ]


def mutating_policy(config: Config, name: str, version: str, failure_policy: str) -> list[dict[str, Any]]:
    """The MutatingAdmissionPolicy and its binding, in the API version that the server offers."""
    opt_out = quote(config.opt_out_key)
    keys = [_variable(f"keys{index}", _keys(rule, config, True)) for index, rule in enumerate(config.rules)]
    record = (
        "'{' + variables.keys.map(k, strings.quote(k) + ':' + strings.quote('=' + " + _value("k") + ")).join(',') + '}'"
    )
    path = '"/metadata/annotations/" + jsonpatch.escapeKey({})'
    mutation = (
        "size(variables.keys) == 0 ? [] : "
        '(has(object.metadata.annotations) ? [] : [JSONPatch{op: "add", path: "/metadata/annotations", value: {}}])'
        f' + variables.keys.map(k, JSONPatch{{op: "add", path: {path.format("k")}, value: {_value("k")}}})'
        f' + [JSONPatch{{op: "add", path: {path.format(quote(config.record_key))}, value: {record}}}]'
    )
    policy = {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": failure_policy,
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": _constraints(config, _POD_RULES, ["CREATE"]),
            "matchConditions": pod_conditions(),
            "variables": [
                *_common_variables(config),
                _variable("optOut", f'{opt_out} in variables.podAnn && variables.podAnn[{opt_out}] == "false"'),
                *keys,
                _variable("keys", " + ".join(f"variables.{item['name']}" for item in keys)),
            ],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": mutation}}],
        },
    }
    binding = {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": _binding(name, config),
    }
    return [policy, binding]


def pod_conditions() -> list[dict[str, str]]:
    """Match conditions that keep pods out which Kube-OVN does not wire."""
    return [
        {"name": "not-host-network", "expression": NOT_HOST_NETWORK},
        {"name": "not-mirror-pod", "expression": NOT_MIRROR},
    ]


def namespace_selector(config: Config) -> dict[str, Any]:
    """The label selector for namespaces that take part, the excluded ones left out by name."""
    selector = config.namespaces.to_dict()
    if config.excluded:
        expression = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(config.excluded)}
        selector = {"matchExpressions": [*selector.get("matchExpressions", []), expression]}
    return selector


def _constraints(config: Config, rules: dict[str, Any], operations: list[str]) -> dict[str, Any]:
    return {
        "matchPolicy": "Equivalent",
        "namespaceSelector": namespace_selector(config),
        "resourceRules": [{**rules, "operations": operations}],
    }


def _binding(name: str, config: Config) -> dict[str, Any]:
    selector = config.namespaces.to_dict()
    return {"policyName": name, **({"matchResources": {"namespaceSelector": selector}} if selector else {})}


def enforcing_policy(config: Config, name: str, failure_policy: str) -> list[dict[str, Any]]:
    """The ValidatingAdmissionPolicy that keeps enforced values of running pods, and its binding; empty without any.

    An update may bring an enforced key to the namespace's value or leave it alone, so that the sync can do its work
    and an old pod stays editable.
    """
    rules = [rule for rule in config.rules if rule.mode != DEFAULT]
    if not rules:
        return []
    keys = [_variable(f"keys{index}", _keys(rule, config, False)) for index, rule in enumerate(rules)]
    same = "(k in variables.podAnn) == (k in variables.old)"
    validation = (
        f"variables.keys.all(k, (k in variables.podAnn && variables.podAnn[k] == {_value('k')})"
        f" || ({same} && (!(k in variables.podAnn) || variables.podAnn[k] == variables.old[k])))"
    )
    message = "an annotation that the namespace enforces cannot be changed on a pod; change it on the namespace"
    old = "request.operation == 'UPDATE' && has(oldObject.metadata.annotations) ? oldObject.metadata.annotations : {}"
    spec = {
        "failurePolicy": failure_policy,
        "matchConstraints": _constraints(config, _POD_RULES, ["UPDATE"]),
        "matchConditions": pod_conditions(),
        "variables": [
            *_common_variables(config),
            _variable("old", old),
            *keys,
            _variable("keys", " + ".join(f"variables.{item['name']}" for item in keys)),
        ],
        "validations": [{"expression": validation, "message": message}],
    }
    return _validating(name, spec, _binding(name, config))


def namespace_policy(config: Config, name: str, failure_policy: str) -> list[dict[str, Any]]:
    """The ValidatingAdmissionPolicy that refuses unusable values on a namespace, and its binding.

    It judges values that change, so an old bad value never stands in the way of Kube-OVN's own patches.
    """
    validations = []
    for annotation in dict.fromkeys(rule.annotation for rule in config.rules):
        named = [rule.provider for rule in config.rules if rule.annotation == annotation]
        providers = "|".join(each.replace(".", r"\.") for each in named)
        if ANY_PROVIDER in named:
            providers = catalogue.PROVIDER_PATTERN
        pattern = _raw(rf"(?:{providers})\.kubernetes\.io/{annotation.name}")
        changed = "!(k in variables.old && variables.old[k] == variables.ann[k])"
        bad = f'variables.ann[k] != "" && !{usable(annotation, "string(variables.ann[k])")}'
        validations.append(
            {
                "expression": f"!variables.ann.exists(k, k.matches({pattern}) && {changed} && {bad})",
                "message": f"annotation {annotation.name} must be {_form(annotation)}",
            }
        )
    spec = {
        "failurePolicy": failure_policy,
        "matchConstraints": {"resourceRules": [{**_NAMESPACE_RULES, "operations": ["CREATE", "UPDATE"]}]},
        "variables": [
            _variable("ann", _map_or_empty("object.metadata.annotations")),
            _variable(
                "old",
                "request.operation == 'UPDATE' && has(oldObject.metadata.annotations)"
                " ? oldObject.metadata.annotations : {}",
            ),
        ],
        "validations": validations,
    }
    return _validating(name, spec, {"policyName": name})


def _form(annotation: Annotation) -> str:
    if annotation.kind != "routes":
        return annotation.form
    return (
        f"{annotation.form}; dst a prefix with a length like 10.0.0.7/32, gw an address, both of one family; "
        f"{catalogue.ROUTES_LIMIT} octets at most"
    )


def _validating(name: str, spec: dict[str, Any], binding: dict[str, Any]) -> list[dict[str, Any]]:
    kind = "ValidatingAdmissionPolicy"
    common = {"apiVersion": f"{GROUP}/v1", "metadata": {"name": name}}
    return [
        {**common, "kind": kind, "spec": spec},
        {**common, "kind": f"{kind}Binding", "spec": {**binding, "validationActions": ["Deny"]}},
    ]
