# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: preflight_table
short_description: Render findings of the preflight as a text table
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Shows what failed and what could not be found out, what to do about it, and how many findings there are.
  - Findings that say the same of several hosts are one line.
positional: _input
options:
  _input:
    description: What P(podnet.cni.preflight_findings#filter) returns.
    type: list
    elements: dict
    required: true
  fail_at:
    description:
      - Show only findings that failed and weigh as much as this or more, without their number. Left out, also what is
        unknown.
    type: str
    choices: [info, warning, error]
  everything:
    description: Show also what is well, and what was skipped.
    type: bool
    default: false
seealso:
  - plugin: podnet.cni.preflight_findings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ findings | podnet.cni.preflight_table }}"
"""

RETURN = r"""
_value:
  description: The table, lines separated by line feeds, without one at the end.
  type: str
"""

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


def preflight_table(entries: Any, fail_at: str | None = None, everything: bool = False) -> str:
    """Lay the findings out; raises AnsibleFilterError for a value that is not a list of findings."""
    from ansible_collections.podnet.cni.plugins.module_utils._preflight import report
    from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import SEVERITIES

    if not isinstance(entries, Sequence) or not all(isinstance(entry, Mapping) for entry in entries):
        raise AnsibleFilterError("preflight_table needs a list of findings.")
    if fail_at is not None and fail_at not in SEVERITIES:
        raise AnsibleFilterError(f"preflight_table: fail_at is {fail_at!r}. Give one of {', '.join(SEVERITIES)}.")
    try:
        found = report.from_dicts(entries)
    except PodnetError as error:
        raise AnsibleFilterError(f"preflight_table: {error}") from error
    if fail_at is not None:
        return report.table(report.failures(found, fail_at))
    return "\n\n".join(part for part in (report.table(found, everything), report.counts(found)) if part)


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"preflight_table": preflight_table}
