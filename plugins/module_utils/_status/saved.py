# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document that was made before: whether it is one, and what failed in it.

Private to podnet.cni: may change in any release.

SCHEMA and VERSION name its shape, docs/status.schema.json. A member that is added keeps the version, one that changes
its meaning or goes raises it.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import FAILED

SCHEMA = "podnet.cni/status"
VERSION = 1


def require_document(found: Any) -> Mapping[str, Any]:
    """Return what was made by C(document.build) and saved; raises InputError for anything else."""
    if not isinstance(found, Mapping) or found.get("schema") != SCHEMA:
        raise InputError(f"this is not a {SCHEMA} document; podnet.cni.report writes it with report_format=json")
    if found.get("version") != VERSION:
        raise InputError(
            f"the document has version {found.get('version')}, this release reads {VERSION}; use the release of "
            "podnet.cni that wrote it, or write it again"
        )
    return found


def named(made: Mapping[str, Any]) -> list[str]:
    """Return what failed in a document, each as check and subject, without what says the same twice."""
    texts = [f"{each['id']} on {each['subject']}" for each in made["findings"] if each["status"] == FAILED]
    return list(dict.fromkeys(texts))
