#!/bin/sh
# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# system.sh python                print the Python interpreter to use
# system.sh check [base|all]      say what this machine lacks; exit 1 when it lacks anything
# system.sh install [base|all]    install what is missing (Debian and Ubuntu, as root); nothing is done when nothing is missing
#
# base is enough for lint and unit tests; all (the default) is what tests and demo on the real kernel need.
# When something cannot be had, the first line printed says what it is and how to get it.
set -eu

log=${PODNET_LOG_DIR:-.build/logs}/system.log

find_python() {
    for candidate in ${PODNET_PYTHON:-} python3.11 python3 python3.12 python3.13 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}

programs() {
    cat <<LIST
git git
make make
shellcheck shellcheck
LIST
    [ "$level" = all ] || return 0
    cat <<LIST
ip iproute2
nft nftables
iptables iptables
ping iputils-ping
sysctl procps
nsenter util-linux
etcd etcd-server
etcdctl etcd-client
/usr/lib/cni/bridge containernetworking-plugins
ssh openssh-client
ssh-keygen openssh-client
systemd-nspawn systemd-container
debootstrap debootstrap
containerd containerd
runc runc
buildah buildah
catatonit catatonit
chromium chromium
chromedriver chromium-driver
busybox busybox-static
/usr/bin/python3 python3
qemu-system-x86_64 qemu-system-x86
wg wireguard-tools
LIST
}

# One word per missing thing: "<what>=<Debian package>".
missing() {
    python=$(find_python)
    if [ -z "$python" ]; then
        echo "Python>=3.11=python3"
        echo "venv=python3-venv"
    elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "venv=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    programs | while read -r program package; do
        case $program in
            /*) [ -x "$program" ] || echo "$program=$package" ;;
            *) PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null 2>&1 || echo "$program=$package" ;;
        esac
    done
    [ -d /etc/ssl/certs ] && [ -e /etc/ssl/certs/ca-certificates.crt ] || echo "certificates=ca-certificates"
}

# Debian starts a service as soon as its package is installed, and etcd and containerd would run on this machine.
# policy-rc.d forbids every start while we install; the mask keeps them from starting at the next boot.
hold_services() {
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 0755 /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        trap 'exit 130' INT TERM
    fi
    for pair in etcd-server=etcd containerd=containerd; do
        case " $1 " in
            *" ${pair%=*} "*)
                mkdir -p /etc/systemd/system
                unit=/etc/systemd/system/${pair#*=}.service
                [ -e "$unit" ] || ln -s /dev/null "$unit"
                ;;
        esac
    done
}

task=${1:-check}
level=${2:-all}
case $task,$level in
    python,*)
        find_python
        exit 0
        ;;
    check,base | check,all | install,base | install,all) ;;
    *)
        echo "usage: $0 python | check [base|all] | install [base|all]" >&2
        exit 2
        ;;
esac

lacking=$(missing)
[ -n "$lacking" ] || exit 0
things=$(echo "$lacking" | sed 's/=[^=]*$//' | tr '\n' ' ')
packages=$(echo "$lacking" | sed 's/.*=//' | sort -u | tr '\n' ' ')

if [ "$task" = check ] || [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "This machine lacks: ${things}- get it with (as root, Debian 12): apt-get install ${packages}"
    exit 1
fi

echo "This machine lacks: ${things}- installing with: apt-get install ${packages}"
mkdir -p "$(dirname "$log")"
export DEBIAN_FRONTEND=noninteractive
hold_services "$packages"
# shellcheck disable=SC2086  # a list of package names
if ! { apt-get update && apt-get install -y --no-install-recommends $packages; } >"$log" 2>&1; then
    echo "apt-get failed; its last lines ($log):"
    tail -n 15 "$log"
    exit 1
fi
lacking=$(missing)
[ -z "$lacking" ] || {
    echo "Still missing after apt-get install: $lacking"
    exit 1
}
