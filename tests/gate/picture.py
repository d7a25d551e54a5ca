# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the README's picture: the doctor's page of three real hosts, one of which lacks a peer, in a real browser.

Run: make picture (as root; chromium and chromium-driver are needed)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from stage import ROOT

from ansible_collections.podnet.cni.tests.integration import _browser
from ansible_collections.podnet.cni.tests.integration.status.test_doctor import Overlay

PICTURE = ROOT / "docs" / "images" / "doctor.png"


def main() -> int:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        overlay = Overlay(Path(folder), "vxlan")
        try:
            overlay.make()
            overlay.inside("node2", "ip", "route", "flush", "root", overlay.config["Network"], "proto", "boot")
            made, _shown = overlay.doctor(doctor_expect="any")
            print(made["verdict"]["sentence"])
            with _browser.running(Path(folder) / "profile", 1280, 960) as browser:
                browser.get((Path(folder) / "status.html").as_uri())
                PICTURE.parent.mkdir(exist_ok=True)
                browser.save_screenshot(str(PICTURE))
        finally:
            overlay.lab(lab_state="absent")
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size} octets")
    return 0


if __name__ == "__main__":
    sys.exit(main())
