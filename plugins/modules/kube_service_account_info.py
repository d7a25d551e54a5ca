#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kube_service_account_info
version_added: 1.0.0
short_description: Return a kubeconfig for a program that runs outside of the cluster
description:
  - Reads a Secret of the type C(kubernetes.io/service-account-token), waits until it holds a token, and returns a
    kubeconfig with it.
  - The result holds a credential. Give the task C(no_log=true).
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
  namespace:
    description: Namespace of the Secret.
    type: str
    required: true
  secret:
    description: Name of the Secret.
    type: str
    required: true
  server:
    description: URL of the API server as the program reaches it. Left out, the URL that this module uses.
    type: str
  timeout:
    description: Seconds to wait for the token.
    type: float
    default: 30.0
"""

EXAMPLES = r"""
- name: What flanneld on hosts outside of the cluster signs in with
  podnet.cni.kube_service_account_info:
    namespace: kube-system
    secret: flanneld-token
    server: https://198.51.100.5:6443
  register: account
  no_log: true
"""

RETURN = r"""
kubeconfig:
  description: The content of a kubeconfig file. Empty in a check run in which the Secret is not there.
  returned: success
  type: str
  sample: '{"apiVersion": "v1", "kind": "Config", ...}'
server:
  description: URL of the API server in it.
  returned: success
  type: str
  sample: https://198.51.100.5:6443
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth, service_account
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "namespace": {"type": "str", "required": True},
            "secret": {"type": "str", "required": True, "no_log": False},
            "server": {"type": "str"},
            "timeout": {"type": "float", "default": 30.0},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        with KubeClient.from_options(module.params) as client:
            result = service_account.run(client, module.params, check=module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
