# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the module of this name, with leases that are taken out of a variable here where the task names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

INSTEAD = {
    "leases_from": ("lease", "peers", "foreign_peers", "foreign_peers_from", "store"),
    "foreign_peers_from": ("foreign_peers", "store"),
}
"""The options that name a variable, and what each takes the place of."""
RESULT_OF = {"leases_from": "flannel_lease", "foreign_peers_from": "flannel_lease_info"}


def with_leases(arguments: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """The module's arguments, with the leases themselves in the place of the variable that holds them and of C(name).

    Leases that stand in a task's own arguments are templated for each host, and come back to the controller's main
    process with each host's result, which keeps those of all hosts at once. Raises InputError.
    """
    given = dict(arguments)
    option = next((each for each in INSTEAD if given.get(each)), None)
    if option is None:
        return given
    source, name = given.pop(option), str(given.pop("name", None) or variables["inventory_hostname"])
    if not isinstance(source, str):
        raise InputError(f"{option} takes the name of a variable, not what it holds; leave out the braces")
    twice = [each for each in INSTEAD[option] if given.get(each) is not None]
    if twice:
        raise InputError(f"{option} and {twice[0]} exclude each other; leave {twice[0]} out")
    result = variables.get(source)
    if not isinstance(result, Mapping) or not isinstance(result.get("leases"), list):
        module = f"podnet.cni.{RESULT_OF[option]}"
        raise InputError(f"{option}: the variable {source} holds no result of {module}; register one by that name")
    own = given.get("lease") or next((lease for lease in result["leases"] if lease["name"] == name), None)
    if own is None:
        raise InputError(f"{option}: {source} has no lease of {name}; let flannel_lease make one, or give its name")
    peers = [lease for lease in result["leases"] if lease != own]
    if option == "foreign_peers_from":
        return {**given, "lease": own, "foreign_peers": peers}
    return {**given, "lease": own, "peers": peers, "foreign_peers": result.get("others")}


class ActionModule(ActionBase):
    """The module runs on the host; only its leases are looked up before."""

    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module does."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            arguments = with_leases(self._task.args, task_vars or {})
        except InputError as error:
            return {**result, "failed": True, "msg": str(error)}
        in_background = bool(self._task.async_val) and not self._connection.has_native_async
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=in_background))
        return result
