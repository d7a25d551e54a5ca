# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every module promises. Private to podnet.cni: may change in any release."""

from __future__ import annotations


class ModuleDocFragment:
    """Attribute descriptions; a module states only its C(support) and, where partial, the details."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
  platform:
    description: Target OS families that can be operated against.
    support: full
    platforms: linux
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    support: full
    details:
      - This action does not modify state.
"""

    FLANNEL = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/podnet.cni.flannel) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - podnet.cni.flannel
"""

    KUBERNETES = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/podnet.cni.kubernetes) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - podnet.cni.kubernetes
"""

    FLANNEL_KUBERNETES = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/podnet.cni.flannel) or C(group/podnet.cni.kubernetes) in C(module_defaults) to set defaults for this
        module.
    support: full
    membership:
      - podnet.cni.flannel
      - podnet.cni.kubernetes
"""
