# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: canal_manifest
short_description: Read the release manifest of Canal
version_added: 0.1.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Reads the manifest on the controller, from a file, a directory or a URL, and takes it apart into its documents.
  - A document that is no YAML is an error that names document and line.
options:
  _terms:
    description:
      - Files, directories with files that end in C(.yaml), C(.yml) or C(.json), or URLs.
    type: list
    elements: str
    required: true
  checksum:
    description:
      - Checksum of the file, like C(sha256:) with its digits. A URL needs one.
    type: str
    default: ""
  timeout:
    description:
      - Seconds to wait for a URL's server.
    type: float
    default: 30.0
seealso:
  - plugin: podnet.cni.canal_objects
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say what the manifest holds
  ansible.builtin.debug:
    msg: "{{ query('podnet.cni.canal_manifest', 'canal.yaml') | map(attribute='object.kind') | unique }}"
"""

RETURN = r"""
_raw:
  description: The documents in their order, without empty ones.
  type: list
  elements: dict
  contains:
    file:
      description: Where the document stands.
      type: str
    line:
      description: The line in that file on which it begins.
      type: int
    object:
      description: The document.
      type: raw
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.plugin_utils import _canal_manifest


class LookupModule(LookupBase):
    """Reads manifests."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """The documents of all terms."""
        self.set_options(var_options=variables, direct=kwargs)
        documents: list[dict[str, Any]] = []
        try:
            for term in terms:
                documents += _canal_manifest.read(
                    str(term), str(self.get_option("checksum")), float(self.get_option("timeout"))
                )
        except PodnetError as error:
            raise AnsibleLookupError(str(error)) from error
        return documents
