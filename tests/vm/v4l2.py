# SPDX-License-Identifier: MIT
"""What the tests ask of a camera's driver themselves: its format while it runs, and its controls."""

import fcntl
import os
import struct

CAPTURE = 1
NEXT = 0x80000000


def _wr(number, size):
    return 3 << 30 | size << 16 | ord("V") << 8 | number


G_FMT, G_PARM, S_CTRL, QUERYCTRL = _wr(4, 208), _wr(21, 204), _wr(28, 8), _wr(36, 68)


class Device:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def _ask(self, request, data):
        data = bytearray(data)
        fcntl.ioctl(self.fd, request, data)
        return data

    def format(self):
        """(width, height, four letters) of the pictures that come."""
        told = self._ask(G_FMT, struct.pack("<I204x", CAPTURE))
        return *struct.unpack_from("<II", told, 8), told[16:20].decode()

    def rate(self):
        """Pictures a second."""
        told = self._ask(G_PARM, struct.pack("<I200x", CAPTURE))
        numerator, denominator = struct.unpack_from("<II", told, 12)
        return denominator / numerator

    def controls(self):
        """{name: id}"""
        found, last = {}, 0
        while True:
            try:
                told = self._ask(QUERYCTRL, struct.pack("<I64x", last | NEXT))
            except OSError:
                return found
            last, = struct.unpack_from("<I", told)
            found[told[8:40].split(b"\0")[0].decode()] = last

    def set(self, name, value):
        self._ask(S_CTRL, struct.pack("<Ii", self.controls()[name], value))
