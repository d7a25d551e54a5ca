# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One file per CNI plugin; each holds one RECOGNISER.

A new file in this folder is found by itself. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import importlib
import pkgutil

from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser


def load_all() -> tuple[Recogniser, ...]:
    """Every recogniser, in the order in which they are asked whether a DaemonSet is theirs."""
    found = []
    for info in pkgutil.iter_modules(__path__):
        found.append(importlib.import_module(f"{__name__}.{info.name}").RECOGNISER)
    return tuple(sorted(found, key=lambda item: (item.order, item.plugin)))
