# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Manifests from files: lists, several documents, what is broken, and what is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy import sources
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._network_policy.cases import (
    namespace,
    node,
    pod,
    policy,
)


def options(**given: Any) -> dict[str, Any]:
    defaults = {"src": [], "flows": [], "namespaces": [], "sidecar_version": "v1.1.1", "api_servers": []}
    return {**defaults, "direct_routing": False, **given}


def test_all_shapes_of_manifests(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "# first\n---\n" + yaml.safe_dump(policy("x/one")) + "---\n" + yaml.safe_dump(policy("x/two")) + "...\n"
    )
    pods = {"apiVersion": "v1", "kind": "PodList", "items": [{**pod("x/a"), "kind": None}]}
    for item in pods["items"]:
        item.pop("kind")
        item.pop("apiVersion")
    (tmp_path / "pods.json").write_text(json.dumps(pods))
    (tmp_path / "deep").mkdir()
    listed = {"apiVersion": "v1", "kind": "List", "items": [namespace("x"), policy("y/three"), {"kind": "Secret"}]}
    (tmp_path / "deep" / "list.yml").write_text(yaml.safe_dump(listed))
    (tmp_path / "notes.txt").write_text("kind: NetworkPolicy")
    found = sources.from_files([str(tmp_path)])
    assert sorted(found.policies) == ["x/one", "x/two", "y/three"]
    assert sorted(found.pods) == ["x/a"]
    assert found.namespaces["x"] == {"ns": "x", "kubernetes.io/metadata.name": "x"}
    assert found.namespaces["y"] == {"kubernetes.io/metadata.name": "y"}
    assert found.unreadable == []


@pytest.mark.parametrize(
    ("backend", "direct", "allowed", "verdict"),
    [
        ("vxlan", False, ["10.244.1.0"], "allow"),
        ("vxlan", False, ["198.18.0.1"], "deny"),
        ("vxlan", True, ["10.244.1.0"], "unknown"),
        ("vxlan", True, ["198.18.0.1"], "unknown"),
        ("vxlan", True, ["10.244.1.0", "198.18.0.1"], "allow"),
        ("vxlan", True, [], "deny"),
        ("ipip", True, ["198.18.0.1"], "unknown"),
        ("host-gw", True, ["198.18.0.1"], "allow"),
        ("host-gw", False, ["10.244.1.0"], "deny"),
    ],
)
def test_a_node_that_may_send_past_the_overlay(
    tmp_path: Path, backend: str, direct: bool, allowed: list[str], verdict: str
) -> None:
    """The address of a node's own packets at a Pod of another one, with and without DirectRouting."""
    rules = [{"from": [{"ipBlock": {"cidr": f"{address}/32"}} for address in allowed]}] if allowed else []
    lets_in = policy("x/p", types=["Ingress"], ingress=rules)
    objects = [node("n1", 1, backend), node("n2", 2, backend), pod("x/a", "10.244.2.2", nodeName="n2"), lets_in]
    (tmp_path / "all.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    flow = {"from": "198.18.0.1", "to": "x/a", "port": 80, "protocol": "TCP"}
    built = sources.run(options(src=[str(tmp_path)], flows=[flow], direct_routing=direct))
    assert [row["verdict"] for row in built["verdicts"]] == [verdict]


def test_what_is_broken_is_named_and_hides_nothing(tmp_path: Path) -> None:
    bad = policy("x/bad", ingress=[{"from": [{}]}])
    texts = [
        yaml.safe_dump(policy("x/good")),
        "a: {{ .Values.a }}\n",
        yaml.safe_dump(bad),
        yaml.safe_dump(policy("x/good")),
    ]
    path = tmp_path / "all.yaml"
    path.write_text("---\n" + "---\n".join([*texts, yaml.safe_dump({**pod("x/p"), "spec": {"containers": 3}})]))
    (tmp_path / "raw.yaml").write_bytes(b"\xff\xfe\x00")
    found = sources.from_files([str(path), str(tmp_path / "raw.yaml")])
    assert sorted(found.policies) == ["x/good"]
    assert [(each.source.replace(str(tmp_path), ""), each.message.split(".")[0]) for each in found.unreadable] == [
        ("/all.yaml document 2", "this is not valid YAML in its line 2"),
        ("/raw.yaml", "the file is not UTF-8 text"),
        ("/all.yaml document 3: NetworkPolicy x/bad", "spec"),
        ("/all.yaml document 4: NetworkPolicy x/good", "it is there twice; the last counts"),
        ("/all.yaml document 5: Pod x/p", "it has not the shape of its kind"),
    ]


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file and no directory"):
        sources.from_files([str(tmp_path / "none.yaml")])
    with pytest.raises(InputError, match="has no file that ends in"):
        sources.from_files([str(tmp_path)])


def test_json_needs_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> Any:
        raise ImportError("No module named 'yaml'")

    monkeypatch.setattr(sources, "import_module", missing)
    (tmp_path / "one.json").write_text(json.dumps(policy("x/one")))
    (tmp_path / "two.yaml").write_text("kind: Pod\n")
    assert sorted(sources.from_files([str(tmp_path / "one.json")]).policies) == ["x/one"]
    with pytest.raises(InputError, match="needs the Python package PyYAML"):
        sources.from_files([str(tmp_path / "two.yaml")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", 6443)),
        ("192.0.2.1:8443", ("192.0.2.1", 8443)),
        ("fd00:18::1", ("fd00:18::1", 6443)),
        ("[fd00:18::1]:443", ("fd00:18::1", 443)),
    ],
)
def test_addresses_of_api_servers(tmp_path: Path, text: str, expected: tuple[str, int]) -> None:
    (tmp_path / "one.json").write_text(json.dumps(pod("x/a")))
    built = sources.run(options(src=[str(tmp_path)], api_servers=[text]))
    assert [(each["address"], each["port"]) for each in built["api_servers"]] == [expected]


@pytest.mark.parametrize("text", ["api.example.com:6443", "192.0.2.1:70000", "192.0.2.1:0"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="api_servers: "):
        sources.run(options(api_servers=[text]))
