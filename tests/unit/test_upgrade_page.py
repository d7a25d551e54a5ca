# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan that docs/upgrade.md shows is what the code prints. Run as a program, this file writes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._upgrade import text
from ansible_collections.podnet.cni.plugins.module_utils._versions import question
from ansible_collections.podnet.cni.tests.unit._upgrade_plans import daemonset, made

PAGE = Path(__file__).resolve().parents[2] / "docs" / "upgrade.md"
PLACE = re.compile(r"(<!-- plan -->\n\n```\n)(.*?)(```\n\n<!-- end -->)", re.DOTALL)
PLACE_OF = "kube-flannel/kube-flannel-ds"


def template(release: str) -> dict[str, Any]:
    """The images of flannel's manifest."""
    images = question.images("flannel", release)
    containers = [{"name": "kube-flannel", "image": images["flannel"]}]
    before = [("install-cni-plugin", "flannel_cni_plugin"), ("install-cni", "flannel")]
    inits = [{"name": name, "image": images[product]} for name, product in before]
    return {"spec": {"initContainers": inits, "containers": containers}}


def sample() -> str:
    nodes = [f"worker-{number}" for number in range(1, 19)] + ["control-1", "control-2"]
    kept = [f"DaemonSet {PLACE_OF}", "ConfigMap kube-flannel/kube-flannel-cfg"]
    config = {"net-conf.json": '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "MTU": 1400}}'}
    item = daemonset(
        nodes,
        before=template("0.27.4"),
        after=template("0.28.9"),
        config_after=config,
        kept=[*kept, f"the account of {PLACE_OF} and its rights"],
    )
    return "".join(f"{line}\n" for line in text.lines(made(item, node_files=nodes)))


def written(page: str) -> str:
    return PLACE.sub(lambda place: place.group(1) + sample() + place.group(3), page)


def test_plan_is_that_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert PLACE.search(page)
    assert written(page) == page, "run python tests/unit/test_upgrade_page.py"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
