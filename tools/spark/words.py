# SPDX-License-Identifier: MIT
"""Captions: what a picture shows, said in many ways, and which combinations are kept for testing.

A picture has a form (sometimes a second one), a palette and perhaps a treatment. Every one has
several names; their order, the optional words and the sentence around them are drawn. Half of the
names of a thing appear more often than the other half, as in a person's speech.
"""
import hashlib
import random

FORMS = {
    "waves": ["waves", "rolling waves", "a swell of waves", "the sea in waves"],
    "rings": ["rings", "concentric rings", "circles within circles", "ripples of rings"],
    "spiral": ["a spiral", "spirals", "a swirling spiral", "a whirl", "a vortex"],
    "tunnel": ["a tunnel", "an endless tunnel", "a corridor into depth", "a tube"],
    "flames": ["flames", "burning flames", "a blaze", "tongues of flame"],
    "smoke": ["smoke", "curling smoke", "wisps of smoke", "drifting smoke"],
    "nebula": ["a nebula", "nebulae", "an interstellar cloud", "a star nursery"],
    "aurora": ["an aurora", "northern lights", "curtains of aurora", "polar lights"],
    "crystals": ["crystals", "a cluster of crystals", "shards of crystal", "quartz"],
    "cells": ["cells", "living cells", "cells under a microscope", "tissue"],
    "marble": ["marble", "veined marble", "polished marble", "a slab of marble"],
    "julia": ["a julia set", "a fractal", "fractal tendrils", "an intricate fractal"],
    "lattice": ["a lattice", "a woven grid", "a lattice of bars", "a trellis"],
    "ink": ["ink in water", "a drop of ink", "ink", "swirling ink"],
    "metal": ["liquid metal", "molten chrome", "mercury", "flowing metal"],
    "petals": ["petals", "a flower", "a blossom", "unfolding petals"],
    "mountains": ["mountains", "mountain ridges", "misty mountains", "a mountain range"],
    "planet": ["a planet", "a distant planet", "a world in space", "a globe"],
    "city": ["city lights", "a skyline at night", "a city", "towers with lit windows"],
    "bubbles": ["bubbles", "soap bubbles", "floating bubbles", "glass spheres"],
    "silk": ["silk", "folds of silk", "flowing cloth", "draped satin"],
    "caustics": ["caustics", "light on a pool floor", "water light", "a net of light"],
    "lightning": ["lightning", "a bolt of lightning", "electric arcs", "a thunderbolt"],
    "dunes": ["dunes", "sand dunes", "desert dunes", "rippled sand"],
    "galaxy": ["a galaxy", "a spiral galaxy", "a disc of stars", "swirling stars"],
    "scales": ["scales", "overlapping scales", "fish scales", "dragon scales"],
}
PALETTES = {
    "fire": ["fire", "fiery", "ember"],
    "ice": ["ice", "icy", "frost"],
    "forest": ["forest", "woodland", "mossy"],
    "ocean": ["ocean", "deep sea", "marine"],
    "sunset": ["sunset", "dusk", "evening"],
    "neon": ["neon", "cyberpunk", "electric pink"],
    "gold": ["gold", "golden", "amber"],
    "silver": ["silver", "monochrome", "grey"],
    "rose": ["rose", "pink", "rosy"],
    "violet": ["violet", "purple", "lavender"],
    "emerald": ["emerald", "green", "jade"],
    "copper": ["copper", "brown", "earthen"],
    "pastel": ["pastel", "candy", "soft rainbow"],
    "toxic": ["toxic", "acid", "poison green"],
    "rainbow": ["rainbow", "spectral", "many-coloured"],
    "crimson": ["crimson", "blood red", "scarlet"],
}
TREATMENTS = {
    "soft": ["soft", "blurred", "dreamy"],
    "sharp": ["sharp", "crisp", "high contrast"],
    "glowing": ["glowing", "luminous", "radiant"],
    "grainy": ["grainy", "film grain", "noisy"],
    "dark": ["dark", "shadowy", "dim"],
    "symmetrical": ["symmetrical", "mirrored", "kaleidoscopic"],
    "zoomed": ["zoomed in", "close-up", "macro"],
    "layered": ["layered", "double exposure", "overlaid"],
}
FORM_NAMES, PALETTE_NAMES = list(FORMS), list(PALETTES)
TREATMENT_NAMES = list(TREATMENTS) + ["plain"]  # plain: the caption says nothing
PLAIN = len(TREATMENTS)
HELD_OUT = 10  # in a hundred combinations


