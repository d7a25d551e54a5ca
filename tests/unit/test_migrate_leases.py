# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role migrate_leases refuses by its options, before it looks at a host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ansible.template
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader

ROLE = Path(__file__).parents[2] / "roles" / "migrate_leases"
trust_as_template = getattr(ansible.template, "trust_as_template", str)
"""Since ansible-core 2.19 templates have to be called such."""


def mistakes(**variables: Any) -> list[str]:
    """What the role says of these variables."""
    made = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    texts = {name: trust_as_template(value) for name, value in made.items() if isinstance(value, str)}
    templar = ansible.template.Templar(loader=DataLoader(), variables={**texts, **variables})
    return list(templar.template(trust_as_template("{{ _migrate_leases_mistakes }}")))


OVERLAY = {"migrate_leases_runs": "overlay", "migrate_leases_to": "kubernetes"}


def test_what_is_asked_for_as_it_should_be_is_no_mistake() -> None:
    assert mistakes(**OVERLAY) == []
    given = {
        "flanneld_network_config": {"Network": "10.244.0.0/16"},
        "flanneld_kubeconfig_file": "/etc/flanneld/kubeconfig",
    }
    assert mistakes(migrate_leases_runs="flanneld", migrate_leases_to="etcd", **given) == []


def test_words_that_are_none_are_named() -> None:
    said = mistakes(migrate_leases_runs="flannel", migrate_leases_to="k8s")
    assert [each.partition(":")[0] for each in said] == ["migrate_leases_to is k8s", "migrate_leases_runs is flannel"]


def test_flanneld_needs_its_files_for_the_cluster() -> None:
    said = mistakes(migrate_leases_runs="flanneld", migrate_leases_to="kubernetes")
    assert [name in text for name, text in zip(("flanneld_network_config", "flanneld_kubeconfig_file"), said)] == [
        True
    ] * 2


@pytest.mark.parametrize("typed", [True, "true", "yes", "1"])
def test_a_host_that_follows_its_peers_moves_with_an_identity_in_the_cluster(typed: Any) -> None:
    assert "overlay_refresh needs overlay_refresh_account=true" in "".join(mistakes(**OVERLAY, overlay_refresh=typed))
    assert mistakes(**OVERLAY, overlay_refresh=typed, overlay_refresh_account=typed) == []
    assert mistakes(**OVERLAY, overlay_refresh=typed, overlay_refresh_kubeconfig_file="/k") == []
    assert mistakes(**{**OVERLAY, "migrate_leases_to": "etcd"}, overlay_refresh=typed) == []
    assert mistakes(**OVERLAY, overlay_refresh="false") == []


def test_clocks_may_be_apart_because_nothing_is_decided_by_one() -> None:
    """etcd counts lifetimes, and waiting is measured with a clock that has no date."""
    utilities = Path(__file__).parents[2] / "plugins" / "module_utils"
    clock = re.compile(r"\b(?:time\.time|datetime\.now|utcnow|date\.today)\(")
    files = [path for name in ("_stores", "_refresh", "_dataplane") for path in (utilities / name).rglob("*.py")]
    asking = sorted(path.name for path in files if clock.search(path.read_text(encoding="utf-8")))
    # When a backup was written, for people; and how long ago wireguard heard of a peer, by the kernel of the same host.
    assert asking == ["backup.py", "wireguard_device.py"]
