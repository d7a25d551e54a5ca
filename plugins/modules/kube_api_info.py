#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kube_api_info
version_added: 1.0.0
short_description: Report the version, API groups and resources that a Kubernetes API server serves
description:
  - Asks the API server for its version and for the resources of API groups, so that a role can decide by what there is
    instead of by a version number.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._attributes.info_module
  - podnet.cni._kubernetes
attributes:
  platform:
    platforms: posix
options:
  groups:
    description:
      - Names of API groups. An empty name is the core group.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Which admission policies are there?
  podnet.cni.kube_api_info:
    groups: [admissionregistration.k8s.io]
  register: api
"""

RETURN = r"""
version:
  description: Version of the API server.
  returned: success
  type: str
  sample: v1.36.2
resources:
  description: Names of the resources by API version; a group that is not served is not in it.
  returned: success
  type: dict
  sample:
    admissionregistration.k8s.io/v1:
      - mutatingadmissionpolicies
      - mutatingwebhookconfigurations
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth, objects
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**auth.ARGUMENT_SPEC, "groups": {"type": "list", "elements": "str", "default": []}},
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        with KubeClient.from_options(module.params) as client:
            version = client.get("/version").get("gitVersion")
            resources = objects.served(client, module.params["groups"])
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, version=version, resources=resources)


if __name__ == "__main__":
    main()
