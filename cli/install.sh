#!/bin/sh
# SPDX-License-Identifier: MIT
# Run by `meson install`: manual page and completions, made by the program that is installed.
set -eu
program=$MESON_BUILD_ROOT/cli/phosphene
man=$MESON_INSTALL_DESTDIR_PREFIX/$1/man1
data=$MESON_INSTALL_DESTDIR_PREFIX/$2
put() { # FOLDER NAME WORDS...
    folder=$1 name=$2
    shift 2
    mkdir -p "$folder"
    "$program" "$@" >"$folder/$name"
}
put "$man" phosphene.1 help --man
put "$data/bash-completion/completions" phosphene completions bash
put "$data/zsh/site-functions" _phosphene completions zsh
put "$data/fish/vendor_completions.d" phosphene.fish completions fish
