#!/bin/sh
# Prints the path of a Python this project runs on; says what is missing when there is none.
# $PYTHON, when set, is the only candidate. Otherwise the system's own comes first: it is built with profiles of its use,
# which what a version manager has put before it in PATH seldom is, and is a tenth faster for it.
set -eu

suitable='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))'

for candidate in ${PYTHON:-/usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$candidate" -c "$suitable" >/dev/null 2>&1; then
        command -v "$candidate"
        exit 0
    fi
done

echo "Python 3.11 to 3.14 is needed, and ${PYTHON:-python3} is not one (PYTHON=/path/to/python3 names another)." >&2
echo "On Debian 12 or newer: apt-get install python3 python3-venv" >&2
exit 1
