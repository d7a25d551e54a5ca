# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A flanneld is found by its process in this network namespace, and by the unit that starts it at boot."""

from __future__ import annotations

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._host import flanneld
from ansible_collections.podnet.cni.plugins.module_utils._host.flanneld import Flanneld


@pytest.fixture
def proc(tmp_path):
    def process(name, command, cgroup="0::/user.slice/session-3.scope", namespace="net:[1]"):
        home = tmp_path / "proc" / name
        (home / "ns").mkdir(parents=True)
        (home / "ns" / "net").symlink_to(namespace)
        (home / "cmdline").write_bytes(b"\0".join(word.encode() for word in command) + b"\0")
        (home / "cgroup").write_text(f"{cgroup}\n")

    process("self", ["python3"])
    return process


def look(tmp_path):
    return flanneld.find(str(tmp_path / "proc"), str(tmp_path / "units"))


def test_a_daemon_is_told_by_how_it_was_started(proc, tmp_path):
    proc("20", ["/usr/bin/flanneld", "--iface=eth0"], "0::/system.slice/flanneld.service")
    proc("30", ["/opt/bin/flanneld"], "0::/kubepods.slice/kubepods-pod7.slice/cri-containerd-1.scope")
    proc("4", ["flanneld"], "0::/system.slice/ssh.service")
    assert look(tmp_path) == [Flanneld(4, "", False), Flanneld(20, "flanneld.service", False), Flanneld(30, "", True)]


def test_what_is_none_of_this_host_is_left_out(proc, tmp_path):
    proc("20", ["flanneld"], namespace="net:[2]")
    proc("21", ["vim", "flanneld"])
    proc("22", [""])
    assert look(tmp_path) == []


def test_an_enabled_unit_is_a_daemon_of_the_next_boot(proc, tmp_path):
    wants = tmp_path / "units" / "multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "overlay-net.service").write_text("[Service]\nExecStart=/opt/flanneld --ip-masq\n")
    (wants / "other.service").write_text("[Service]\nExecStart=/usr/bin/watch-flanneld\n# ExecStart=flanneld\n")
    (wants / "gone.service").symlink_to("nowhere")
    assert look(tmp_path) == [Flanneld(0, "overlay-net.service", False)]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([Flanneld(7, "flanneld.service", False)], "process 7, unit flanneld.service"),
        ([Flanneld(0, "flanneld.service", False)], "started at boot, unit flanneld.service"),
        ([Flanneld(7, "", False)], "overlay_flanneld=stop"),
        ([Flanneld(7, "", True)], "out of the DaemonSet"),
    ],
)
def test_it_is_refused_by_name_with_the_remedy(found, words):
    with pytest.raises(ConflictError, match=words):
        flanneld.refuse("node-1", found)
    flanneld.refuse("node-1", [])
