# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read-only checks of hosts and of a cluster before something is changed there.

C(finding) is what a check says and how one is declared. Gatherers read a host or a cluster once and return facts, a
dict that JSON can hold. Checks are pure functions over facts; C(report) puts their findings together.

Private to podnet.cni: may change in any release.
"""
