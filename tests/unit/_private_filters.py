# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that only roles use, as Ansible finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.podnet.cni.plugins.filter.__roles import filters

FILTERS = filters.FilterModule().filters()


def private(name: str) -> Callable[..., Any]:
    """The filter podnet.cni.__roles.NAME."""
    return FILTERS[name]
