# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

POD = {
    "metadata": {"name": "a", "labels": {"app": "x"}, "annotations": None, "generation": 3, "frozen": True},
    "spec": {"containers": [{"name": "c"}, "junk", None]},
}


@pytest.mark.parametrize(
    ("facts", "found"),
    [({"a": {"b": 1}}, 1), ({"a": {}}, None), ({"a": None}, None), ({}, None), (None, None), ({"a": [1]}, None)],
)
def test_what_is_missing_on_the_way_is_none(facts: Any, found: Any) -> None:
    assert fields.at(facts, "a", "b") == found


def test_the_empty_path_is_the_object_itself() -> None:
    assert fields.at(POD) is POD
    assert fields.mapping("text") == {}


@pytest.mark.parametrize(
    "path", [("metadata", "annotations", "x"), ("metadata", "name", "x"), ("spec", "containers", "x"), ("status",)]
)
def test_a_missing_field_reads_as_empty(path: tuple[str, ...]) -> None:
    assert fields.at(POD, *path) is None
    assert fields.mapping(POD, *path) == {}
    assert fields.sequence(POD, *path) == []
    assert fields.mappings(POD, *path) == []
    assert fields.text(POD, *path) == ""
    assert fields.number(POD, *path) == 0


def test_a_field_of_the_type_is_given_and_one_of_another_type_is_empty() -> None:
    assert fields.mapping(POD, "metadata", "labels") == {"app": "x"}
    assert fields.mapping(POD, "metadata", "name") == {}
    assert fields.sequence(POD, "spec", "containers") == [{"name": "c"}, "junk", None]
    assert fields.sequence(POD, "metadata", "name") == []
    assert fields.text(POD, "metadata", "name") == "a"
    assert fields.text(POD, "metadata", "generation") == ""
    assert fields.number(POD, "metadata", "generation") == 3
    assert fields.number(POD, "metadata", "frozen") == 0
    assert fields.number({"port": "8080"}, "port") == 0


def test_a_list_of_mappings_leaves_out_its_other_members() -> None:
    assert fields.mappings(POD, "spec", "containers") == [{"name": "c"}]


def test_what_is_given_can_be_changed_without_changing_the_object() -> None:
    fields.mapping(POD, "metadata", "labels").clear()
    fields.sequence(POD, "spec", "containers").clear()
    assert POD["metadata"]["labels"] == {"app": "x"}
    assert len(POD["spec"]["containers"]) == 3
