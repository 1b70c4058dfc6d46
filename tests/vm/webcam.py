# SPDX-License-Identifier: MIT
"""A USB video class webcam, plugged into this kernel's own USB stack over USB/IP (vhci-hcd).

Everything above the cable is real: enumeration, uvcvideo, V4L2. The camera is UVC 1.0 with one bulk
endpoint; like many, its Motion JPEG has no Huffman tables, and its first picture is cut short.
"""

import socket
import struct
import threading
import time

VHCI = "/sys/devices/platform/vhci_hcd.0"
HIGH_SPEED, DEVICE_ID = 3, 0x10001
SUBMIT, UNLINK = 1, 2
EPIPE, ECONNRESET = 32, 104
PAYLOAD = 16384  # what uvcvideo asks for at once: each is a payload of its own
GUID_TAIL = bytes.fromhex("000010008000 00aa00389b71")


class Mode:
    """`code` is "MJPG" or four letters of a raw format; `pictures` are the bytes of each."""

    def __init__(self, code, width, height, fps, pictures):
        self.code, self.width, self.height, self.fps, self.pictures = code, width, height, fps, pictures


def without_tables(jpeg):
    """The JPEG as webcams send it: no Huffman tables (they are those of the standard)."""
    at = 2
    while jpeg[at + 1] != 0xDA:
        size = 2 + struct.unpack_from(">H", jpeg, at + 2)[0]
        if jpeg[at + 1] == 0xC4:
            jpeg = jpeg[:at] + jpeg[at + size:]
        else:
            at += size
    return jpeg


def block(kind, *parts):
    body = bytes([kind]) + b"".join(parts)
    return bytes([len(body) + 1]) + body


def interface(number, endpoints, subclass):
    return block(4, bytes([number, 0, endpoints, 0x0E, subclass, 0, 0]))


def frame(subtype, index, mode):
    size, ticks = max(map(len, mode.pictures)), 10_000_000 // mode.fps
    bits = size * 8 * mode.fps
    return block(0x24, struct.pack("<BBBHHIIIIBI", subtype, index, 0, mode.width, mode.height, bits, bits, size,
                                   ticks, 1, ticks))


def stream_format(index, modes):
    """One format and its sizes."""
    if modes[0].code == "MJPG":
        head, subtype = block(0x24, bytes([6, index, len(modes), 1, 1, 0, 0, 0, 0])), 7
    else:
        bits = len(modes[0].pictures[0]) * 8 // (modes[0].width * modes[0].height)
        guid = modes[0].code.encode() + GUID_TAIL
        head, subtype = block(0x24, bytes([4, index, len(modes)]), guid, bytes([bits, 1, 0, 0, 0, 0])), 5
    matching = block(0x24, bytes([13, 1, 1, 4]))
    return head + b"".join(frame(subtype, i, m) for i, m in enumerate(modes, 1)) + matching


def configuration(formats):
    units = block(0x24, struct.pack("<BBHBBHHHB3x", 2, 1, 0x201, 0, 0, 0, 0, 0, 3)) + \
        block(0x24, struct.pack("<BBHBBB", 3, 2, 0x101, 0, 1, 0))
    control = block(0x24, struct.pack("<BHHIBB", 1, 0x100, 13 + len(units), 48_000_000, 1, 1)) + units
    streams = b"".join(stream_format(i, modes) for i, modes in enumerate(formats, 1))
    head = struct.pack("<BBHBBBBBBB", 1, len(formats), 13 + len(formats) + len(streams), 0x81, 0, 2, 0, 0, 0, 1)
    stream = block(0x24, head, bytes(len(formats))) + streams
    body = block(11, bytes([0, 2, 0x0E, 3, 0, 0])) + interface(0, 0, 1) + control + \
        interface(1, 1, 2) + stream + block(5, struct.pack("<BBHB", 0x81, 2, 512, 0))
    return block(2, struct.pack("<HBBBBB", 9 + len(body), 2, 1, 0, 0x80, 250)) + body


