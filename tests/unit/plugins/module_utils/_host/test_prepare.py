# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node's settings, modules and files, on an operating system made of files in a temporary directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import prepare

ALL_CAPABILITIES = "CapEff:\t000001ffffffffff\n"
NO_MODULE_CAPABILITY = "CapEff:\t000001fffffeffff\n"


class System:
    """A root directory; programs that are started are recorded, and modprobe brings /sys/module entries."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[str] = []
        self.fails: set[str] = set()
        self.put("/proc/sys/net/ipv4/ip_forward", "0\n")
        self.put("/proc/self/status", ALL_CAPABILITIES)
        self.put(f"/lib/modules/{os.uname().release}/modules.builtin", "kernel/net/bridge/br-netfilter.ko\n")

    def put(self, path: str, text: str = "") -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def get(self, path: str) -> str | None:
        target = self.root / path.lstrip("/")
        return target.read_text() if target.exists() else None

    def run(self, command: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        self.calls.append(" ".join(command))
        if command[0] in self.fails:
            return 1, "", f"{command[0]}: FATAL: not found in directory\n"
        if command[0] == "modprobe":
            for name in command[2:]:
                (self.root / "sys/module" / name).mkdir(parents=True)
                self.put("/proc/sys/net/bridge/bridge-nf-call-iptables", "0\n")
        return 0, "", ""

    def plan(self, **options: Any) -> prepare.NodePlan:
        asked: dict[str, Any] = {
            "present": True,
            "sysctls": {},
            "sysctl_file": "/etc/sysctl.d/90-podnet-cni.conf",
            "modules": [],
            "modules_file": "/etc/modules-load.d/podnet-cni.conf",
            "unmanaged_links": [],
            **options,
        }
        want = prepare.desired(**asked, root=str(self.root))
        return prepare.plan(want, prepare.observe(want, str(self.root)))

    def converge(self, **options: Any) -> tuple[list[str], list[str]]:
        plan = self.plan(**options)
        return plan.actions, [*plan.warnings, *prepare.apply(self.run, plan, str(self.root))]


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_settings_hold_now_and_after_a_boot(system: System) -> None:
    actions, warnings = system.converge(sysctls={"net.ipv4.ip_forward": "1"})
    assert actions == ["set net.ipv4.ip_forward = 1", "write /etc/sysctl.d/90-podnet-cni.conf"]
    assert warnings == []
    assert system.get("/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert system.get("/etc/sysctl.d/90-podnet-cni.conf") == prepare.BANNER + "net.ipv4.ip_forward = 1\n"
    assert system.converge(sysctls={"net.ipv4.ip_forward": "1"}) == ([], [])


def test_planning_changes_nothing(system: System) -> None:
    plan = system.plan(sysctls={"net.ipv4.ip_forward": "1"})
    assert plan.before == "net.ipv4.ip_forward = 0\n"
    assert plan.after.startswith("net.ipv4.ip_forward = 1\n/etc/sysctl.d/90-podnet-cni.conf: # Written")
    assert system.get("/proc/sys/net/ipv4/ip_forward") == "0\n"
    assert system.get("/etc/sysctl.d/90-podnet-cni.conf") is None


def test_values_of_several_words_are_compared_as_words(system: System) -> None:
    system.put("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n")
    assert system.converge(sysctls={"net.ipv4.tcp_rmem": "4096 131072  6291456"}, sysctl_file="") == ([], [])


def test_a_link_name_with_a_dot_is_written_with_slashes(system: System) -> None:
    system.put("/proc/sys/net/ipv6/conf/eth0.5/forwarding", "0\n")
    system.converge(sysctls={"net/ipv6/conf/eth0.5/forwarding": "1"})
    assert system.get("/proc/sys/net/ipv6/conf/eth0.5/forwarding") == "1\n"


def test_yaml_s_truth_is_one_and_zero() -> None:
    assert prepare.sysctl_texts({"a.b": True, "a.c": False, "a.d": 7, "a.e": "x y"}) == {
        "a.b": "1",
        "a.c": "0",
        "a.d": "7",
        "a.e": "x y",
    }


def test_a_setting_that_the_kernel_lacks_is_told_before_anything_is_done(system: System) -> None:
    with pytest.raises(InputError, match=r"the kernel has no setting net\.bridge\.x: .*br_netfilter"):
        system.converge(sysctls={"net.ipv4.ip_forward": "1", "net.bridge.x": "1"})
    assert system.get("/proc/sys/net/ipv4/ip_forward") == "0\n"


def test_a_module_may_bring_the_setting(system: System) -> None:
    options = {"sysctls": {"net.bridge.bridge-nf-call-iptables": "1"}, "modules": ["br_extra"]}
    actions, _warnings = system.converge(**options)
    assert actions[:2] == ["load kernel module br_extra", "set net.bridge.bridge-nf-call-iptables = 1"]
    assert system.calls == ["modprobe -a br_extra"]
    assert system.get("/etc/modules-load.d/podnet-cni.conf") == prepare.BANNER + "br_extra\n"
    assert system.converge(**options) == ([], [])


def test_a_module_that_brings_it_not_is_an_error(system: System) -> None:
    with pytest.raises(PodnetError, match=r"cannot set net\.core\.nothing to '1': No such file"):
        system.converge(sysctls={"net.core.nothing": "1"}, modules=["vxlan"])


def test_loaded_and_built_in_modules_are_left_alone(system: System) -> None:
    (system.root / "sys/module/ip_vs").mkdir(parents=True)
    assert system.plan(modules=["ip-vs", "br_netfilter"]).modules == ()


def test_a_kernel_without_modules_is_not_asked_for_one(system: System) -> None:
    (system.root / f"lib/modules/{os.uname().release}/modules.builtin").unlink()
    (system.root / f"lib/modules/{os.uname().release}").rmdir()
    assert system.converge(modules=["vxlan"], modules_file="") == ([], [])


def test_a_container_is_warned(system: System) -> None:
    system.put("/proc/self/status", NO_MODULE_CAPABILITY)
    actions, (warning,) = system.converge(modules=["vxlan"], modules_file="")
    assert actions == []
    assert warning.startswith("kernel modules vxlan cannot be loaded from here")


def test_modprobe_s_complaint_is_passed_on(system: System) -> None:
    system.fails.add("modprobe")
    with pytest.raises(PodnetError, match=r"modprobe -a vxlan failed .*not found in directory"):
        system.converge(modules=["vxlan"])


def test_link_files_only_for_services_that_are_installed(system: System) -> None:
    assert system.converge(unmanaged_links=["flannel*", "cni0"]) == ([], [])
    system.put("/usr/lib/systemd/systemd-udevd")
    system.put("/usr/lib/systemd/systemd-networkd")
    system.put("/usr/sbin/NetworkManager")
    actions, warnings = system.converge(unmanaged_links=["flannel*", "cni0"])
    assert actions == [
        f"write {path}" for path in (prepare.LINK_FILE, prepare.NETWORK_FILE, prepare.NETWORK_MANAGER_FILE)
    ]
    assert warnings == []
    assert "OriginalName=flannel*\n\n[Link]\nMACAddressPolicy=none\n" in str(system.get(prepare.LINK_FILE))
    assert "Name=flannel* cni0\n\n[Link]\nUnmanaged=yes\n" in str(system.get(prepare.NETWORK_FILE))
    assert "unmanaged-devices=interface-name:flannel*;interface-name:cni0\n" in str(
        system.get(prepare.NETWORK_MANAGER_FILE)
    )
    assert system.calls == [], "services that do not run are not asked to reload"
    assert system.converge(unmanaged_links=["flannel*", "cni0"]) == ([], [])


def test_running_services_read_the_new_files(system: System) -> None:
    system.put("/usr/lib/systemd/systemd-networkd")
    system.put("/usr/sbin/NetworkManager")
    system.put("/run/systemd/netif/state")
    (system.root / "run/NetworkManager").mkdir()
    system.fails.add("nmcli")
    _actions, (warning,) = system.converge(unmanaged_links=["flannel*"])
    assert system.calls == ["networkctl reload", "nmcli general reload conf"]
    assert warning.startswith(f"{prepare.NETWORK_MANAGER_FILE} has changed, but is not in force yet: nmcli")


def test_absent_removes_the_files_and_leaves_the_kernel_as_it_is(system: System) -> None:
    system.put("/usr/lib/systemd/systemd-udevd")
    options = {"sysctls": {"net.ipv4.ip_forward": "1"}, "modules": ["vxlan"], "unmanaged_links": ["flannel*"]}
    system.converge(**options)
    (system.root / "usr/lib/systemd/systemd-udevd").unlink()
    actions, _warnings = system.converge(**options, present=False)
    assert actions == [
        "remove /etc/sysctl.d/90-podnet-cni.conf",
        "remove /etc/modules-load.d/podnet-cni.conf",
        f"remove {prepare.LINK_FILE}",
    ]
    assert system.get("/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert system.converge(**options, present=False) == ([], [])


def test_a_file_whose_settings_are_gone_goes_too(system: System) -> None:
    system.converge(sysctls={"net.ipv4.ip_forward": "1"}, modules=["vxlan"])
    actions, _warnings = system.converge()
    assert actions == ["remove /etc/sysctl.d/90-podnet-cni.conf", "remove /etc/modules-load.d/podnet-cni.conf"]


def test_nothing_is_left_for_the_next_boot_without_paths(system: System) -> None:
    actions, _warnings = system.converge(sysctls={"net.ipv4.ip_forward": "1"}, sysctl_file="", modules_file="")
    assert actions == ["set net.ipv4.ip_forward = 1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sysctls": {"ip_forward": "1"}}, "sysctl 'ip_forward' is not valid"),
        ({"sysctls": {"net../etc/passwd": "1"}}, "sysctl 'net../etc/passwd' is not valid"),
        ({"modules": ["../x"]}, "kernel_modules '../x' is not valid"),
        ({"modules": ["-r"]}, "kernel_modules '-r' is not valid"),
        ({"unmanaged_links": ["a b"]}, "unmanaged_links 'a b' is not valid"),
        ({"unmanaged_links": ["flannel*\n[x]"]}, r"unmanaged_links 'flannel*\n[x]' is not valid"),
    ],
)
def test_bad_names_fail(system: System, options: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        system.plan(**options)
    assert message in str(caught.value)


def test_what_is_missing_is_found_out(tmp_path: Path) -> None:
    for name, mode in (("bridge", 0o755), ("portmap", 0o644)):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    assert prepare.missing_plugins(["bridge", "portmap", "host-local"], ["/nowhere", str(tmp_path)]) == [
        "portmap",
        "host-local",
    ]
    assert prepare.missing_programs(["bridge", "no-such-program"], str(tmp_path)) == ["no-such-program"]
    (tmp_path / "busybox").write_text("")
    (tmp_path / "busybox").chmod(0o755)
    (tmp_path / "no-such-program").symlink_to("busybox")
    assert prepare.missing_programs(["no-such-program"], str(tmp_path)) == ["no-such-program"], "busybox is another one"
    assert prepare.missing_python_modules(["json", "no_such_module"]) == ["no_such_module"]
