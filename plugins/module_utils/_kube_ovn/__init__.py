# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods that inherit Kube-OVN annotations from their namespace.

Private to podnet.cni: may change in any release.

Everything here but the modules' and the server's edges is pure and needs the standard library only, because the
admission server runs it on a stock Python image.
"""
