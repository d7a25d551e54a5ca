# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the discovery lookups. Private to podnet.cni: may change in any release."""

from __future__ import annotations


class ModuleDocFragment:
    """Connection options are those of kubernetes.core; the rest says how far to look and how long to remember."""

    DOCUMENTATION = r"""
options:
  _terms:
    description:
      - Contexts of the kubeconfig, each of them a cluster. They are discovered in parallel.
      - Without any, the current context is used, or what O(context) or O(host) says.
    type: list
    elements: str
  kubeconfig:
    description:
      - Path of a kubeconfig file, or its content as a dictionary.
      - Without it, and without O(host), the account of the pod this runs in is used, else C(~/.kube/config).
    type: raw
    env: [{name: K8S_AUTH_KUBECONFIG}]
    vars: [{name: podnet_cni_kubeconfig}]
    ini: [{section: podnet_cni, key: kubeconfig}]
  context:
    description: Context of the kubeconfig, when no term names one.
    type: str
    env: [{name: K8S_AUTH_CONTEXT}]
    vars: [{name: podnet_cni_context}]
    ini: [{section: podnet_cni, key: context}]
  host:
    description: Address of the API server, like V(https://api.example.com:6443).
    type: str
    env: [{name: K8S_AUTH_HOST}]
    vars: [{name: podnet_cni_host}]
    ini: [{section: podnet_cni, key: host}]
  api_key:
    description: Bearer token.
    type: str
    env: [{name: K8S_AUTH_API_KEY}]
    vars: [{name: podnet_cni_api_key}]
  username:
    description: User name for basic authentication, which only a proxy in front of the API server can offer.
    type: str
    env: [{name: K8S_AUTH_USERNAME}]
    vars: [{name: podnet_cni_username}]
  password:
    description: Password for basic authentication.
    type: str
    env: [{name: K8S_AUTH_PASSWORD}]
    vars: [{name: podnet_cni_password}]
  validate_certs:
    description: Whether to check the server's certificate.
    type: bool
    aliases: [verify_ssl]
    env: [{name: K8S_AUTH_VERIFY_SSL}]
    vars: [{name: podnet_cni_validate_certs}]
    ini: [{section: podnet_cni, key: validate_certs}]
  ca_cert:
    description: Path of the CA certificate of the API server.
    type: path
    aliases: [ssl_ca_cert]
    env: [{name: K8S_AUTH_SSL_CA_CERT}]
    vars: [{name: podnet_cni_ca_cert}]
    ini: [{section: podnet_cni, key: ca_cert}]
  client_cert:
    description: Path of a client certificate.
    type: path
    aliases: [cert_file]
    env: [{name: K8S_AUTH_CERT_FILE}]
    vars: [{name: podnet_cni_client_cert}]
    ini: [{section: podnet_cni, key: client_cert}]
  client_key:
    description: Path of the client certificate's key.
    type: path
    aliases: [key_file]
    env: [{name: K8S_AUTH_KEY_FILE}]
    vars: [{name: podnet_cni_client_key}]
    ini: [{section: podnet_cni, key: client_key}]
  proxy:
    description: URL of an HTTP proxy.
    type: str
    env: [{name: K8S_AUTH_PROXY}]
    vars: [{name: podnet_cni_proxy}]
    ini: [{section: podnet_cni, key: proxy}]
  no_proxy:
    description: Comma separated names that are not reached through the proxy.
    type: str
    env: [{name: K8S_AUTH_NO_PROXY}]
    vars: [{name: podnet_cni_no_proxy}]
    ini: [{section: podnet_cni, key: no_proxy}]
  impersonate_user:
    description: User to act as.
    type: str
    env: [{name: K8S_AUTH_IMPERSONATE_USER}]
    vars: [{name: podnet_cni_impersonate_user}]
    ini: [{section: podnet_cni, key: impersonate_user}]
  impersonate_groups:
    description: Groups to act as.
    type: list
    elements: str
    env: [{name: K8S_AUTH_IMPERSONATE_GROUPS}]
    vars: [{name: podnet_cni_impersonate_groups}]
    ini: [{section: podnet_cni, key: impersonate_groups}]
  timeout:
    description: Seconds that one answer of the API server may take.
    type: float
    default: 30
    env: [{name: PODNET_CNI_TIMEOUT}]
    vars: [{name: podnet_cni_timeout}]
    ini: [{section: podnet_cni, key: timeout}]
  mode:
    description:
      - How DaemonSets are looked for.
      - V(auto) asks by label and name first. When that does not find what carries the pods, it lists all DaemonSets.
      - V(labels) never lists all of them and so misses an install without labels. What it does not find is V(unknown).
      - V(full) lists all of them at once, and so sees a second install without labels too.
      - V(namespaces) looks only into O(namespaces). What is not there is V(unknown) too.
    type: str
    choices: [auto, labels, full, namespaces]
    default: auto
    env: [{name: PODNET_CNI_DISCOVERY_MODE}]
    vars: [{name: podnet_cni_discovery_mode}]
    ini: [{section: podnet_cni, key: discovery_mode}]
  namespaces:
    description:
      - Namespaces to look into with O(mode=namespaces), and where DaemonSets of all namespaces may not be listed.
    type: list
    elements: str
    default:
      - kube-flannel
      - kube-system
      - calico-system
      - cilium
      - tigera-operator
      - antrea-system
      - ovn-kubernetes
      - openshift-ovn-kubernetes
    env: [{name: PODNET_CNI_DISCOVERY_NAMESPACES}]
    vars: [{name: podnet_cni_discovery_namespaces}]
    ini: [{section: podnet_cni, key: discovery_namespaces}]
  nodes:
    description:
      - How many Nodes to read at most. Their total is known from V(1) on.
      - V(0) reads none. Then flannel inside k3s or RKE2 cannot be seen, and what is not found is V(unknown).
    type: int
    default: 50
    env: [{name: PODNET_CNI_DISCOVERY_NODES}]
    vars: [{name: podnet_cni_discovery_nodes}]
    ini: [{section: podnet_cni, key: discovery_nodes}]
  summary:
    description:
      - Add a summary for each cluster, whose RV(_raw[].kind) is V(summary).
      - It says which ranges overlap those of the other clusters of the same lookup, and where that cannot be judged.
    type: bool
    default: false
  on_error:
    description:
      - What to do when a cluster cannot be asked at all, because of credentials, TLS or connection.
      - V(fail) fails the lookup. V(warn) prints a warning and gives a record whose RV(_raw[].plugin) is V(unknown).
      - V(empty) gives nothing for that cluster.
      - A refusal (403) is no such error. It gives warnings and RV(_raw[].scope) V(partial), never an empty answer.
    type: str
    choices: [fail, warn, empty]
    default: fail
    env: [{name: PODNET_CNI_DISCOVERY_ON_ERROR}]
    vars: [{name: podnet_cni_discovery_on_error}]
    ini: [{section: podnet_cni, key: discovery_on_error}]
  run_cache:
    description:
      - Ask each cluster once in a run of Ansible, however many hosts and tasks use the lookup.
      - The answer lies in Ansible's temporary directory of this run and goes away with it.
    type: bool
    default: true
    vars: [{name: podnet_cni_discovery_run_cache}]
  cache:
    description:
      - Remember answers beyond the run, with the cache plugin O(cache_plugin).
      - Failures and incomplete answers are never remembered.
    type: bool
    default: false
    env: [{name: PODNET_CNI_DISCOVERY_CACHE}]
    vars: [{name: podnet_cni_discovery_cache}]
    ini: [{section: podnet_cni, key: discovery_cache}]
  cache_plugin:
    description: Name of a cache plugin.
    type: str
    default: ansible.builtin.jsonfile
    env: [{name: ANSIBLE_CACHE_PLUGIN}]
    ini: [{section: podnet_cni, key: cache_plugin}]
  cache_connection:
    description: Where the cache plugin keeps its data; for V(ansible.builtin.jsonfile) a directory.
    type: str
    env: [{name: ANSIBLE_CACHE_PLUGIN_CONNECTION}]
    ini: [{section: podnet_cni, key: cache_connection}]
  cache_prefix:
    description: Prefix of the cache's keys.
    type: str
    default: podnet_cni_
    ini: [{section: podnet_cni, key: cache_prefix}]
  cache_timeout:
    description: Seconds for which a remembered answer is used, from 1 to 300.
    type: int
    default: 300
    ini: [{section: podnet_cni, key: cache_timeout}]
requirements:
  - kubernetes (Python package)
notes:
  - Nothing is ever written to a cluster, and no Secret is read.
  - A healthy cluster is asked with at most eight requests.
  - The identity needs what the role P(podnet.cni.discovery_rbac#role) grants.
  - With fewer rights the answer says what is missing.
"""
