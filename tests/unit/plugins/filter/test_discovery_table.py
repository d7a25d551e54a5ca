# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of discovery records."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.filter.discovery_table import discovery_table
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery import fakes
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._discovery.fakes import discovered


def test_table() -> None:
    lines = discovery_table([*discovered(fakes.flannel_cluster()), {"kind": "summary"}])
    assert len(lines) == 2
    assert lines[1].split() == [
        *("test", "flannel", "primary", "v0.28.9", "kube-flannel", "vxlan", "10.244.0.0/16", "10.96.0.0/12", "healthy"),
    ]
    assert lines[0].index("PLUGIN") == lines[1].index("flannel")


@pytest.mark.parametrize("data", [7, [7], [{}], [{"kind": "component"}]])
def test_table_of_something_else(data: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="not a list of discovery records"):
        discovery_table(data)
