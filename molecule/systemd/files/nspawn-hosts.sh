#!/usr/bin/env bash
# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Debian hosts with systemd on this machine, joined by an underlay network to which the machine itself has no route.
#
#   nspawn-hosts.sh create LAB DIRECTORY CONTROLLER-ADDRESS/LENGTH NAME=ADDRESS/LENGTH...
#   nspawn-hosts.sh power-cycle LAB DIRECTORY NAME
#   nspawn-hosts.sh destroy LAB DIRECTORY
#
# LAB prefixes every name that is visible outside: the network namespaces LAB-underlay and LAB-NAME, the machines and
# their cgroups. DIRECTORY keeps the SSH key, known_hosts, and for every host hosts/NAME: its root tree, its process id,
# its console.
set -euo pipefail
shopt -s inherit_errexit

readonly suite=bookworm
readonly packages=(
  systemd systemd-sysv dbus kmod procps iproute2 iptables iputils-ping nftables openssh-server
  python3 python3-apt python3-pyroute2 python3-etcd3gw containernetworking-plugins etcd-server
)

fail() {
  echo "nspawn-hosts: $*" >&2
  exit 1
}

require() {
  [ "$(id -u)" -eq 0 ] || fail "needs root: namespaces and systemd-nspawn are not for other users"
  local command_and_package
  for command_and_package in systemd-nspawn:systemd-container debootstrap:debootstrap ip:iproute2 \
    nsenter:util-linux flock:util-linux ssh-keygen:openssh-client; do
    command -v "${command_and_package%:*}" >/dev/null ||
      fail "needs ${command_and_package%:*}: apt-get install ${command_and_package#*:}"
  done
}

# Prints the site from which apt, called with these options, has the suite; nothing when it knows of none.
apt_site() {
  # shellcheck disable=SC2016 # apt expands these, not the shell
  apt-get "$@" indextargets --format '$(CODENAME) $(COMPONENT) $(LABEL) $(SITE)' 'Created-By: Packages' |
    awk -v suite="$suite" 'NF == 4 && $1 == suite && $2 == "main" && $3 == "Debian" && !found { print $4; found = 1 }'
}

# Whatever mirror this machine's own apt uses: it is the one that is sure to be within reach.
debian_mirror() {
  local site=${PODNET_DEBIAN_MIRROR:-} lists
  if [ -z "$site" ]; then
    site=$(apt_site)
  fi
  if [ -z "$site" ]; then
    # apt knows only suites that it has read about; lists of our own leave those of the machine alone.
    lists=$(mktemp -d)
    apt-get -qq -o Dir::State::lists="$lists" -o APT::Sandbox::User=root update
    site=$(apt_site -o Dir::State::lists="$lists")
    rm -rf "$lists"
  fi
  echo "$site"
}

make_base_tree() {
  local tree=$1 mirror
  mirror=$(debian_mirror)
  [ -n "$mirror" ] ||
    fail "no apt source of this machine has Debian $suite: add one, or set PODNET_DEBIAN_MIRROR to a mirror"
  rm -rf "$tree"
  debootstrap --variant=minbase --include="$(IFS=, && echo "${packages[*]}")" "$suite" "$tree" "$mirror" \
    >"$tree.log" 2>&1 || fail "debootstrap failed: see $tree.log"
  # Leave out what no host reads, and what the hosts must not share.
  rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/cache/apt/*.bin "$tree"/var/lib/apt/lists/* \
    "$tree"/usr/share/{doc,info,locale,man}/* "$tree"/etc/ssh/ssh_host_* "$tree"/etc/machine-id
  systemctl --quiet --root="$tree" enable systemd-networkd.service
  systemctl --quiet --root="$tree" disable etcd.service e2scrub_reap.service
}

# Prints the path of a tree that fits this recipe; makes it when there is none yet.
base_tree() {
  local cache recipe tree
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/podnet-cni/nspawn-hosts
  recipe=$(declare -f make_base_tree && echo "$suite ${packages[*]}")
  tree=$cache/$suite-$(sha256sum <<<"$recipe" | cut -c1-12)
  mkdir -p "$cache"
  (
    flock 9
    if [ ! -d "$tree" ]; then
      make_base_tree "$tree.partial"
      mv "$tree.partial" "$tree"
    fi
  ) 9>"$cache/lock"
  echo "$tree"
}

# The host gets its underlay address from its own systemd-networkd at every boot, never from this script.
make_host() {
  local base=$1 name=$2 address=$3 host=$directory/hosts/$2
  local tree=$host/tree
  mkdir -p "$tree" "$host/changes" "$host/work"
  # A layer over the shared tree, or a copy where the file system cannot be a layer (that of a container, say).
  mount -t overlay -o "lowerdir=$base,upperdir=$host/changes,workdir=$host/work" "$lab-$name" "$tree" 2>/dev/null ||
    cp -a --reflink=auto "$base/." "$tree"
  echo "$name" >"$tree/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >"$tree/etc/hosts"
  systemd-id128 new >"$tree/etc/machine-id"
  printf '[Match]\nName=eth0\n\n[Network]\nAddress=%s\nIPv6AcceptRA=no\n' "$address" >"$tree/etc/systemd/network/10-underlay.network"
  ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$tree/etc/ssh/ssh_host_ed25519_key"
  install -d -m 0700 "$tree/root/.ssh"
  install -m 0600 "$directory/id_ed25519.pub" "$tree/root/.ssh/authorized_keys"
  echo "${address%/*} $(cut -d' ' -f1,2 "$tree/etc/ssh/ssh_host_ed25519_key.pub")" >>"$directory/known_hosts"
}

# A network card keeps its address when the host reboots.
mac_address() {
  sha256sum <<<"$lab-$1" | sed -E 's/^(..)(..)(..)(..)(..).*/02:\1:\2:\3:\4:\5/'
}

