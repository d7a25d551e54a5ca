#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kube_service_certificate
version_added: 1.0.0
short_description: Issue and renew the certificate of a Kubernetes Service and its CA, in Secrets
description:
  - Makes a CA and a server certificate for C(<service>.<namespace>.svc) and keeps them in two Secrets of the namespace.
    Renews the certificate before it ends.
  - Exchanges the CA in three steps, one in a run, so that at no moment a server shows a certificate that its clients do
    not trust. First the new CA joins RV(ca_bundle). Then the certificate is issued by the new CA. In the end the old CA
    leaves RV(ca_bundle).
  - Keys are ECDSA P-256. They never leave the cluster and the module; no result holds one.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._kubernetes
attributes:
  check_mode:
    support: full
    details:
      - RV(ca_bundle) of a CA yet to be made holds another key than the real one will.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  namespace:
    description:
      - Namespace of the Service and of the Secrets.
    type: str
    required: true
  service:
    description:
      - Name of the Service.
    type: str
    required: true
  secret:
    description:
      - Secret of the certificate, of type C(kubernetes.io/tls). The Service's name and C(-tls) by default.
    type: str
  ca_secret:
    description:
      - Secret of the CA. The Service's name and C(-ca) by default.
    type: str
  days:
    description:
      - How long a new certificate is valid, in days.
    type: int
    default: 365
  renew_days:
    description:
      - Renew the certificate when fewer days than this are left.
    type: int
    default: 90
  ca_days:
    description:
      - How long a new CA is valid, in days.
    type: int
    default: 1825
  ca_renew_days:
    description:
      - Begin to exchange the CA when fewer days than this are left of it. More than O(days), else a certificate
        outlives its CA.
    type: int
    default: 450
  ca_generation:
    description:
      - Another number than last time begins to exchange the CA now, for a key that somebody may have seen.
    type: int
    default: 1
  settle:
    description:
      - Seconds that a step of an exchange rests before the next one may follow. It has to be longer than the kubelet
        takes to bring a changed Secret to its pods, which is up to about two minutes.
    type: float
    default: 600.0
  webhook_configuration:
    description:
      - Name of the mutating and the validating webhook configuration that trust RV(ca_bundle). The certificate moves on
        to a new CA only when they trust it.
    type: str
notes:
  - Needs the verbs get and patch for the two Secrets, and create to make them; get for the webhook configurations.
  - An exchange continues with each further run of the task, at the earliest O(settle) seconds after the last step.
requirements:
  - The Python package C(cryptography) 42 or newer, which ansible-core brings
"""

EXAMPLES = r"""
- name: A certificate for an admission webhook
  podnet.cni.kube_service_certificate:
    namespace: admission
    service: judge
    webhook_configuration: judge
  register: certificate

- name: Begin to exchange the CA
  podnet.cni.kube_service_certificate:
    namespace: admission
    service: judge
    webhook_configuration: judge
    ca_generation: 2
"""

RETURN = r"""
ca_bundle:
  description: All CAs that clients are to trust now, as PEM.
  returned: success
  type: str
  sample: "-----BEGIN CERTIFICATE-----\nMIIB..."
not_after:
  description: When the certificate ends.
  returned: success
  type: str
  sample: '2027-11-20T10:00:00Z'
ca_not_after:
  description: When the CA ends.
  returned: success
  type: str
  sample: '2031-11-19T10:00:00Z'
rotation:
  description: How far an exchange of the CA is, V(done) when none is under way.
  returned: success
  type: str
  sample: done
actions:
  description: What was done, or would be done.
  returned: success
  type: list
  elements: str
  sample:
    - make a CA
    - issue a certificate
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth, service_certificate
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "namespace": {"type": "str", "required": True},
            "service": {"type": "str", "required": True},
            "secret": {"type": "str", "no_log": False},
            "ca_secret": {"type": "str", "no_log": False},
            "days": {"type": "int", "default": 365},
            "renew_days": {"type": "int", "default": 90},
            "ca_days": {"type": "int", "default": 1825},
            "ca_renew_days": {"type": "int", "default": 450},
            "ca_generation": {"type": "int", "default": 1},
            "settle": {"type": "float", "default": 600.0},
            "webhook_configuration": {"type": "str"},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        with KubeClient.from_options(module.params) as client:
            result = service_certificate.run(client, module.params, module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
