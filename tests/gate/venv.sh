#!/bin/sh
# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# venv.sh <python> <directory> <requirements file>...
# Makes or updates a virtual environment with the versions that constraints.txt pins, or the file that CONSTRAINTS names;
# does nothing when it is up to date.
set -eu

python=$1
directory=$2
shift 2
requirements=$*
for file in "$@"; do
    set -- "$@" -r "$file"
    shift
done
constraints=${CONSTRAINTS:-constraints.txt}
log=${PODNET_LOG_DIR:-.build/logs}/venv-$(basename "$directory").log

# Two gates may want the same environment at once.
mkdir -p .build
exec 9>".build/venv-$(basename "$directory").lock"
flock 9

state=$(cat constraints*.txt requirements*.txt | cksum)
[ "$(cat "$directory/.requirements" 2>/dev/null)" != "$state" ] || exit 0

mkdir -p "$(dirname "$log")"
if ! { "$python" -m venv "$directory" &&
    "$directory/bin/python" -m pip install --disable-pip-version-check "$@" -c "$constraints"; } >"$log" 2>&1; then
    echo "Python packages of $requirements could not be installed into $directory: they come from the Python package index, so check" \
        "the network and pip's configuration, then run make venv again. The last lines of $log:"
    tail -n 15 "$log"
    exit 1
fi
echo "$state" >"$directory/.requirements"
echo "$directory: $("$directory/bin/python" -V), ansible-core $("$directory/bin/python" -c 'import ansible.release as it; print(it.__version__)')"
