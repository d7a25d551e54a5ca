# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shell script that replays the restore files at boot.

Private to podnet.cni: may change in any release.

It travels inside the module, so that whoever programs a data plane with a restore directory has all that a boot needs
in that directory, without a role.
"""

from __future__ import annotations

SCRIPT = r"""#!/bin/sh
# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Put the overlay of this node back from the files that flannel_dataplane left beside this script.
#
#     restore.sh [--wait SECONDS] [DIRECTORY]
#
# It needs iproute2, nft where there is a firewall table, and wg where the backend is wireguard; no Python. It may run
# any number of times: links that exist and are as they should be are kept, others are corrected or made anew, and
# everything else is replaced by what it already is.
# Exit code: 0 when everything is in place, 1 when something is missing (an underlay link, a gateway, wg).

set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

say() {
    printf 'podnet-cni-restore: %s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

patience=0
if [ "${1:-}" = --wait ]; then
    patience=${2:?--wait needs a number of seconds}
    shift 2
fi
directory=${1:-$(dirname -- "$0")}
cd -- "$directory" || die "there is no directory $directory"
[ -r restore.conf ] || die "$directory/restore.conf is missing: run the overlay role again"

underlays='' subnet_file='' wireguard_key_file='' preshared_key_file=''
# shellcheck source=/dev/null
. ./restore.conf

for key in "$wireguard_key_file" "$preshared_key_file"; do
    [ -z "$key" ] || [ -r "$key" ] || die "the key file $key is missing: run the overlay role again"
done

case "$(ip -V 2>&1)" in
*BusyBox*) die "ip is that of busybox: install iproute2" ;;
esac

# Underlay links can appear late: a bond, a VLAN, a card whose driver is slow.
for underlay in $underlays; do
    until ip link show dev "$underlay" >/dev/null 2>&1; do
        [ "$patience" -gt 0 ] || die "the underlay link $underlay is missing"
        patience=$((patience - 1))
        sleep 1
    done
done

# Peers of wireguard links come from a file without secrets; the keys are put in here and never appear in an argument.
wireguard_config() {
    preshared=
    if [ -n "$preshared_key_file" ]; then
        read -r preshared <"$preshared_key_file" || [ -n "$preshared" ]
    fi
    read -r private <"$wireguard_key_file" || [ -n "$private" ]
    while IFS= read -r line; do
        printf '%s\n' "$line"
        case $line in
        '[Interface]') printf 'PrivateKey = %s\n' "$private" ;;
        'PublicKey = '*) [ -z "$preshared" ] || printf 'PresharedKey = %s\n' "$preshared" ;;
        esac
    done <"peers.$1"
}

# wrong NAME ARGUMENTS...: what of an existing link cannot be changed in place and is not as the words of ip link say.
wrong() {
    shown=$(ip -d -o link show dev "$1")
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        type)
            case " $shown " in *" $2 "*) ;; *) printf 'type ' ;; esac
            shift
            ;;
        id | local | dstport)
            case " $shown " in *" $1 $2 "*) ;; *) printf '%s ' "$1" ;; esac
            shift
            ;;
        esac
        shift
    done
}

# correct NAME ARGUMENTS...: give an existing link the MAC address and the MTU of the words; fails when it has not them.
correct() {
    link=$1 failed=0
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        address | mtu)
            case $1 in address) have="link/ether $2 " ;; *) have="mtu $2 " ;; esac
            case "$(ip -o link show dev "$link") " in
            *"$have"*) ;;
            *)
                ip link set dev "$link" "$1" "$2" || true
                case "$(ip -o link show dev "$link") " in *"$have"*) ;; *) failed=1 ;; esac
                ;;
            esac
            shift
            ;;
        esac
        shift
    done
    return "$failed"
}

status=0
if [ -e links ]; then
    while read -r name arguments; do
        there=no
        if ip link show dev "$name" >/dev/null 2>&1; then
            there=yes
            # shellcheck disable=SC2086
            differs=$(wrong "$name" $arguments)
            if [ -n "$differs" ]; then
                say "the link $name is another one (${differs% }): it is made anew"
                ip link delete dev "$name" || die "cannot delete the link $name"
                there=no
            fi
        fi
        if [ "$there" = no ]; then
            # The arguments are words of ip link, written by flannel_dataplane.
            # shellcheck disable=SC2086
            ip link add "$name" $arguments || die "cannot create the link $name"
        elif
            # shellcheck disable=SC2086
            ! correct "$name" $arguments
        then
            say "the link $name does not take its address or MTU"
            status=1
        fi
        # Without IPv6 there is no such file, and nothing to refuse.
        if [ -w "/proc/sys/net/ipv6/conf/$name/accept_ra" ]; then
            echo 0 >"/proc/sys/net/ipv6/conf/$name/accept_ra"
        fi
        if [ -e "peers.$name" ]; then
            # Without its peers the link drops what it is given. Routes and firewall keep pods from going round it.
            wireguard_config "$name" | wg setconf "$name" /dev/stdin || {
                say "cannot configure the link $name: is wg (package wireguard-tools) installed?"
                status=1
            }
        fi
    done <links
fi

# One command for all entries; -force continues after an entry that fails, such as a gateway that is not reachable yet.
entries() {
    failed=0
    [ ! -e ip.batch ] || ip -force -batch ip.batch || failed=1
    [ ! -e bridge.batch ] || bridge -force -batch bridge.batch || failed=1
    [ ! -e firewall.nft ] || nft -f firewall.nft || failed=1
    return "$failed"
}

# An underlay link can be there before its address is, and routes need the address. Thousands of entries are not tried
# every second, so the pauses grow.
pause=1
until entries; do
    if [ "$patience" -le 0 ]; then
        status=1
        break
    fi
    [ "$pause" -le "$patience" ] || pause=$patience
    sleep "$pause"
    patience=$((patience - pause))
    pause=$((pause * 2))
done

# The CNI plugins take this file as the sign that the node is ready, so it comes last and in one step.
if [ -n "$subnet_file" ]; then
    mkdir -p -- "$(dirname -- "$subnet_file")"
    cp -- subnet.env "$subnet_file.restore.tmp"
    chmod 0644 "$subnet_file.restore.tmp"
    mv -f -- "$subnet_file.restore.tmp" "$subnet_file"
fi

[ "$status" -eq 0 ] || say "something could not be restored; see above"
exit "$status"
"""
