#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: show_text
version_added: 1.0.0
short_description: Show text without quotes and escapes, folded to the width of a terminal
description:
  - Shows text in the output of a play without quotes and escapes, and folds lines that are longer than a terminal.
  - The playbooks of this collection show tables, plans and reports with it.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.info_module
attributes:
  platform:
    platforms: posix
options:
  text:
    description:
      - What to show. An empty text shows nothing.
    type: str
    required: true
  width:
    description:
      - Columns after which lines are folded, between words. What follows is indented.
    type: int
    default: 100
seealso:
  - module: ansible.builtin.debug
"""

EXAMPLES = r"""
- name: Show which network runs in each cluster
  podnet.cni.show_text:
    text: "{{ query('podnet.cni.cni', 'east', 'west') | podnet.cni.discovery_table | join('\n') }}"
"""

RETURN = r"""
lines:
  description: What was shown.
  returned: success
  type: list
  elements: str
  sample:
    - CLUSTER  PLUGIN   ROLE
    - east     flannel  primary
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Return the lines; the action plugin of this name folds and shows them, and needs no module for it."""
    module = AnsibleModule(
        argument_spec={"text": {"type": "str", "required": True}, "width": {"type": "int", "default": 100}},
        supports_check_mode=True,
    )
    module.exit_json(changed=False, lines=module.params["text"].splitlines())


if __name__ == "__main__":
    main()
