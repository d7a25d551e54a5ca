# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors that are written for the person who reads them.

Private to podnet.cni: may change in any release.

Every message names the thing it is about, the value that is wrong and what to do about it.
"""

from __future__ import annotations


class PodnetError(Exception):
    """Base of all errors that a module turns into its failure message."""


class InputError(PodnetError):
    """The request or the configuration is wrong; nothing was changed."""


class MissingError(InputError):
    """A program or library that the work needs is missing. A check run may continue: the real one may install it."""


class ConflictError(PodnetError):
    """The request is well formed, but what the store or the node holds contradicts it."""
