# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's options beside those of the connection. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._rollout import logs

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "namespace": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["rolled_out", "begun", "rolled_back"], "default": "rolled_out"},
    "hold": {"type": "bool", "default": False},
    "reason": {"type": "str", "default": "a rollback was asked for"},
    "template": {"type": "dict", "default": {}},
    "replace_template": {"type": "bool", "default": False},
    "config_map": {"type": "str"},
    "config_data": {"type": "dict", "default": {}},
    "config_backup": {"type": "path"},
    "canary_nodes": {"type": "list", "elements": "str", "default": []},
    "canary_selector": {"type": "str"},
    "batch": {"type": "list", "elements": "str", "default": ["10%"]},
    "waves": {"type": "list", "elements": "list", "default": []},
    "until_wave": {"type": "int", "default": 0},
    "max_unavailable": {"type": "str", "default": "10%"},
    "max_failed": {"type": "str", "default": "0"},
    "gates": {"type": "list", "elements": "str", "choices": ["node", "logs"], "default": ["node", "logs"]},
    "container": {"type": "str"},
    "annotation_prefix": {"type": "str", "default": "flannel.alpha.coreos.com"},
    "log_healthy": {"type": "list", "elements": "str", "default": list(logs.HEALTHY)},
    "log_broken": {"type": "list", "elements": "str", "default": list(logs.BROKEN)},
    "log_others": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "container": {"type": "str", "required": True},
            "healthy": {"type": "list", "elements": "str", "default": []},
            "broken": {"type": "list", "elements": "str", "default": []},
        },
    },
    "command": {"type": "list", "elements": "str", "default": []},
    "command_timeout": {"type": "int", "default": 60},
    "soak": {"type": "float", "default": 30.0},
    "wave_timeout": {"type": "float", "default": 600.0},
    "image_pull_timeout": {"type": "float", "default": 90.0},
    "poll": {"type": "float", "default": 5.0},
    "rollback": {"type": "bool", "default": True},
    "lease_seconds": {"type": "int", "default": 120},
}

TOLD: dict[str, dict[str, Any]] = {
    "holder": {"type": "str", "default": "daemonset_rollout"},
    "undertaking": {"type": "str", "default": ""},
    "record": {"type": "dict", "default": {}},
    "keep_lease": {"type": "bool", "default": False},
    "ends": {"type": "bool", "default": True},
}
"""What the action plugin and the role upgrade tell the module, and no user does.

C(holder) is who does the rollout. C(undertaking) is what it is part of, like the directory of an upgrade that changes
more than the DaemonSet: a rollout that was interrupted is only continued by a task that names the same; going back, and
C(begun) without a name, take it over whatever it was part of. C(record) is what the undertaking remembers in the Lease.
With C(keep_lease) a failed wave keeps the Lease, because whoever runs this is going to take it back; otherwise another
run may continue at once. Without C(ends) what is remembered stays after the last wave, as the undertaking continues.
"""
