# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for all unit tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine makes every example slow. That says nothing about the code, so it must not fail a test.
settings.register_profile("podnet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("podnet")
