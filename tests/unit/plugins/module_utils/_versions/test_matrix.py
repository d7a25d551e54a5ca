# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data of the matrix: in order, complete, each with a source, and of one mind with themselves."""

from __future__ import annotations

import ast
import inspect
from types import ModuleType
from typing import Any, Iterator

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._versions import (
    calico,
    cni,
    flannel,
    kube_network_policies,
    kubernetes,
    question,
    rules,
)
from ansible_collections.podnet.cni.plugins.module_utils._versions.matrix import TABLES

DATA = (calico, cni, flannel, kube_network_policies, kubernetes, rules)
RULES = [*rules.PROBLEMS, *rules.NEEDS, *rules.NOTES]
LITERAL = (ast.Constant, ast.Tuple, ast.Dict, ast.Name, ast.JoinedStr, ast.FormattedValue, ast.Load, ast.Store)


def spans(product: str, name: str) -> list[tuple[Any, ...]]:
    return [span for span in TABLES[product].spans if span[0] == name]


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    for product, table in TABLES.items():
        for each in (*table.changes, *table.faults):
            yield product, dict(each)


@pytest.mark.parametrize("module", DATA, ids=lambda module: module.__name__.rpartition(".")[2])
def test_data_are_literals(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    for node in tree.body:
        if isinstance(node, ast.Assign):
            strange = [each for each in ast.walk(node.value) if not isinstance(each, LITERAL)]
            assert strange == [], ast.dump(node)[:200]
        else:
            assert isinstance(node, (ast.Expr, ast.ImportFrom))


@pytest.mark.parametrize("product", question.PRODUCTS)
def test_rows_ascend_and_are_complete(product: str) -> None:
    table = TABLES[product]
    assert table.fields[0] == "version"
    keys = [question.key(row[0]) for row in table.rows]
    assert keys == sorted(set(keys))
    assert {len(row) for row in table.rows} == {len(table.fields)}


@pytest.mark.parametrize("product", question.PRODUCTS)
def test_spans_are_rows_and_do_not_overlap(product: str) -> None:
    versions = {row[0] for row in TABLES[product].rows}
    for name, since, until, _value, source in TABLES[product].spans:
        assert since in versions, name
        assert not until or until in versions, name
        assert source, name
    for name in {span[0] for span in TABLES[product].spans}:
        assert name not in TABLES[product].fields
        ordered = sorted(spans(product, name), key=lambda span: question.key(span[1]))
        for older, newer in zip(ordered, ordered[1:]):
            assert older[2], f"{name} has an open span before {newer[1]}"
            assert question.key(older[2]) <= question.key(newer[1]), name


def test_statements_name_rows_and_sources() -> None:
    for product, each in statements():
        versions = {row[0] for row in TABLES[product].rows}
        for name in ("version", "since", "until"):
            assert each.get(name, TABLES[product].rows[0][0]) in versions, each
        assert each["source"].startswith("https://"), each
        for name in ("impact", "back_impact"):
            assert each.get(name, "none") in question.IMPACTS, each
        assert each.get("impact") != "manual" or each.get("action"), f"{each['id']}: what is to be done by hand?"
        assert each.get("back_impact") != "manual" or each.get("back_action") or each["id"] == "selector", each


@pytest.mark.parametrize("product", question.PRODUCTS)
def test_a_change_is_named_once_in_a_release(product: str) -> None:
    rows = TABLES[product].rows
    found = [(change.version, change.id) for change in question.changes(product, rows[0][0], rows[-1][0])]
    assert len(found) == len(set(found))


def test_rules_name_products_and_releases() -> None:
    names = [rule["id"] for rule in (*rules.PROBLEMS, *rules.NOTES)]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert set(rule) == {"id", "versions", "features", "text", "remedy", "source"}
        assert rule["versions"], rule["id"]
        assert rule["source"].startswith("https://")
        for product, (since, until) in rule["versions"].items():
            versions = {row[0] for row in TABLES[product].rows}
            assert {since, until} - {""} <= versions, rule["id"]


def test_releases_that_rows_point_to_are_rows() -> None:
    for row in TABLES["flannel"].rows:
        features = question.features_of("flannel", row[0])
        assert question.resolve("flannel_cni_plugin", features["flannel_cni_plugin"])
        assert not features["chart_sidecar"] or question.resolve("kube_network_policies", features["chart_sidecar"])
    for row in TABLES["flannel_cni_plugin"].rows:
        assert question.resolve("cni_plugins", row[2])
    for row in TABLES["calico"].rows:
        flannel_version = question.features_of("calico", row[0])["flannel_image"].rpartition(":")[2]
        assert question.resolve("flannel", flannel_version)


def test_flags_are_of_releases_and_written_without_hyphens() -> None:
    releases = {row[0] for row in TABLES["kubernetes"].rows}
    flags = [flag for _release, flag, _source in kubernetes.REMOVED_KUBELET_FLAGS]
    assert len(flags) == len(set(flags))
    for release, flag, source in kubernetes.REMOVED_KUBELET_FLAGS:
        assert release in releases and not flag.startswith("-") and source.startswith("https://")


def test_the_oldest_calico_with_a_crd_has_it_in_its_count() -> None:
    """The named CRDs account for every difference of the counts."""
    rows = [row[0] for row in TABLES["calico"].rows]
    for older, newer in zip(rows, rows[1:]):
        before, after = (question.features_of("calico", version) for version in (older, newer))
        named = [
            sum(len(row[name]) for name in row if name.startswith("crds_") and row[name]) for row in (before, after)
        ]
        assert after["crd_count"] - before["crd_count"] == named[1] - named[0], newer
