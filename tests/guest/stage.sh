#!/bin/sh
# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The end of the guest's boot, in its new root: run SHARE/command. SHARE is the one directory that both sides write, at the
# same path as outside; a kernel parameter names it.
# shellcheck disable=SC2154  # options and fail are of the script that reads this one
for word in $(/bin/busybox cat proc/cmdline); do
    case $word in
        podnet.share=*) share=${word#*=} ;;
    esac
done
/bin/busybox mount -t tmpfs -o mode=1777 tmpfs var/tmp
/bin/busybox mkdir -p ".$share"
/bin/busybox mount -t 9p -o "rw,$options" share ".$share" || fail "no $share"
/bin/busybox hostname guest
# What leads to this machine's loopback services, and nowhere else.
/bin/busybox ip link set eth0 up
/bin/busybox ip address add 198.19.255.15/24 dev eth0
exec /bin/busybox switch_root /merged /bin/sh "$share/command"
