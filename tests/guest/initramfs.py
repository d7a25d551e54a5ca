# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the guest boots from: a file system in memory with busybox, the modules and the script init.sh.

Loading a module out of the shared root costs a second, so all of them come along.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from cpio import archive
from kernel import Kernel, closure

INIT = Path(__file__).with_name("init.sh")
# The shared root, and the terminal that the command's output goes to.
BOOT = "crc32c_generic virtio_pci 9p 9pnet_virtio overlay virtio_console virtio_net virtio_rng"
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


def build(kernel: Kernel, busybox: Path) -> bytes:
    """The archive. The modules are loaded in the order of their names in it."""
    # Its own first line names a shell that is not there.
    script = b"#!/bin/busybox sh\n" + INIT.read_bytes()
    files = {"init": (script, 0o755), "bin/busybox": (busybox.read_bytes(), 0o755)}
    dependencies = (kernel.modules / "modules.dep").read_text(encoding="ascii")
    for number, module in enumerate(closure(dependencies, MODULES)):
        files[f"modules/{number:03}-{Path(module).name}"] = ((kernel.modules / module).read_bytes(), 0o644)
    return archive(files)


def busybox() -> Path:
    """The static busybox of this machine, whose place kernel.kernel() has made sure of."""
    return Path(shutil.which("busybox") or "/bin/busybox")
