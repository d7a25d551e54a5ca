# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times of the Kubernetes API; no I/O. Private to podnet.cni: may change in any release."""

from __future__ import annotations

import datetime
from typing import Any


def parse_time(text: Any) -> datetime.datetime | None:
    """A time of the API, with or without fractions of a second; None for anything else."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.datetime.strptime(str(text), form).replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            continue
    return None
