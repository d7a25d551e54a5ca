# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How to reach a Kubernetes API server. Private to podnet.cni: may change in any release."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of plugins/module_utils/_kube/auth.py and, as FLANNEL, of _stores/kubernetes_options.py."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Kubeconfig file, several of them joined by C(:), or the content of one as a dictionary.
      - Without it the environment variable E(K8S_AUTH_KUBECONFIG) counts. When neither O(host) nor O(context) is given
        either, the service account of the Pod that this runs in is used, else E(KUBECONFIG), else C(~/.kube/config).
      - The file is never written, not even when a token in it was renewed.
    type: raw
  context:
    description:
      - Context of the kubeconfig to use instead of its current one. E(K8S_AUTH_CONTEXT) when not given.
    type: str
  host:
    description:
      - URL of the API server, like V(https://192.0.2.1:6443). E(K8S_AUTH_HOST) when not given.
      - With neither O(kubeconfig) nor O(context) no kubeconfig is read, so that its credentials go to no other server.
    type: str
  api_key:
    description:
      - Bearer token. E(K8S_AUTH_API_KEY) when not given.
    type: str
  username:
    description:
      - User for HTTP basic authentication, which proxies in front of API servers may ask for.
        E(K8S_AUTH_USERNAME) when not given.
    type: str
  password:
    description:
      - Password of O(username). E(K8S_AUTH_PASSWORD) when not given.
    type: str
  validate_certs:
    description:
      - Whether the API server's certificate is verified. E(K8S_AUTH_VERIFY_SSL) when not given; true without both,
        unless the kubeconfig says otherwise.
    type: bool
    aliases: [verify_ssl]
  ca_cert:
    description:
      - File with the CA certificates that the API server's certificate is checked against.
        E(K8S_AUTH_SSL_CA_CERT) when not given.
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description:
      - File with a client certificate. Needs O(client_key). E(K8S_AUTH_CERT_FILE) when not given.
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - File with the key of O(client_cert). E(K8S_AUTH_KEY_FILE) when not given.
    type: path
    aliases: [key_file]
  proxy:
    description:
      - URL of an HTTP proxy. E(K8S_AUTH_PROXY) when not given, else the usual proxy variables.
    type: str
  no_proxy:
    description:
      - Hosts that are reached without the proxy, joined by commas. E(K8S_AUTH_NO_PROXY) when not given.
    type: str
  impersonate_user:
    description:
      - User to act as. E(K8S_AUTH_IMPERSONATE_USER) when not given, else what the kubeconfig's user says with C(as).
    type: str
  impersonate_groups:
    description:
      - Groups to act as. Needs O(impersonate_user). E(K8S_AUTH_IMPERSONATE_GROUPS), joined by commas, when not given.
    type: list
    elements: str
requirements:
  - For Kubernetes the Python package C(kubernetes) 24.2 or newer, where this runs
"""

    FLANNEL = r"""
options:
  kube_namespace:
    description:
      - Namespace of flannel's ConfigMap.
    type: str
    default: kube-flannel
  kube_config_map:
    description:
      - ConfigMap that holds the network config as C(net-conf.json).
    type: str
    default: kube-flannel-cfg
  network_config:
    description:
      - The network config by upstream's names.
      - With leases on Kubernetes Nodes, for clusters that have no such ConfigMap, like k3s; it then replaces
        O(kube_namespace) and O(kube_config_map).
      - With leases in etcd, the config that an earlier task writes. Check mode plans with it, since that task has not
        written it. Any other run takes what etcd holds; M(podnet.cni.flannel_lease) refuses to write leases when that
        is another.
    type: dict
  kube_annotation_prefix:
    description:
      - Prefix of the annotations, as flanneld's C(--kube-annotation-prefix) has it.
    type: str
    default: flannel.alpha.coreos.com
  kube_timeout:
    description:
      - Seconds to wait for one answer of the API server. An overloaded server is asked again for twice as long.
    type: float
    default: 30.0
"""
