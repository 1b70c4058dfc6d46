#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the small tokenizer of this folder, and expected.json: what a second, slow and plain
implementation of the tokenizer gives for prompts of every kind. Needs Unicode 14 (Python 3.11).

    cd tests/data/tokenizer && ./make.py
"""
import collections
import json
import random
import unicodedata

SENTENCES = """a lighthouse on a cliff at dawn, soft light, film grain
the old harbour under a full moon, watercolour, wide shot
it's raining on the neon streets, they've lost their umbrellas, don't they'll we're I'd I'm
eine straße im café, ein weißer fuchs, größe naïve façade
λαβύρινθος ΣΟΦΟΣ σοφός привет мир 猫の写真 한국어 😀 🌧
portrait of a robot reading a book, highly detailed, 8k, f/1.8, 50mm, 1234 567!!! ??? ... --""".split("\n")
BEGIN, END, TOY, PAIR = "<|startoftext|>", "<|endoftext|>", "<toy>", "<toy><toy>"
FIXED = [BEGIN, END, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"]


def alphabet():
    shown = [b for b in range(256) if 0x20 < b < 0x7F or (b > 0xA0 and b != 0xAD)]
    rest = iter(range(0x100, 0x200))
    return {b: chr(b if b in shown else next(rest)) for b in range(256)}


def kind(char):
    category = unicodedata.category(char)
    if category[0] == "Z" or char in "\t\n\r":
        return " "
    if category[0] == "C" or char == "\ufffd":
        return "-"
    if char == "\u0345":
        return "?"
    return category[0] if category[0] in "LN" else "*"


def ideograph(char):
    name = unicodedata.name(char, "")
    c = ord(char)
    return c <= 0x2FA1F and c not in (0x3005, 0x3007) and not 0x2CEB0 <= c <= 0x2EBE0 and (
        name.startswith("CJK UNIFIED IDEOGRAPH") or name.startswith("CJK COMPATIBILITY IDEOGRAPH"))


def words(text):
    out = ""
    for char in text:
        if kind(char) != "-":
            out += f" {char} " if ideograph(char) else " " if kind(char) == " " else char
    return [unicodedata.normalize("NFC", w).lower() for w in out.split()]


def pieces(word):
    at = 0
    while at < len(word):
        rest = word[at:]
        folded = rest.replace("\u017f", "s")
        size = next((len(f) for f in FIXED if folded.startswith(f)), 0)
        if not size and kind(rest[0]) in "L*":
            size = next((i for i, c in enumerate(rest) if kind(c) != kind(rest[0])), len(rest))
        if size or kind(rest[0]) == "N":
            yield rest[:size or 1]
        at += size or 1


def joined(parts, pair):
    """Every such pair, from left to right."""
    out = []
    for part in parts:
        if out and (out[-1], part) == pair:
            out[-1] += part
        else:
            out.append(part)
    return out


class Tokenizer:
    def __init__(self, merges, vocab, added):
        self.ranks = {pair: i for i, pair in enumerate(merges)}
        self.vocab, self.added, self.bytes = vocab, added, alphabet()

    def merge(self, piece):
        if piece in (BEGIN, END):
            return [piece]
        parts = [self.bytes[b] for b in piece.encode()]
        parts[-1] += "</w>"
        while True:
            best = min(zip(parts, parts[1:]), default=None, key=lambda p: self.ranks.get(p, 1 << 30))
            if best not in self.ranks:
                return parts
            parts = joined(parts, best)

    def ids(self, text):
        out, plain, at = [], "", 0
        while at <= len(text):
            token = max((a for a in self.added if text.startswith(a, at)), default="", key=len)
            if token or at == len(text):
                out += [self.vocab.get(p, self.vocab[END]) for w in words(plain) for k in pieces(w)
                        for p in self.merge(k)]
                out += [self.added[token]] if token else []
                plain = ""
            else:
                plain += text[at]
            at += len(token) or 1
        return [self.added[BEGIN], *out, self.added[END]]


def train(count):
    letters = alphabet()
    seen = collections.Counter()
    for line in SENTENCES:
        for word in words(line):
            for piece in pieces(word):
                raw = [letters[b] for b in piece.encode()]
                seen[tuple(raw[:-1]) + (raw[-1] + "</w>",)] += 1
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for parts, n in seen.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        again = collections.Counter()
        for parts, n in seen.items():
            again[tuple(joined(parts, best))] += n
        seen = again
    return merges


def random_prompt(rng):
    pool = "".join(SENTENCES) + "  <|\u017f\u0130\u03a3\u0345\u0338\u0301\u0316\u1112\u1161\u11ab\uac00\u11a8" \
        "\u0344\u00ad\u200d\ufffd\u2028\u3000\u0085\ufa10\U0002f800\u0958\ufb2c\U0001d15e\u1f82\u2126\u212b"
    out = []
    for _ in range(rng.randrange(1, 12)):
        out.append(rng.choice([BEGIN, END, TOY, "<|EndOfText|>", "'LL", "!", " ", "e\u0301", "Σ."]
                              + rng.sample(pool, 30) + " ".join(SENTENCES).split()))
    return "".join(out)


def unicode_hash(change):
    """FNV-1a over the code points that every one becomes."""
    h = 0xCBF29CE484222325
    for c in range(0x110000):
        if not 0xD800 <= c < 0xE000:
            for x in change(chr(c)):
                h = ((h ^ ord(x)) * 0x100000001B3) & (1 << 64) - 1
    return f"{h:016x}"


def main():
    merges = train(300)
    letters = list(alphabet().values())
    letters.remove("~")  # so that one character is not known
    names = ["!"] + [c for c in letters if c != "!"] + [c + "</w>" for c in letters]
    names += [a + b for a, b in merges] + [BEGIN, END]
    vocab = {name: i for i, name in enumerate(dict.fromkeys(names))}
    added = {BEGIN: vocab[BEGIN], END: vocab[END], "!": 0, TOY: len(vocab), PAIR: len(vocab) + 1}

    json.dump(vocab, open("vocab.json", "w"), ensure_ascii=False, indent=0)
    with open("merges.txt", "w") as f:
        f.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    json.dump({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "!",
               "bos_token": BEGIN, "eos_token": END, "unk_token": END,
               "added_tokens_decoder": {str(i): {"content": t, "special": True} for t, i in added.items()}},
              open("tokenizer_config.json", "w"), indent=1)
    json.dump({"pad_token": END}, open("special_tokens_map.json", "w"), indent=1)

    rng = random.Random(7)
    prompts = SENTENCES + ["", "   ", "~tilde~", "a<toy><toy><toy>b", "'\u017fa'ſ", "Σ ΑΣ ΑΣ. ΑΣΑ ΑΣ\u0301", "\u0301x",
                           "x\u0338=\u0338", "<|\u017ftartoftext|>", "<|STARTOFTEXT|>", "a\u0345b", "\u0130I\u0307",
                           "q" + "\u0301\u0316\u0345\u05b0\u3099" * 40, "각각\u1100\u1161\u11a8", "1٣Ⅷ½", "a\ufaf3b", "\u1e9b\u0323"]
    prompts += [random_prompt(rng) for _ in range(300)]
    tokenizer = Tokenizer(merges, vocab, added)
    json.dump({"unicode": {"nfc": unicode_hash(lambda c: unicodedata.normalize("NFC", c)),
                           "lower": unicode_hash(str.lower),
                           "marked": unicode_hash(lambda c: unicodedata.normalize("NFC", c + "\u0316\u0301\u0308\u0345"))},
               "prompts": [{"text": p, "ids": tokenizer.ids(p)} for p in prompts]},
              open("expected.json", "w"), ensure_ascii=False, indent=None, separators=(",", ":"))


main()
