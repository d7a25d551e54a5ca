# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: network_status_face
short_description: Show the picture of a network as text, JSON, metrics or a page
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Renders the document that the playbooks C(podnet.cni.report) and C(podnet.cni.doctor) make, as the variable
    C(doctor_picture) or from a file in JSON.
positional: _input
options:
  _input:
    description: The document, in the shape that docs/status.schema.json describes.
    type: dict
    required: true
  format:
    description:
      - V(text) is for a terminal of 100 columns, V(json) the document itself, V(prometheus) a file for the textfile
        collector of node_exporter, V(html) one page without other files.
    type: str
    choices: [text, json, prometheus, html]
    default: text
  explain:
    description: Whether V(text) says of each finding what it does to traffic, what causes it and where to read on.
    type: bool
    default: false
  colour:
    description: Whether V(text) colours the verdict, where Ansible writes in colours.
    type: bool
    default: false
seealso:
  - module: podnet.cni.show_text
"""

EXAMPLES = r"""
- name: Write the page
  ansible.builtin.copy:
    content: "{{ lookup('ansible.builtin.file', 'status.json') | from_json | podnet.cni.network_status_face('html') }}"
    dest: status.html
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The text; all but V(text) end in a line feed.
  type: str
"""

import json
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible.utils.color import ANSIBLE_COLOR

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

FORMATS = ("text", "json", "prometheus", "html")


def network_status_face(document: Any, format: str = "text", explain: bool = False, colour: bool = False) -> str:
    """Render; raises AnsibleFilterError for another format, and for anything but a document of this version."""
    from ansible_collections.podnet.cni.plugins.module_utils._status.saved import require_document
    from ansible_collections.podnet.cni.plugins.plugin_utils import _status_metrics, _status_page, _status_text

    if format not in FORMATS:
        raise AnsibleFilterError(f"network_status_face: format is {format!r}. Give one of {', '.join(FORMATS)}.")
    try:
        require_document(document)
    except InputError as error:
        raise AnsibleFilterError(f"network_status_face: {error}") from error
    if format == "text":
        return _status_text.text(document, explain, colour and bool(ANSIBLE_COLOR))
    if format == "prometheus":
        return _status_metrics.metrics(document)
    if format == "html":
        return _status_page.page(document)
    return json.dumps(document, indent=2, sort_keys=True, default=dict) + "\n"


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"network_status_face": network_status_face}
