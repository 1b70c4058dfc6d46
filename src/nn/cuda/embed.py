# SPDX-License-Identifier: MIT
"""embed.py OUT.c SOURCE.cu NVCC...: compiles kernels to a fat binary and writes it as a C array.

Machine code for Hopper; PTX for everything else from Ampere on, which the driver compiles.
"""
import os
import subprocess
import sys
import tempfile

TARGETS = ["-gencode", "arch=compute_80,code=compute_80",
           "-gencode", "arch=compute_90,code=[sm_90,compute_90]"]


def main(out, source, *nvcc):
    name = os.path.splitext(os.path.basename(source))[0]
    with tempfile.TemporaryDirectory() as folder:
        binary = os.path.join(folder, name + ".fatbin")
        done = subprocess.run([*nvcc, "-fatbin", "-O3", *TARGETS, source, "-o", binary], check=False)
        if done.returncode:
            return done.returncode
        with open(binary, "rb") as f:
            data = f.read()
    with open(out, "w", encoding="ascii") as f:
        f.write("// SPDX-License-Identifier: MIT\n// Made from %s by embed.py.\n" % os.path.basename(source))
        f.write("extern const unsigned char ph_cuda_%s[];\n" % name)
        f.write("_Alignas(16) const unsigned char ph_cuda_%s[] = {\n" % name)
        for at in range(0, len(data), 24):
            f.write(",".join(map(str, data[at:at + 24])) + ",\n")
        f.write("};\n")
    return 0


sys.exit(main(*sys.argv[1:]))
