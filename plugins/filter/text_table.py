# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: text_table
short_description: Render a list of dictionaries as a text table
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Renders one line per dictionary under a line of column names, for reports that people read.
positional: _input
options:
  _input:
    description: The rows.
    type: list
    elements: dict
    required: true
  columns:
    description:
      - The keys to show, in order. Left out, the keys of the first row.
      - A dictionary maps each key to the name of its column.
    type: raw
seealso:
  - plugin: podnet.cni.reachability_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the leases
  ansible.builtin.debug:
    msg: "{{ leases | podnet.cni.text_table({'name': 'host', 'subnet': 'subnet'}) }}"
  vars:
    leases:
      - {name: node1, subnet: 10.244.7.0/24}
      - {name: node2, subnet: 10.244.9.0/24}
# msg: |-
#   host   subnet
#   node1  10.244.7.0/24
#   node2  10.244.9.0/24
"""

RETURN = r"""
_value:
  description: The table, lines separated by line feeds, without one at the end.
  type: str
"""

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.plugin_utils._text_table import align


def show(value: Any) -> str:
    """Return a value as a cell shows it: nothing for a missing one, a list with commas."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(show(item) for item in value)
    return str(value)


def text_table(rows: Any, columns: Mapping[str, str] | Sequence[str] | None = None) -> str:
    """Render the rows; raises AnsibleFilterError for a value that is not a list of dictionaries."""
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise AnsibleFilterError("text_table needs a list of dictionaries.")
    if columns is None:
        columns = list(rows[0]) if rows else []
    names = dict(columns) if isinstance(columns, Mapping) else {key: key for key in columns}
    cells = [[show(name) for name in names.values()]]
    cells += [[show(row.get(key)) for key in names] for row in rows]
    return "\n".join(align(cells))


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"text_table": text_table}
