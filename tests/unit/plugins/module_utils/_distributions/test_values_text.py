# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values are merged into somebody's YAML: foreign ones keep their text, twice is once, and undo restores."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._distributions import values_text
from ansible_collections.podnet.cni.plugins.module_utils._distributions.helm import deep_merge
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

KEYS = st.sampled_from(["flannel", "calico", "mtu", "args", "on", "1.10"])
LEAVES = st.one_of(st.integers(), st.booleans(), st.none(), st.sampled_from(["x", "012", "yes", "1.0", "a: b", "é\n"]))
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES, lambda below: st.one_of(st.lists(LEAVES, max_size=2), st.dictionaries(KEYS, below, max_size=3))
    ),
    max_size=4,
)
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(tuple)
WISHES = st.dictionaries(PATHS, st.one_of(st.integers(), st.sampled_from(["vxlan", "no"])), min_size=1, max_size=1)


def tree(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


@given(TREES, WISHES, st.booleans())
def test_merged_is_a_deep_merge_once_and_twice(values: dict[str, Any], wish: Any, flow: bool) -> None:
    text = yaml.safe_dump(values, default_flow_style=flow, allow_unicode=True)
    made = values_text.merged(text, wish, "x")
    [(path, value)] = wish.items()
    assert yaml.safe_load(made) == deep_merge(values, tree(path, value))
    assert values_text.merged(made, wish, "x") == made


@given(TREES, WISHES, TREES, st.booleans())
def test_undo_restores(values: dict[str, Any], wish: Any, other: dict[str, Any], structured: bool) -> None:
    former = {"valuesContent": yaml.safe_dump(values), **({"values": other} if structured else {})}
    made = values_text.spec_with(former, wish, "x")
    assert values_text.spec_with(made, wish, "x") == made
    assert values_text.undone(made, made, former, list(wish)) == former
    [path] = wish
    foreign = values_text.spec_with(made, {("somebody", "else"): 1}, "x")
    back = values_text.undone(foreign, made, former, [path])
    kept = values_text.spec_with(back, {("somebody", "else"): values_text.ABSENT}, "x")
    for part in (lambda spec: yaml.safe_load(spec["valuesContent"]) or {}, lambda spec: spec.get("values", {})):
        assert pruned(part(kept)) == pruned(part(former))


def pruned(value: Any) -> Any:
    """Values without empty mappings, which say nothing to Helm."""
    if not isinstance(value, dict):
        return value
    below = {key: pruned(each) for key, each in value.items()}
    return {key: each for key, each in below.items() if each != {}}


def test_foreign_values_keep_their_text() -> None:
    text = "version: 1.10\nmode: 012\nenabled: on\nday: 2026-01-02\nargs:\n- '--ip-masq'\nflannel: {iface: eth1}\n"
    made = values_text.merged(text, {("flannel", "mtu"): 8950}, "x")
    assert made == text.replace("{iface: eth1}", "{iface: eth1, mtu: 8950}")
    assert values_text.merged(text, {("flannel", "iface"): "eth1"}, "x") == text


def test_an_anchor_is_not_changed_through_its_alias() -> None:
    made = values_text.merged("a: &x {mtu: 1}\nb: *x\n", {("b", "mtu"): 2}, "x")
    assert yaml.safe_load(made) == {"a": {"mtu": 1}, "b": {"mtu": 2}}


def test_values_go_where_they_are_decided() -> None:
    spec = {"valuesContent": "a: 1\n", "values": {"flannel": {"mtu": 1500}}}
    made = values_text.spec_with(spec, {("flannel", "mtu"): 9000, ("calico", "vethuMTU"): 8950}, "x")
    assert made["values"] == {"flannel": {"mtu": 9000}}
    assert yaml.safe_load(made["valuesContent"]) == {"a": 1, "calico": {"vethuMTU": 8950}}


MANIFEST = """# ours
apiVersion: v1
kind: ConfigMap
metadata: {name: x}
---
apiVersion: helm.cattle.io/v1
kind: HelmChartConfig
metadata:
  name: rke2-canal
  namespace: kube-system
spec:
  valuesContent: |-
    flannel:
      iface: eth1
    calico:
      version: 1.10
"""


def test_a_manifest_keeps_its_other_documents() -> None:
    wish = {("flannel", "mtu"): 9000, ("calico", "vethuMTU"): 8950}
    made = values_text.manifest_with(MANIFEST, "rke2-canal", wish, "m.yaml")
    assert made.startswith(MANIFEST.partition("---")[0])
    content = list(yaml.safe_load_all(made))[1]["spec"]["valuesContent"]
    assert content == "flannel:\n  iface: eth1\n  mtu: 9000\ncalico:\n  version: 1.10\n  vethuMTU: 8950\n"
    assert values_text.manifest_with(made, "rke2-canal", wish, "m.yaml") == made
    with pytest.raises(InputError, match="rke2-flannel"):
        values_text.manifest_with(MANIFEST, "rke2-flannel", wish, "m.yaml")


@pytest.mark.parametrize("text", ["a: [1", "- a", "a: 1\n---\nb: 1\n", "x: !!binary [\n"])
def test_what_is_not_one_mapping_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="place"):
        values_text.merged(text, {("a",): 1}, "place")