class Webcam:
    """Plugged in once it is made; `formats` is a list of lists of modes, one list a format."""

    def __init__(self, formats, name="phosphene test camera", first_is_cut=True):
        self.formats, self.name, self.first_is_cut = formats, name, first_is_cut
        self.config = configuration(formats)
        self._settle(bytes(26))
        self.sent = 0
        self.waiting = []  # bulk requests: sequence number, length
        self.change = threading.Condition()
        self.gone = False
        self.cable, theirs = socket.socketpair()
        with open(f"{VHCI}/attach", "w", encoding="ascii") as attach:
            attach.write(f"0 {theirs.fileno()} {DEVICE_ID} {HIGH_SPEED}")
        theirs.close()
        threading.Thread(target=self._serve, daemon=True).start()
        threading.Thread(target=self._film, daemon=True).start()

    def unplug(self):
        with self.change:
            self.gone = True
            self.change.notify_all()
        self.cable.shutdown(socket.SHUT_RDWR)
        self.cable.close()

    # --- the cable

    def _take(self, size):
        got = b""
        while len(got) < size:
            piece = self.cable.recv(size - len(got))
            if not piece:
                raise ConnectionError
            got += piece
        return got

    def _answer(self, kind, sequence, status, data=b"", length=None):
        head = struct.pack(">IIIII", kind + 2, sequence, 0, 0, 0)
        body = struct.pack(">iiiii8x", status, len(data) if length is None else length, 0, 0, 0)
        with self.change:  # it may be held already
            if not self.gone:
                self.cable.sendall(head + body + data)

    def _serve(self):
        try:
            while True:
                self._request(self._take(48))
        except (ConnectionError, OSError):
            pass

    def _request(self, head):
        kind, sequence, _, inward, endpoint = struct.unpack_from(">5I", head)
        if kind == UNLINK:
            self._forget(sequence, struct.unpack_from(">I", head, 20)[0])
            return
        length, = struct.unpack_from(">i", head, 24)
        data = b"" if inward else self._take(length)
        if endpoint:
            with self.change:
                self.waiting.append((sequence, length))
                self.change.notify_all()
            return
        answer = self._control(head[40:48], data)
        if answer is None:
            self._answer(SUBMIT, sequence, -EPIPE)
        elif inward:
            self._answer(SUBMIT, sequence, 0, answer[:length])
        else:
            self._answer(SUBMIT, sequence, 0, length=length)

    def _forget(self, sequence, which):
        with self.change:
            had = [w for w in self.waiting if w[0] == which]
            self.waiting = [w for w in self.waiting if w[0] != which]
        self._answer(UNLINK, sequence, -ECONNRESET if had else 0)

    # --- what it says about itself

    def _control(self, setup, data):
        kind, request, value, _, _ = struct.unpack("<BBHHH", setup)
        if kind == 0x80 and request == 6:
            return self._descriptor(value >> 8, value & 0xFF)
        if kind == 0x80 and request == 0:
            return b"\0\0"
        if kind == 0xA1:
            return self._asked(request)
        if kind == 0x21 and request == 1:
            self._settle(data)
        return b"" if kind in (0x00, 0x01, 0x02, 0x21) else None

    def _descriptor(self, kind, index):
        if kind == 1:
            return block(1, struct.pack("<HBBBBHHHBBBB", 0x200, 0xEF, 2, 1, 64, 0x1209, 1, 0x100, 0, 1, 0, 1))
        if kind == 2:
            return self.config
        if kind == 3:
            return block(3, self.name.encode("utf-16-le") if index else b"\x09\x04")
        return None

    def _asked(self, request):
        if request == 0x86:
            return b"\x03"
        if request == 0x85:
            return struct.pack("<H", 26)
        return self.chosen

    def mode(self):
        modes = self.formats[self.chosen[2] - 1]
        return modes[self.chosen[3] - 1]

    def _settle(self, asked):
        """What the host would like, as far as there is such a thing."""
        index = min(max(asked[2], 1), len(self.formats))
        size = min(max(asked[3], 1), len(self.formats[index - 1]))
        mode = self.formats[index - 1][size - 1]
        self.chosen = struct.pack("<HBBIHHHHHII", 0, index, size, 10_000_000 // mode.fps, 0, 0, 0, 0, 0,
                                  max(map(len, mode.pictures)), PAYLOAD)

    # --- pictures

    def _film(self):
        due = time.monotonic()
        while not self.gone:
            with self.change:
                while not self.waiting and not self.gone:
                    self.change.wait()
            if self.gone:
                return
            mode = self.mode()
            picture = mode.pictures[self.sent % len(mode.pictures)]
            if self.sent == 0 and self.first_is_cut:
                picture = picture[:len(picture) // 2]
            self._send(picture, self.sent & 1)
            self.sent += 1
            due = max(due + 1 / mode.fps, time.monotonic() - 1 / mode.fps)
            time.sleep(max(0, due - time.monotonic()))

    def _send(self, picture, toggle):
        for at in range(0, len(picture), PAYLOAD - 2):
            piece = picture[at:at + PAYLOAD - 2]
            last = at + len(piece) == len(picture)
            with self.change:  # one that is unlinked between the two would be answered after its unlinking
                while not self.waiting and not self.gone:
                    self.change.wait()
                if self.gone:
                    return
                request = self.waiting.pop(0)[0]
                self._answer(SUBMIT, request, 0, bytes([2, 0x80 | toggle | last << 1]) + piece)
