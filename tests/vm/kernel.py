#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fetches Debian's kernel for the virtual machine of the tests: 70 MB down, 14 MB kept.

    kernel.py FOLDER

Nothing is installed: the package is downloaded, unpacked beside FOLDER, and its kernel and the few
modules that the machine loads are kept in FOLDER (vmlinuz, modules/, modules/list in the order of
loading). Nothing is done when they are there.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

META = "linux-image-amd64"
# What the machine is made of; what they depend on comes with them.
MODULES = ["virtio_pci", "9pnet_virtio", "9p", "overlay", "vivid", "uvcvideo", "vhci-hcd"]


def dependencies(path):
    with open(path, "rb") as module:
        found = re.search(rb"\0depends=([^\0]*)\0", module.read())
    return [name for name in found[1].decode().split(",") if name] if found else []


def load_order(folder):
    """Paths of MODULES and all that they need, each behind what it needs."""
    at = {}
    for path in glob.glob(f"{folder}/**/*.ko", recursive=True):
        at[os.path.basename(path)[:-3].replace("-", "_")] = path
    order = []

    def add(name):
        path = at.get(name.replace("-", "_"))
        if not path or path in order:
            return  # built in, or had
        for needed in dependencies(path):
            add(needed)
        order.append(path)

    for name in MODULES:
        if name.replace("-", "_") not in at:
            raise SystemExit(f"kernel.py: this kernel has no module {name}")
        add(name)
    return order


def package_name():
    told = subprocess.run(["apt-cache", "depends", META], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Depends: (linux-image-\S+)", told)
    if not found:
        raise SystemExit(f"kernel.py: apt knows no {META}; apt-get update?")
    return found[1]


def unpack(folder):
    subprocess.run(["apt-get", "-q", "download", package_name()], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    package, = glob.glob(f"{folder}/*.deb")
    subprocess.run(["dpkg-deb", "-x", package, f"{folder}/tree"], check=True)
    return f"{folder}/tree"


def keep(tree, target):
    modules = f"{target}/modules"
    os.makedirs(modules)
    kernel, = glob.glob(f"{tree}/boot/vmlinuz-*")
    names = []
    for path in load_order(tree):
        shutil.copy(path, modules)
        names.append(os.path.basename(path))
    with open(f"{modules}/list", "w", encoding="ascii") as out:
        out.writelines(name + "\n" for name in names)
    shutil.copy(kernel, f"{target}/vmlinuz")


def main():
    target = os.path.abspath(sys.argv[1])
    if os.path.exists(f"{target}/vmlinuz"):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(target)) as folder:
        try:
            tree = unpack(folder)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise SystemExit(f"kernel.py: could not fetch {META}: {getattr(error, 'stderr', '') or error}") from None
        os.mkdir(f"{folder}/kept")
        keep(tree, f"{folder}/kept")
        shutil.rmtree(target, ignore_errors=True)
        os.rename(f"{folder}/kept", target)
    print(f"setup: {target}: Debian's kernel with a camera, for the virtual machine of the tests")


if __name__ == "__main__":
    main()
