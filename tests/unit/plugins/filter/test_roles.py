# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of roles and playbooks: all are used, and neither listings nor the documentation have them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ansible.plugins.list import list_collection_plugins

from ansible_collections.podnet.cni.plugins.filter.__roles import filters
from ansible_collections.podnet.cni.tests.unit._private_filters import FILTERS

ROOT = Path(__file__).resolve().parents[4]


def test_they_are_not_listed() -> None:
    listed = {
        name.removeprefix("podnet.cni.")
        for name in list_collection_plugins("filter", {"podnet.cni": os.fsencode(ROOT)})
    }
    assert "version_support" in listed
    assert [name for name in listed if name.rpartition(".")[2] in FILTERS or "__" in name] == []


def test_roles_and_playbooks_use_all_of_them_and_no_others() -> None:
    used = set()
    for path in [path for name in ("roles", "playbooks") for path in ROOT.glob(f"{name}/**/*.*")]:
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r"podnet\.cni\.__roles\.(\w+)", text))
        assert not re.search(r"podnet\.cni\._(?!_)", text), f"{path}: filters of roles are podnet.cni.__roles.NAME"
    assert used == set(FILTERS)


def test_families_have_the_filters_that_are_named_as_theirs() -> None:
    for family in {family for family, _remedy in filters._FILTERS.values()}:
        assert set(family()) == {name for name, (own, _remedy) in filters._FILTERS.items() if own == family}
