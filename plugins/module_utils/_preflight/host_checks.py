# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All checks of a host.

Private to podnet.cni: may change in any release.

Each is a pure function over the facts of one host (module preflight_host_info) and what is wanted (C(host_wanted)).
What the role measures between hosts lies among the facts: C(udp_listeners), C(udp_probes), C(path_probes),
C(overlay_probes), C(pod_probes), in the shape in which the modules return them.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import Check
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks_cni import CNI_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks_forwarding import FORWARDING_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks_network import NETWORK_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks_system import SYSTEM_CHECKS

HOST_CHECKS: tuple[Check, ...] = (*SYSTEM_CHECKS, *CNI_CHECKS, *NETWORK_CHECKS, *FORWARDING_CHECKS)
