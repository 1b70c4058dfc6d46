# SPDX-License-Identifier: MIT
"""A virtual machine that runs a command of this system under a kernel of its own.

Its files are this system's, shared read only; what the command writes stays in the machine's memory,
but for one folder that both see. It ends when the command ends.
"""

import os
import re
import shutil
import stat
import subprocess
import threading
import time

QEMU = "qemu-system-x86_64"
LATER = ("vivid.ko",)  # is loaded by the command
HERE = os.path.dirname(os.path.abspath(__file__))


def missing(kernel):
    """What keeps the machine from starting, or None."""
    if not shutil.which(QEMU):
        return "no qemu-system-x86: make vm"
    if not os.path.exists(f"{kernel}/vmlinuz"):
        return "no kernel for it: make vm"
    return None


def entry(name, mode, data=b"", device=(0, 0)):
    """One file of a cpio archive ("newc")."""
    path = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def first_files(kernel, init, job, left_out):
    """The archive that the kernel unpacks into memory before anything runs."""
    folders = [entry(name, stat.S_IFDIR | 0o755) for name in ("dev", "modules")]
    with open(f"{kernel}/modules/list", encoding="ascii") as lines:
        names = [name for name in lines.read().split() if name not in left_out]
    modules = []
    for name in names:
        with open(f"{kernel}/modules/{name}", "rb") as module:
            modules.append(entry(f"modules/{name}", stat.S_IFREG | 0o644, module.read()))
    with open(init, "rb") as program:
        begin = entry("init", stat.S_IFREG | 0o755, program.read())
    return b"".join([
        *folders, *modules, begin,
        entry("modules/list", stat.S_IFREG | 0o644, "\n".join(names).encode()),
        entry("job", stat.S_IFREG | 0o644, "\n".join(job).encode()),
        entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        entry("TRAILER!!!", 0)])


def start(kernel, work, folder, command, fast):
    """Runs command in folder; its first serial line is work/console.log, /dev/ttyS1 is our pipe.
    `work` is a 9p share of that name, which may be written. -> Popen"""
    init, files = f"{work}/init", f"{work}/first-files"
    subprocess.run(["gcc", "-O1", "-static", "-o", init, f"{HERE}/init.c"], check=True)
    with open(files, "wb") as out:
        out.write(first_files(kernel, init, [folder, *command], LATER))
    open(f"{work}/console.log", "wb").close()
    share = "local,security_model=none,multidevs=remap"
    return subprocess.Popen(
        [QEMU, "-accel", "kvm" if fast else "tcg", "-cpu", "host,-arch-capabilities" if fast else "max", "-smp", "2", "-m", "2048",
         "-nodefaults", "-display", "none", "-no-reboot",
         "-kernel", f"{kernel}/vmlinuz", "-initrd", files,
         "-append", "console=ttyS0 loglevel=5 panic=-1 random.trust_cpu=on",
         "-virtfs", f"{share},path=/,mount_tag=host,readonly=on",
         "-virtfs", f"{share},path={work},mount_tag=work",
         "-serial", f"file:{work}/console.log", "-serial", "stdio"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")


def can_be_fast():
    with open("/proc/cpuinfo", encoding="utf-8") as told:
        virtual = re.search(r"^flags.* (vmx|svm)\b", told.read(), re.M)
    return bool(virtual) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def begins(process, console, patience_s):
    """True once the kernel has said a word."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and process.poll() is None:
        if os.path.getsize(console):
            return True
        time.sleep(0.1)
    return False


def run(kernel, work, folder, command, limit_s):
    """Passes on what the command writes to /dev/ttyS1, until it ends. 0 = it ended by itself."""
    console = f"{work}/console.log"
    fast = can_be_fast()
    process = start(kernel, work, folder, command, fast)
    # /dev/kvm of a machine that is virtual itself may open and yet run nothing
    if fast and not begins(process, console, 20):
        process.kill()
        process.wait()
        process = start(kernel, work, folder, command, fast=False)
    watch = threading.Timer(limit_s, process.kill)
    watch.start()
    for line in process.stdout:
        print(line.rstrip(), flush=True)
    watch.cancel()
    if process.wait() == 0:
        return 0
    with open(console, encoding="utf-8", errors="replace") as lines:
        print("".join(f"# {line}" for line in lines.readlines()[-20:]))
    return 1
