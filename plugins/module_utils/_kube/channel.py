# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an action plugin tells the module that it repeats, beside the options of the task.

Private to podnet.cni: may change in any release.

It is one argument that nobody writes into a task: options and their documentation do not have it.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible.module_utils import basic

NAME = "_task"

Spec = Mapping[str, Mapping[str, Any]]


def spec(told: Spec) -> dict[str, Any]:
    """The argument for the argument spec, with C(told) as what it may hold; empty when the module is not given it."""
    # The arguments as they came in, which AnsibleModule has not read yet; None where nobody runs the module.
    given = getattr(basic, "_ANSIBLE_ARGS", None) or b""
    return {NAME: {"type": "dict", "options": dict(told)}} if f'"{NAME}"'.encode() in given else {}


def take(params: dict[str, Any], told: Spec) -> dict[str, Any]:
    """What was told, with the defaults of C(told) for the rest; it is not an option any more then."""
    given = params.pop(NAME, None) or {}
    return {name: option.get("default") if given.get(name) is None else given[name] for name, option in told.items()}
