#!/bin/sh
# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The first program of the guest: load the modules, lay a layer in memory over the machine's root, run SHARE/command in it.
# SHARE is the one directory that both sides write, at the same path as outside; kernel parameters name it and KERNEL,
# the unpacked kernel package.
/bin/busybox mkdir -p /proc /sys /dev /lower /upper /merged
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys

fail() {
    echo "guest: $1"
    /bin/busybox poweroff -f
}

for word in $(/bin/busybox cat /proc/cmdline); do
    case $word in
        podnet.share=*) share=${word#*=} ;;
        podnet.kernel=*) kernel=${word#*=} ;;
    esac
done
for module in /modules/*; do
    /bin/busybox insmod "$module" || echo "guest: $module cannot be loaded"
done
options=trans=virtio,version=9p2000.L,msize=512000
/bin/busybox mount -t 9p -o "ro,$options,cache=loose" root /lower || fail "no root"
/bin/busybox mount -t tmpfs -o size=60% layer /upper || fail "no layer"
/bin/busybox mkdir /upper/data /upper/work
/bin/busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /merged || fail "no overlay"
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
for directory in dev/shm run tmp var/tmp; do
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
/bin/busybox mkdir -p ".$share"
/bin/busybox mount -t 9p -o "rw,$options" share ".$share" || fail "no $share"
/bin/busybox hostname guest
/bin/busybox ip link set lo up
# What leads to this machine's loopback services, and nowhere else.
/bin/busybox ip link set eth0 up
/bin/busybox ip address add 198.19.255.15/24 dev eth0
exec /bin/busybox switch_root /merged /bin/sh "$share/command"
