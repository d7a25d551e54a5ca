# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""flanneld as a service of a host: whose it is, whether it works, and what is known when it does not.

Private to podnet.cni: may change in any release.
"""
