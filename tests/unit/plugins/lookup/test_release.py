# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of the version matrix by lookup, and the defaults that come from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants as C
from ansible.errors import AnsibleLookupError

from ansible_collections.podnet.cni.plugins.lookup import release
from ansible_collections.podnet.cni.plugins.module_utils._versions import question

ROOT = Path(__file__).resolve().parents[4]


def ask(*products: str, **options: Any) -> list[dict[str, Any]]:
    documented = yaml.safe_load(release.DOCUMENTATION)["options"]
    C.config.initialize_plugin_configuration_definitions("lookup", "podnet.cni.release", documented)
    plugin = release.LookupModule()
    plugin._load_name = "podnet.cni.release"
    return plugin.run(list(products), {}, **options)


def test_newest_release_of_each_product() -> None:
    flannel, kubernetes = ask("flannel", "kubernetes")
    assert flannel["tag"] == f"v{question.newest('flannel')}"
    assert flannel["images"]["flannel"] == {"repository": "ghcr.io/flannel-io/flannel", "tag": flannel["tag"]}
    assert flannel["features"]["nftables"] is True
    assert kubernetes["images"] == {} and kubernetes["tag"] == "v1.37"


def test_a_named_release() -> None:
    [found] = ask("calico", version="v3.30")
    assert found["tag"] == "v3.30.7"
    assert found["images"]["cni"] == {"repository": "docker.io/calico/cni", "tag": "v3.30.7"}


@pytest.mark.parametrize(
    ("product", "version", "message"), [("flannel", "0.99", "nearest row is"), ("weave", None, "not a product")]
)
def test_what_is_not_there_fails(product: str, version: str | None, message: str) -> None:
    with pytest.raises(AnsibleLookupError, match=message):
        ask(product, version=version)


def test_documented_defaults_of_the_role_are_those_of_the_matrix() -> None:
    specs = yaml.safe_load((ROOT / "roles/flannel/meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    flannel, sidecar = ask("flannel", "kube_network_policies")
    wanted = {
        "flannel": flannel["images"]["flannel"],
        "flannel_cni": flannel["images"]["flannel_cni_plugin"],
        "flannel_netpol": sidecar["images"]["kube_network_policies"],
    }
    for prefix, image in wanted.items():
        assert options[f"{prefix}_image_repository"]["default"] == image["repository"]
        assert options[f"{prefix}_image_tag"]["default"] == image["tag"]
    assert options["flannel_helm_chart_version"]["default"] == flannel["tag"]