plug() {
  ip netns add "$lab-$1"
  ip -n "$lab-underlay" link add "$1" type veth peer name eth0 address "$(mac_address "$1")" netns "$lab-$1"
  ip -n "$lab-underlay" link set "$1" master underlay up
}

# The link goes first: the kernel takes its time to tear a deleted namespace down, and the veth in it would still be in
# the way of a new one.
unplug() {
  if [ -e "/run/netns/$lab-underlay" ] && ip -n "$lab-underlay" link show "$1" >/dev/null 2>&1; then
    ip -n "$lab-underlay" link delete "$1"
  fi
  if [ -e "/run/netns/$lab-$1" ]; then
    ip netns delete "$lab-$1"
  fi
}

# The directories of the cgroup hierarchies that systemd uses, at the place of this process.
own_cgroups() {
  local id controllers path
  while IFS=: read -r id controllers path; do
    if [ "$controllers" = name=systemd ]; then
      echo "/sys/fs/cgroup/systemd$path"
    elif [ "$id" = 0 ] && [ -d /sys/fs/cgroup/unified ]; then
      echo "/sys/fs/cgroup/unified$path"
    elif [ "$id" = 0 ]; then
      echo "/sys/fs/cgroup$path"
    fi
  done </proc/self/cgroup
}

boot() {
  local name=$1 host=$directory/hosts/$1 cgroup
  # systemd-nspawn --keep-unit makes its cgroups below that of its caller: hosts with the same caller would share them,
  # and the systemd of one would kill the services of another.
  own_cgroups | sed "s:/*$:/$lab-$name:" >"$host/cgroups"
  while read -r cgroup; do
    mkdir -p "$cgroup"
  done <"$host/cgroups"
  (
    while read -r cgroup; do
      echo "$BASHPID" >"$cgroup/cgroup.procs"
    done <"$host/cgroups"
    # A host may set its own net.* sysctls and no other ones: the rest belongs to this machine.
    SYSTEMD_NSPAWN_API_VFS_WRITABLE=network exec setsid systemd-nspawn --quiet --boot \
      --directory="$host/tree" --machine="$lab-$name" --hostname="$name" \
      --network-namespace-path="/run/netns/$lab-$name" --capability=CAP_NET_ADMIN \
      --register=no --keep-unit --console=read-only
  ) </dev/null >>"$host/console" 2>&1 &
  echo "$!" >"$host/pid"
  sleep 0.5
  runs "$!" "$name" || fail "$name did not boot: $(tail -n 3 "$host/console")"
}

runs() {
  [ -d "/proc/$1" ] && tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF -- "--machine=$lab-$2 "
}

# Orderly, as by the power button; a host that is not down after 30 seconds loses its power.
shut_down() {
  local name=$1 host=$directory/hosts/$1 pid tick cgroup
  if [ -e "$host/pid" ]; then
    pid=$(cat "$host/pid")
    if runs "$pid" "$name"; then
      kill -TERM "$pid"
    fi
    for ((tick = 0; tick < 300; tick++)); do
      runs "$pid" "$name" || break
      sleep 0.1
    done
    if runs "$pid" "$name"; then
      kill -KILL "$pid"
    fi
    rm "$host/pid"
  fi
  if [ -e "$host/cgroups" ]; then
    while read -r cgroup; do
      [ ! -d "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} \;
    done <"$host/cgroups"
    rm "$host/cgroups"
  fi
}

create() {
  local controller=$1 base host
  shift
  require
  umask 022
  base=$(base_tree)
  mkdir -p "$directory"
  ssh-keygen -q -t ed25519 -N '' -C "$lab" -f "$directory/id_ed25519"
  ip netns add "$lab-underlay"
  ip -n "$lab-underlay" link add underlay type bridge
  ip -n "$lab-underlay" link set underlay up
  # Where SSH connections come from: connect.py runs in this namespace.
  ip -n "$lab-underlay" address add "$controller" dev underlay
  for host; do
    make_host "$base" "${host%%=*}" "${host#*=}"
    plug "${host%%=*}"
    boot "${host%%=*}"
  done
}

# A host that reboots loses its links, addresses, routes, neighbours and rules. All these belong to the network
# namespace, and the host comes up in a new one.
power_cycle() {
  [ -e "$directory/hosts/$1/pid" ] || fail "no running host $1 in $directory"
  shut_down "$1"
  unplug "$1"
  plug "$1"
  boot "$1"
}

destroy() {
  local host
  for host in "$directory"/hosts/*/; do
    if [ -d "$host" ]; then
      shut_down "$(basename "$host")"
      unplug "$(basename "$host")"
      if mountpoint --quiet "$host/tree"; then
        umount "$host/tree"
      fi
    fi
  done
  if [ -e "/run/netns/$lab-underlay" ]; then
    ip netns delete "$lab-underlay"
  fi
  # The sockets of SSH connections are in /run.
  rm -rf --one-file-system "$directory" "/run/$lab"
}

[ $# -ge 3 ] || fail "usage: nspawn-hosts.sh create|power-cycle|destroy LAB DIRECTORY ..."
lab=$2
directory=$3
case $1 in
  create) create "${@:4}" ;;
  power-cycle) power_cycle "$4" ;;
  destroy) destroy ;;
  *) fail "knows no $1: create, power-cycle or destroy" ;;
esac
