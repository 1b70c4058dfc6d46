#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing of the given groups of tools/packages.txt and nothing else.
#   tools/setup.sh [--again] GROUP...
# Silent, quick and offline when nothing is missing. Works as root and with sudo. Exit 1 only when
# a package of the group "build" cannot be had; any other is named, with what is lost without it,
# and not tried again until `--again` (make setup).
set -u
list=$(dirname "$0")/packages.txt
state=${PH_BUILD:-build}/.not-installed
again=0
[ "${1:-}" = --again ] && again=1 && shift
[ $# -gt 0 ] || { echo "usage: tools/setup.sh [--again] GROUP... (see tools/packages.txt)" >&2; exit 2; }

say() { echo "setup: $*"; }

if ! command -v dpkg-query >/dev/null; then
    say "this is not a Debian system: have the equivalents of these packages, then go on:"
    say $(awk '$1 == "build" || $1 == "feature" { print $2 }' "$list")
    exit 0
fi

# Prints "group package" of what is not there.
missing() {
    wanted=$(awk -v groups=" $* " '!/^#/ && NF && index(groups, " " $1 " ") { print $1, $2, $3 }' "$list")
    installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' \
        $(echo "$wanted" | awk '{ print $2 }') 2>/dev/null | awk '$2 == "installed" { print $1 }')
    echo "$wanted" | while read -r group package probe; do
        case $probe in
        cmd=*) command -v "${probe#cmd=}" >/dev/null && continue ;;
        esac
        echo "$installed" | grep -qxF "$package" || echo "$group $package"
    done
}

lost() { awk -v p="$1" '$2 == p { $1 = $2 = $3 = ""; sub(/^ +/, ""); print }' "$list"; }

gaps=$(missing "$@")
if [ $again = 1 ]; then
    rm -f "$state"
elif [ -f "$state" ]; then
    tried=$(cat "$state")
    gaps=$(echo "$gaps" | while read -r group package; do
        [ -n "$package" ] || continue
        if [ "$group" != build ] && echo "$tried" | grep -qxF "$package"; then
            say "still without $package ($(lost "$package")); make setup tries again" >&2
        else
            echo "$group $package"
        fi
    done)
fi
packages=$(echo "$gaps" | awk '{ print $2 }')
if [ -z "$packages" ]; then
    [ $again = 0 ] || say "all there: $*"
    exit 0
fi

apt="env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120"
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        apt=
    elif ! sudo -n true 2>/dev/null && [ ! -t 0 ]; then
        apt=
    else
        apt="sudo $apt"
    fi
fi
if [ -z "$apt" ]; then
    say "missing: $(echo $packages)"
    say "as root: apt-get install $(echo $packages)"
    if echo "$gaps" | grep -q '^build '; then exit 1; fi
    say "going on without"
    exit 0
fi

say "installing from Debian: $(echo $packages)"
install="$apt install -y --no-install-recommends"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! $install $packages >"$log" 2>&1; then
    say "bringing the package lists up to date"
    $apt update >"$log" 2>&1 || say "apt-get update failed: $(tail -n 1 "$log")"
    # One by one if need be, so that one missing package costs only itself.
    $install $packages >"$log" 2>&1 || for package in $packages; do
        $install "$package" >"$log" 2>&1 || say "$package: $(grep '^E:' "$log" | head -n 1)"
    done
fi

mkdir -p "$(dirname "$state")"
rm -f "$(dirname "$state")/build.ninja" # meson looks again for what it did not find
failed=0
for package in $(missing "$@" | awk '{ print $2 }'); do
    if echo "$gaps" | grep -qxF "build $package"; then
        say "could not install $package, without which nothing is built ($(lost "$package"))" >&2
        failed=1
    else
        say "could not install $package; going on without: $(lost "$package")" >&2
        echo "$package" >>"$state"
    fi
done
exit $failed