def held_out(form, palette, treatment):
    """Whether a combination (indices) is for testing only. Fixed for ever: by a hash of the
    names. Every form, palette and treatment is seen in training with most of the others."""
    text = f"{FORM_NAMES[form]}/{PALETTE_NAMES[palette]}/{TREATMENT_NAMES[treatment]}"
    return hashlib.sha256(text.encode()).digest()[0] * 100 // 256 < HELD_OUT


def pair_held_out(form, second):
    """The same for two forms in one picture, in either order."""
    names = sorted((FORM_NAMES[form], FORM_NAMES[second]))
    return hashlib.sha256("+".join(names).encode()).digest()[0] * 100 // 256 < HELD_OUT


SENTENCES = [
    "{t} {p} {f}", "{t} {f} in {p} colours", "{f}, {p}, {t}", "{t} {f}, {p} palette",
    "{p} {f}, {t}", "a picture of {t} {p} {f}", "{f} in {p} tones, {t}", "{t} {f} in {p}",
    "{p} and {t}: {f}",
]
PLAIN_SENTENCES = [
    "{p} {f}", "{f} in {p} colours", "{f}, {p}", "{f}, {p} palette", "a picture of {p} {f}",
    "{f} in {p} tones", "{f} in {p}", "{p}: {f}",
]
PAIRS = ["{a} and {b}", "{a} with {b}", "{a} over {b}", "{a} behind {b}", "{a} mixed with {b}"]
EXTRAS = ["", "", "", "", "", "", ", abstract", ", beautiful", ", detailed", ", digital art",
          ", wallpaper"]


def common_first(names, rng):
    return names[min(int(rng.random() ** 1.5 * len(names)), len(names) - 1)]


def bare(name):
    """Without the article, for a place behind an adjective; the sentence gets its own."""
    for article in ("a ", "an ", "the "):
        if name.startswith(article):
            return name[len(article):]
    return name


def caption(form, palette, treatment, second=-1, rng=random):
    f = common_first(FORMS[FORM_NAMES[form]], rng)
    if second >= 0:
        other = common_first(FORMS[FORM_NAMES[second]], rng)
        f = rng.choice(PAIRS).format(a=f, b=other)
    p = common_first(PALETTES[PALETTE_NAMES[palette]], rng)
    if treatment == PLAIN:
        pattern, t = rng.choice(PLAIN_SENTENCES), ""
    else:
        pattern = rng.choice(SENTENCES)
        t = common_first(TREATMENTS[TREATMENT_NAMES[treatment]], rng)
    if not pattern.startswith("{f}"):
        f = bare(f)
    return pattern.format(f=f, p=p, t=t) + rng.choice(EXTRAS)


def draw(rng, testing=False, pairs=0.15):
    """(form, second or -1, palette, treatment) of the training or of the testing side."""
    while True:
        form, palette = rng.randrange(len(FORMS)), rng.randrange(len(PALETTES))
        treatment = rng.randrange(len(TREATMENT_NAMES))
        second = rng.randrange(len(FORMS)) if rng.random() < pairs else -1
        if second == form or second >= 0 and pair_held_out(form, second) != testing:
            continue
        if held_out(form, palette, treatment) == testing:
            return form, second, palette, treatment


def corpus(count=20000, seed=7):
    rng = random.Random(seed)
    texts = []
    for _ in range(count):
        form, second, palette, treatment = draw(rng)
        texts.append(caption(form, palette, treatment, second, rng))
    return texts
