# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far an upgrade came that has not ended, as the Leases of its rollouts remember it.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import decode, name_for


def unfinished(client: KubeClient, rollouts: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """What the upgrade of these DaemonSets remembers, and what is not known of it.

    C(directory) is where its backup is, C(done) the number of the last wave that is done, C(kept) whether the backup is
    complete, C(ill) maps nodes that it went on without to the reason, C(wish) tells one wish from another. Empty when
    there is none. Each Lease remembers all; a run that was cut off while it wrote them has the newest in some. Raises
    KubeError.
    """
    found: dict[str, Any] = {}
    unknown = []
    for item in rollouts:
        name = name_for(item["name"])
        try:
            state = decode(client.get(f"/apis/coordination.k8s.io/v1/namespaces/{item['namespace']}/leases/{name}"))
        except NotFound:
            continue
        except (Forbidden, ConflictError) as error:
            unknown.append(f"Whether an upgrade of {item['namespace']}/{item['name']} was interrupted: {error}")
            continue
        if state.record and _progress(state.record) > _progress(found):
            found = {"directory": state.undertaking, "done": 0, "kept": False, "ill": {}, "wish": "", **state.record}
    return found, unknown


def _progress(record: Mapping[str, Any]) -> tuple[int, int]:
    """What is larger the further an upgrade came; C(done) is -1 for none."""
    return int(record.get("done", 0)) if record else -1, int(bool(record.get("kept")))
