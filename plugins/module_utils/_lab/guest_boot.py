# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest boots from: a file system in memory with busybox, modules, and the script that lays out its root.

Private to podnet.cni: may change in any release.

The format is "newc" of cpio (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst). Loading a module
out of the shared root costs a second, so all that are needed come along.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._lab.guest_kernel import Kernel

# The shared root, the disk, and the terminal that a command's output goes to.
BOOT = "crc32c_generic virtio_pci 9p 9pnet_virtio overlay virtio_console virtio_net virtio_rng virtio_blk ext4"
LINKS = "veth bridge dummy vxlan ipip ip6_tunnel wireguard tun ip_vs sch_netem sctp"
NFTABLES = """
nf_tables nft_chain_nat nft_masq nft_ct nft_fib_inet nft_reject_inet nft_queue nft_compat nft_log nft_limit nft_redir
nft_numgen nft_hash nft_objref nfnetlink_queue nf_conntrack_netlink
"""
IPTABLES = """
ip_tables iptable_nat iptable_filter iptable_mangle iptable_raw ip6table_nat ip6table_filter ip6table_mangle
ip6table_raw xt_comment xt_mark xt_MASQUERADE xt_conntrack xt_NFQUEUE xt_multiport xt_addrtype xt_tcpudp
"""
MODULES = tuple(f"{BOOT} {LINKS} {NFTABLES} {IPTABLES}".split())

INIT = r"""#!/bin/busybox sh
# The first program of a guest: load the modules and lay the guest's own layer over the machine's root. Then /stage
# takes over, in the new root. Kernel parameters name the unpacked kernel package and the disk for the layer; without a
# disk it is in memory.
/bin/busybox mkdir -p /proc /sys /dev /lower /upper /merged
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys

fail() {
    echo "guest: $1"
    /bin/busybox poweroff -f
}

disk=
for word in $(/bin/busybox cat /proc/cmdline); do
    case $word in
        podnet.kernel=*) kernel=${word#*=} ;;
        podnet.disk=*) disk=${word#*=} ;;
    esac
done
for module in /modules/*; do
    /bin/busybox insmod "$module" || echo "guest: $module cannot be loaded"
done
options=trans=virtio,version=9p2000.L,msize=512000
/bin/busybox mount -t 9p -o "ro,$options,cache=loose" root /lower || fail "no root"
if [ -n "$disk" ]; then
    /bin/busybox mount -t ext4 -o noatime,noinit_itable "$disk" /upper || fail "no disk"
else
    /bin/busybox mount -t tmpfs -o size=60% layer /upper || fail "no layer"
fi
/bin/busybox mkdir -p /upper/data /upper/work
layers=lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work
/bin/busybox mount -t overlay -o "$layers" root /merged || fail "no overlay"
cd /merged || fail "no overlay"
for directory in proc sys dev; do
    /bin/busybox mount --move "/$directory" "$directory"
done
/bin/busybox mkdir -p dev/pts dev/shm lib/modules usr/sbin usr/bin
/bin/busybox ln -s /proc/self/fd dev/fd
/bin/busybox ln -s /proc/self/fd/0 dev/stdin
/bin/busybox ln -s /proc/self/fd/1 dev/stdout
/bin/busybox ln -s /proc/self/fd/2 dev/stderr
/bin/busybox mount -t devpts -o mode=620,ptmxmode=666 devpts dev/pts
# What the machine has in /tmp is not the guest's, whose systemd would remove it file by file.
for directory in dev/shm run tmp; do
    /bin/busybox mount -t tmpfs -o mode=1777 tmpfs "$directory"
done
/bin/busybox mount -t cgroup2 cgroup2 sys/fs/cgroup
/bin/busybox mount -t bpf bpf sys/fs/bpf
# This machine has the packages that are unpacked beside its kernel.
/bin/busybox mount --bind "/lower$kernel/lib/modules" lib/modules
/bin/busybox cp "/lower$kernel/usr/bin/wg" usr/bin/
/bin/busybox cp "/lower$kernel/bin/kmod" usr/sbin/
for program in modprobe insmod rmmod lsmod modinfo depmod; do
    /bin/busybox ln -sf kmod "usr/sbin/$program"
done
/bin/busybox ip link set lo up
. /stage
"""


def build(kernel: Kernel, stage: str, files: Mapping[str, tuple[bytes, int]], more: Sequence[str] = ()) -> bytes:
    """The archive. C(stage) is the script that ends the boot, C(files) are further files with their modes, and C(more)
    further modules. The modules are loaded in the order of their names in it."""
    content = {
        "init": (INIT.encode(), 0o755),
        "stage": (stage.encode(), 0o644),
        "bin/busybox": (Path(shutil.which("busybox") or "/bin/busybox").read_bytes(), 0o755),
        **files,
    }
    dependencies = (kernel.modules / "modules.dep").read_text(encoding="ascii")
    for number, module in enumerate(closure(dependencies, (*MODULES, *more))):
        content[f"modules/{number:03}-{Path(module).name}"] = ((kernel.modules / module).read_bytes(), 0o644)
    return archive(content)


def closure(dependencies: str, wanted: Sequence[str]) -> list[str]:
    """The files to load, in order, for these modules with all that they need.

    C(dependencies) is the text of modules.dep; a module that it does not name is built into the kernel, or not there.
    """
    needs: dict[str, list[str]] = {}
    for line in dependencies.splitlines():
        file, _colon, others = line.partition(":")
        needs[_module(file)] = [file, *others.split()]
    order: dict[str, None] = {}

    def load(name: str) -> None:
        file, *others = needs[name]
        for other in others:
            if other not in order:
                load(_module(other))
        order[file] = None

    for name in wanted:
        if name in needs:
            load(name)
    return list(order)


def _module(file: str) -> str:
    return Path(file).name.split(".", 1)[0].replace("-", "_")


def archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """An archive of these files, given as content and mode; the directories above them come first."""
    directories = {parent for name in files for parent in Path(name).parents} - {Path(".")}
    entries = [(str(path), b"", 0o040755) for path in sorted(directories)]
    entries += [(name, content, 0o100000 | mode) for name, (content, mode) in files.items()]
    made = b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))
    return made + _entry(0, "TRAILER!!!", b"", 0)


def _entry(number: int, name: str, content: bytes, mode: int) -> bytes:
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return _padded(head) + _padded(content)


def _padded(text: bytes) -> bytes:
    return text + b"\0" * (-len(text) % 4)
