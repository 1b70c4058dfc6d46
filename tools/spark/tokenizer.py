# SPDX-License-Identifier: MIT
"""A byte-pair vocabulary in the files of CLIP's tokenizer, learnt from our own captions.

The alphabet is all 256 bytes, inside a word and at its end, so any text can be encoded. Only what
captions hold is handled here (ASCII and letters as they are); src/models/clip/tokenizer.c has the
whole of CLIP's rules, and tests/spark compares the two.
"""
import json
import os
import re
from collections import Counter

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
PATTERN = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+")


def byte_names():
    """What stands for a byte in the files: itself where visible, else U+0100 and up."""
    names, spare = [], 0x100
    for b in range(256):
        visible = 0x20 < b < 0x7f or b > 0xa0 and b != 0xad
        names.append(chr(b if visible else spare))
        spare += not visible
    return names


def pieces_of(word):
    names = [BYTES[b] for b in word.encode()]
    names[-1] += "</w>"
    return tuple(names)


BYTES = byte_names()


def merged(pieces, pair):
    out, i = [], 0
    while i < len(pieces):
        if pieces[i:i + 2] == pair:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(pieces[i])
            i += 1
    return tuple(out)


def learn(texts, entries):
    """The merges, best first, that grow the alphabet of 512 to entries - 2 ids."""
    words = Counter(w for text in texts for w in PATTERN.findall(text.lower()))
    split = {w: pieces_of(w) for w in words}
    merges = []
    while len(merges) < entries - 2 - 512:
        pairs = Counter()
        for w, count in words.items():
            p = split[w]
            for pair in zip(p, p[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        split = {w: merged(p, best) for w, p in split.items()}
    return merges


class Tokenizer:
    def __init__(self, merges, length=32):
        self.merges, self.length = merges, length
        self.rank = {pair: i for i, pair in enumerate(merges)}
        tokens = BYTES + [b + "</w>" for b in BYTES] + [a + b for a, b in merges] + [BEGIN, END]
        self.vocab = {t: i for i, t in enumerate(tokens)}
        self.begin, self.end = self.vocab[BEGIN], self.vocab[END]
        self.known = {}

    def word(self, w):
        if w not in self.known:
            p = pieces_of(w)
            while len(p) > 1:
                pair = min(zip(p, p[1:]), key=lambda pair: self.rank.get(pair, 1 << 30))
                if pair not in self.rank:
                    break
                p = merged(p, pair)
            self.known[w] = [self.vocab[t] for t in p]
        return self.known[w]

    def encode(self, text):
        """Exactly `length` ids: begin, tokens, end, then end again as the padding."""
        ids = [i for w in PATTERN.findall(text.lower()) for i in self.word(w)][:self.length - 2]
        ids = [self.begin] + ids + [self.end]
        return ids + [self.end] * (self.length - len(ids))

    def save(self, folder):
        os.makedirs(folder, exist_ok=True)
        added = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
        special = {"bos_token": {"content": BEGIN, **added}, "eos_token": {"content": END, **added},
                   "pad_token": END, "unk_token": {"content": END, **added}}
        config = {**special, "add_prefix_space": False, "do_lower_case": True,
                  "errors": "replace", "model_max_length": self.length,
                  "tokenizer_class": "CLIPTokenizer"}
        for name, value in (("vocab.json", self.vocab), ("special_tokens_map.json", special),
                            ("tokenizer_config.json", config)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                json.dump(value, f, ensure_ascii=False, indent=1)
                f.write("\n")
        with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as f:
            f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in self.merges))

    @staticmethod
    def load(folder):
        with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as f:
            merges = [tuple(line.split()) for line in f.read().splitlines()[1:]]
        with open(os.path.join(folder, "tokenizer_config.json"), encoding="utf-8") as f:
            return Tokenizer(merges, json.load(f)["model_max_length"])
