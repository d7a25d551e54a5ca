# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How to reach the etcd that holds the leases. Private to podnet.cni: may change in any release."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of plugins/module_utils/_stores/options.py."""

    DOCUMENTATION = r"""
options:
  etcd_endpoints:
    description:
      - URLs of the etcd members, tried in turn until one answers.
      - Proxy variables of the environment are not used.
    type: list
    elements: str
    default:
      - http://127.0.0.1:2379
  etcd_prefix:
    description:
      - Key under which the network lives, as flanneld's C(--etcd-prefix) has it.
    type: str
    default: /coreos.com/network
  etcd_cafile:
    description:
      - File with the CA certificates that etcd's server certificate is checked against, where the module runs.
      - Without it the CAs that Python's C(requests) library brings count.
    type: path
  etcd_certfile:
    description:
      - File with the client certificate, where the module runs. Needs O(etcd_keyfile).
    type: path
  etcd_keyfile:
    description:
      - File with the private key of O(etcd_certfile), where the module runs.
    type: path
  etcd_username:
    description:
      - User of etcd's own authentication. Needs O(etcd_password).
      - The user's role needs read and write access to O(etcd_prefix) as a prefix.
    type: str
  etcd_password:
    description:
      - Password of O(etcd_username).
    type: str
  etcd_timeout:
    description:
      - Seconds to wait for one answer of one etcd member.
    type: float
    default: 10.0
requirements:
  - etcd3gw 1.0 or newer, where the module runs (C(python3-etcd3gw) on Debian and Ubuntu)
  - etcd 3.4 or newer
"""
