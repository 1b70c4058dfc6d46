#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/spark, as TAP: what it draws, and that what it writes is what the engine reads."""
import math
import os
import random
import subprocess
import sys
import tempfile
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.path.join(HERE, "..", "..", "tools", "spark")
sys.path.insert(0, TOOLS)
sys.dont_write_bytecode = True
PROGRAM, IDS = os.environ.get("PH_PROGRAM", ""), os.environ.get("PH_SPARK_IDS", "")
CASES = []


def case(f):
    CASES.append(f)
    return f


class Skip(Exception):
    pass


def run(command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if done.returncode:
        raise AssertionError(f"{command[0]} ended with {done.returncode}: {done.stderr[-1500:]}{done.stdout[-500:]}")
    return done.stdout


def train(folder, *words, steps=2):
    return run([sys.executable, os.path.join(TOOLS, "train.py"), *words, "--size", "tiny", "--steps", steps,
                "--device", "cpu", "--results", os.path.join(folder, "results"),
                "--state", os.path.join(folder, "state"), "--out", os.path.join(folder, "model")])


def read_png(path):
    with Image.open(path) as picture:
        return torch.from_numpy(numpy.array(picture.convert("RGB"))).float()


# ------------------------------------------------------------------------------ the generator
def some_rows(count, seed=3):
    return pool.draw_rows(count, torch.Generator().manual_seed(seed), testing=None)


@case
def every_form_paints_a_picture_of_its_own():
    forms = len(words.FORM_NAMES)
    assert forms >= 24 and len(words.PALETTE_NAMES) == 16 and len(words.TREATMENT_NAMES) == 9
    form = torch.arange(forms)
    x = paint.render(form, torch.full_like(form, -1), form * 0 + 7, form * 0 + words.PLAIN, form + 5, 64, 64)
    assert x.shape == (forms, 3, 64, 64) and torch.isfinite(x).all()
    assert x.min() >= 0 and x.max() <= 1
    assert x.std((1, 2, 3)).min() > 0.05, "a form is nearly flat"
    distance = torch.cdist(x.flatten(1), x.flatten(1)) + 1e3 * torch.eye(forms)
    assert distance.min() > 5, "two forms are alike"


@case
def a_row_is_the_same_in_every_batch():
    rows = some_rows(12)
    x = pool.pictures(rows, 48)
    again = {k: v[[7]] for k, v in rows.items()}
    assert (pool.pictures(again, 48)[0] - x[7]).abs().max() < 1e-4


@case
def seeds_palettes_and_treatments_change_the_picture():
    one = torch.tensor([0])
    first = paint.render(one + 3, one - 1, one, one + words.PLAIN, one + 1, 48, 48)
    for form, palette, treatment, seed in ((3, 0, words.PLAIN, 2), (3, 5, words.PLAIN, 1)) + \
            tuple((3, 0, t, 1) for t in range(words.PLAIN)):
        other = paint.render(one + form, one - 1, one + palette, one + treatment, one + seed, 48, 48)
        assert (other - first).abs().mean() > 0.008, (form, palette, treatment, seed)


@case
def two_forms_share_a_picture():
    one = torch.tensor([0])

    def of(form, second):
        return paint.render(one + form, one + second, one + 7, one + words.PLAIN, one + 4, 64, 64)

    both, first = of(1, 15), of(1, -1)
    same = ((both - first).abs().amax(1) < 0.02).float().mean()
    assert 0.05 < same < 0.95, f"{same:.2f} of the picture is the first form's"


@case
def testing_keeps_combinations_that_training_never_sees():
    train_rows, test_rows = (pool.draw_rows(4000, torch.Generator().manual_seed(9), testing=t) for t in (False, True))

    def combos(rows):
        return set(zip(*(rows[k].tolist() for k in ("form", "palette", "treatment"))))

    assert not combos(train_rows) & combos(test_rows)
    share = pool.SINGLE.float().mean().item()
    assert 0.07 < share < 0.13, share
    for axis in ((1, 2), (0, 2), (0, 1)):  # every word is learnt, and every word is tested
        assert (~pool.SINGLE).float().mean(axis).min() > 0.7 and pool.SINGLE.any(axis[1]).any(axis[0]).all()
    # the scalar rule, which captions use, is the table's
    assert all(words.held_out(f, p, t) == bool(pool.SINGLE[f, p, t]) for f in (0, 9) for p in (2, 5) for t in range(9))


@case
def captions_name_what_is_seen_in_many_ways():
    rng = random.Random(1)
    said = {words.caption(words.FORM_NAMES.index("rings"), words.PALETTE_NAMES.index("gold"), 0, -1, rng)
            for _ in range(300)}
    assert len(said) > 100
    for text in said:
        assert any(words.bare(n) in text for n in words.FORMS["rings"]), text
        assert any(n in text for n in words.PALETTES["gold"]), text


# ------------------------------------------------------------------------------ the words
@case
def ids_are_those_of_the_engines_tokenizer():
    vocabulary = tokenizer.Tokenizer(tokenizer.learn(words.corpus(3000), 900))
    with tempfile.TemporaryDirectory() as folder:
        vocabulary.save(folder)
        texts = words.corpus(200, seed=5) + [
            "", "A Golden SPIRAL!!", "it's 2024, isn't it?", "xyzzy qwrtp", "naïve café ünder Straße",
            "日本語", "emoji 🙂 here", "a_b __c__ d", "tab\there", "don't we'll I'm you've they'd",
            "waves " * 60, "100% #1 (one) [two] {three} <four>", "<|endoftext|> inside"]
        got = run([IDS, folder, vocabulary.length], input="\n".join(texts) + "\n").splitlines()
        assert len(got) == len(texts)
        for text, line in zip(texts, got):
            if text in ("日本語", "<|endoftext|> inside"):  # words cut apart by rules not repeated here
                assert len(line.split()) == vocabulary.length
                continue
            assert [int(i) for i in line.split()] == vocabulary.encode(text), text
        again = tokenizer.Tokenizer.load(folder)
        assert all(again.encode(t) == vocabulary.encode(t) for t in texts)
        used = vocabulary.encode("symmetrical golden spiral")
        assert used.index(vocabulary.end) <= 6, "the words of captions are not whole tokens"


# ------------------------------------------------------------------------------ the engine
def philox_normal(seed, stream, n):
    """The first n of ph_rng_normal (src/nn/rng.h)."""
    blocks = numpy.arange((n + 3) // 4, dtype=numpy.uint64)
    low = numpy.uint64(0xFFFFFFFF)
    c = [blocks & low, blocks >> numpy.uint64(32), blocks * 0 + numpy.uint64(stream & 0xFFFFFFFF),
         blocks * 0 + numpy.uint64(stream >> 32)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        a, b = numpy.uint64(0xD2511F53) * c[0], numpy.uint64(0xCD9E8D57) * c[2]
        c = [(b >> numpy.uint64(32)) ^ c[1] ^ numpy.uint64(k0), b & low,
             (a >> numpy.uint64(32)) ^ c[3] ^ numpy.uint64(k1), a & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    out = numpy.empty((len(blocks), 4))
    for i in (0, 2):
        radius = numpy.sqrt(-2 * numpy.log((c[i] + 0.5) / 2.0 ** 32))
        angle = (c[i + 1] + 0.5) / 2.0 ** 32 * 2 * math.pi
        out[:, i], out[:, i + 1] = radius * numpy.cos(angle), radius * numpy.sin(angle)
    return torch.from_numpy(out.ravel()[:n].astype(numpy.float32))


def written(folder, size="tiny", seed=5):
    vocabulary = tokenizer.Tokenizer(tokenizer.learn(words.corpus(), model.SIZES[size]["vocabulary"]))
    parts = model.build(size, seed)
    with torch.no_grad():  # as loud as a trained one, so that words and every layer count
        for p in parts[1].parameters():
            if p.dim() > 1:
                p.mul_(1.6)
        for name, p in parts[1].named_parameters():
            if "attn2" in name and p.dim() > 1:
                p.mul_(3)
        parts[2].decoder.layers[-1].weight.mul_(6)
        parts[2].decoder.layers[-1].bias.fill_(0.5)
    model.write_folder(folder, *parts, vocabulary, sample_size=8)
    model.read_folder(folder, *parts)  # as f16 left them
    return [p.eval() for p in parts] + [vocabulary]


@case
def the_engine_finds_every_tensor_of_the_shipped_sizes():
    with tempfile.TemporaryDirectory() as folder:
        for size, most in (("small", 8.5e6), ("full", 30e6)):
            text, unet, vae, _ = written(folder, size)
            said = run([PROGRAM, "models", "check", folder])
            assert "3 modules as the configs want them" in said, said
            total = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(folder) for f in files)
            assert total <= most, f"{total} bytes"
        read = tensors.load(os.path.join(folder, "unet", "diffusion_pytorch_model.safetensors"))
        assert all(torch.equal(read[k].float(), v) for k, v in unet.state_dict().items())


@case
def the_engine_paints_what_pytorch_paints():
    with tempfile.TemporaryDirectory() as folder:
        text, unet, vae, vocabulary = written(folder)
        pictures = []
        for prompt, steps, seed in (("golden waves", 1, 2), ("glowing violet rings", 1, 2), ("golden waves", 2, 7)):
            path = os.path.join(folder, "out.png")
            run([PROGRAM, "generate", "-q", "-m", folder, prompt, "-s", "64x48", "--steps", steps, "--seed", seed,
                 "--precision", "f32", "-y", "-o", path])
            got = read_png(path)
            shape = (1, model.SIZES["tiny"]["vae"]["latent"], 6, 8)
            count = shape[1] * 48
            noise = philox_normal(seed, 0, count).view(shape)
            again = [philox_normal(seed, (1 << 16) + i, count).view(shape) for i in range(steps)]
            with torch.no_grad():
                words_ = text(torch.tensor([vocabulary.encode(prompt)]))
                z = model.paint(unet, model.Schedule(), words_, noise, steps, again)
                want = ((vae.decode(z)[0] * 0.5 + 0.5).clamp(0, 1) * 255).permute(1, 2, 0)
            assert want.std() > 5, "a flat picture proves nothing"
            assert (got - want).abs().max() <= 1.5, f"{prompt}, {steps} steps: {(got - want).abs().max()}"
            pictures.append(want)
        assert (pictures[0] - pictures[1]).abs().max() > 4, "the words do not matter"


@case
def depth_is_that_of_the_recorded_reference():
    base = os.path.join(os.environ.get("PH_GOLDEN", ""), "depth", "da2", "A37")
    if not os.path.isdir(base):
        raise Skip("no recorded values")
    net = depth_model.Depth({"channels": 48, "layers": 12, "heads": 3, "taps": [3, 6, 9, 12], "grid": 37,
                             "stages": [12, 24, 48, 96], "features": 16, "mid": 32})
    net.load_state_dict(tensors.load(os.path.join(base, "hf", "model.safetensors")))
    want = tensors.load(os.path.join(base, "case_98x126.safetensors"))
    with torch.no_grad():
        got = net.predict(want["x"].view(1, 3, 98, 126))[0]
    assert (got - want["depth.hf"].view_as(got)).abs().max() < 2e-4


@case
def the_engine_finds_every_tensor_of_the_depth_model_which_is_small():
    with tempfile.TemporaryDirectory() as folder:
        for size in ("full", "small"):
            depth_model.write_folder(folder, depth_model.Depth(size))
            said = run([PROGRAM, "models", "check", folder])
            assert "1 module as the configs want them" in said, said
            assert os.path.getsize(os.path.join(folder, "model.safetensors")) <= 6e6


@case
def a_depth_model_learns_metres_and_keeps_them_in_its_folder():
    torch.manual_seed(3)
    net = depth_model.Depth("tiny")
    x, z = scene.render(range(8), 56, 84)
    optimizer = stages.adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = depth_stage.loss_of(net.log_metres(x), z, 20)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0], f"nothing is learnt: {losses[0]:.3f}, {losses[-1]:.3f}"
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        depth_model.write_folder(folder, net)
        again = depth_model.read_folder(folder)
        metres = net(x)
        assert torch.allclose(metres.log(), net.log_metres(x), atol=1e-4), "two formulas for one depth"
        assert torch.allclose(metres, again(x), rtol=0.02), "the folder holds another model"
        assert 0 < metres.min() and metres.max() <= 20


@case
def random_scenes_differ_and_stay_what_they_are():
    x, z = scene.draw(range(40), 56, 84)
    again, z_again = scene.draw(range(39, -1, -1), 56, 84)
    assert torch.equal(x, again.flip(0)) and torch.equal(z, z_again.flip(0)), "a seed does not settle it"
    assert (x.float().mean((1, 2)).std(0) > 15).all(), "all have one colour"
    assert (x[:, ::8, ::8].float().std((1, 2)) > 2).any(1).all(), "a scene is empty"
    near = z.clamp(max=20)
    assert near.min() > 0.2 and torch.isfinite(z).all()
    assert near.amin((1, 2)).std() > 0.5 and (z < 20).float().mean((1, 2)).max() == 1, "no rooms"


@case
def random_scenes_are_of_the_kind_of_the_source():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "scene.png")
        run([PROGRAM, "run", "-q", "-n", "1", "--offline", "scene 224x168 orbit=0 spin=0 smooth=off -> image " + path])
        want = read_png(path)
    got, depth = scene.render(torch.tensor([1]), 168, 224, exact=True)
    off = (got[0].permute(1, 2, 0) * 255 - want).abs()
    assert off.mean() < 2.5, f"mean difference {off.mean():.2f}"
    assert (off.amax(2) > 24).float().mean() < 0.02, "things are elsewhere"
    solid = torch.isfinite(depth)
    assert 0.5 < solid.float().mean() < 0.8 and depth[solid].min() > 2
    others, _ = scene.render(torch.arange(3), 56, 84)
    assert (others[0] - others[1]).abs().mean() > 0.02


# ------------------------------------------------------------------------------ training
@case
def every_stage_runs_and_the_result_loads():
    with tempfile.TemporaryDirectory() as folder:
        stages_ = ("features", "judge", "autoencoder", "text", "reader", "onestep", "unet", "distill", "depth")
        said = train(folder, *stages_, "export")
        for stage in stages_:
            assert f"{stage}: 2 steps on cpu" in said, said
            with open(os.path.join(folder, "state", stage + ".csv"), encoding="utf-8") as log:
                assert len(log.read().splitlines()) >= 2
        assert "3 modules" in run([PROGRAM, "models", "check", os.path.join(folder, "model")])
        assert "1 module" in run([PROGRAM, "models", "check", os.path.join(folder, "model-depth")])
        picture = os.path.join(folder, "x.png")
        run([PROGRAM, "generate", "-q", "-m", os.path.join(folder, "model"), "fire waves", "-s", "64x64",
             "--steps", "1", "-o", picture])
        assert read_png(picture).shape == (64, 64, 3)
        report = os.path.join(folder, "quality.md")
        run([sys.executable, os.path.join(TOOLS, "quality.py"), "--size", "tiny", "--device", "cpu",
             "--results", os.path.join(folder, "results"), "--count", "24", "--write", report])
        with open(report, encoding="utf-8") as f:
            text = f.read()
        run([sys.executable, os.path.join(TOOLS, "quality_depth.py"), "--model", os.path.join(folder, "model-depth"),
             "--count", "4", "--write", report, "--pictures", folder, "--photos", picture])
        for sheet in ("depth.jpg", "photos.jpg"):
            assert os.path.getsize(os.path.join(folder, sheet)) > 1000
        for word in ("Form", "Palette", "unseen", "Fréchet", "diversity", "PSNR", "edge", "walk", "AbsRel", "δ1"):
            assert word in text, word + " is not in the table"


@case
def the_three_commands_for_a_gpu_hand_on_what_they_made():
    with tempfile.TemporaryDirectory() as folder:
        results, gpu = os.path.join(folder, "results"), os.path.join(TOOLS, "gpu.sh")
        path = os.path.dirname(sys.executable) + ":" + os.environ.get("PATH", "")
        for call, made in (("1", {"features", "judge", "autoencoder", "text", "depth"}), ("2", {"unet", "text"}),
                           ("3", {"student", "quality.md"})):
            # a machine that forgets: nothing stays but what is handed on
            out, state = (os.path.join(folder, name + call) for name in ("out", "state"))
            said = run([gpu, call, results, out],
                       env=dict(os.environ, PATH=path, SPARK_TINY="1", SPARK_STATE=state, CUDA_VISIBLE_DEVICES=""))
            got = {name.split(".0.")[0] for name in os.listdir(out)}
            assert got == made | {f"logs-{call}.tar.gz"}, (got, said)


@case
def a_stage_goes_on_where_it_stopped_and_learns_the_same():
    with tempfile.TemporaryDirectory() as folder:
        train(folder, "text", steps=2)
        said = train(folder, "text", steps=4)
        assert "goes on at step 2" in said and "step 4" in said, said
        results = []
        for name in ("a", "b"):
            train(os.path.join(folder, name), "text", steps=3)
            results.append(tensors.load(os.path.join(folder, name, "results", "text.0.safetensors")))
        assert all(torch.equal(results[0][k], results[1][k]) for k in results[0]), "a seed does not settle it"


@case
def the_networks_learn():
    with tempfile.TemporaryDirectory() as folder:
        train(folder, "text", steps=250)
        with open(os.path.join(folder, "state", "text.csv"), encoding="utf-8") as log:
            last = float(log.read().splitlines()[-1].split(",")[2])
        assert last < 6.0, f"captions are not understood: loss {last}, at first about 7"


@case
def a_classifier_learns_what_it_sees():
    # Few pictures many times: a rate at which nothing moves, or all of it, shows here.
    rows = pool.draw_rows(64, torch.Generator().manual_seed(1), pairs=0)
    x = pool.pictures(rows, 32)
    torch.manual_seed(0)
    net = judge.Judge("features", 0.5)
    optimizer = stages.adam(net.parameters(), stages.CLASSIFIER_RATE, 0.02)
    for _ in range(60):
        loss = judge.loss(net(x), rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    form, palette, _ = judge.right(net(x), rows)
    assert form.float().mean() > 0.8 and palette.float().mean() > 0.8, (loss.item(), form.float().mean())


@case
def redressed_pictures_keep_their_shapes_and_are_of_the_training_side():
    generator = torch.Generator().manual_seed(4)
    rows = pool.draw_rows(24, generator)
    for on, x in pool.variants(rows, 48, "cpu", generator):
        assert torch.equal(on["form"], rows["form"]) and torch.equal(on["seed"], rows["seed"])
        assert not pool.SINGLE[on["form"], on["palette"], on["treatment"]].any()
        assert torch.equal(x, pool.pictures(on, 48)), "the row does not say what is painted"
    assert not torch.equal(on["palette"], rows["palette"])


@case
def the_energy_score_is_least_where_samples_are_as_the_real_ones():
    # Vectors of four numbers around the caption's own mean: too narrow, as the real ones, too wide,
    # beside them.
    torch.manual_seed(3)
    mean = torch.randn(4000, 1, 4)

    def score(wide, off=0.0):
        a, b, x = (mean + torch.randn_like(mean) * w + o for w, o in ((wide, off), (wide, off), (1.0, 0.0)))
        return (onestep.length(a, x) + onestep.length(b, x) - onestep.length(a, b)).item()

    right = score(1.0)
    assert all(right < other for other in (score(0.2), score(3.0), score(1.0, 1.0)))


@case
def a_wrong_stage_or_a_missing_result_is_named():
    for words_, why in ((["unett"], "there is no stage unett"), (["unet=x"], "minutes are a number"),
                        (["distill"], "run `train.py")):
        with tempfile.TemporaryDirectory() as folder:
            try:
                train(folder, *words_)
            except AssertionError as said:
                assert why in str(said), said
            else:
                raise AssertionError(f"{words_} was taken")


def main():
    missing = None
    try:
        import numpy, torch  # noqa: E401
        from PIL import Image
    except ImportError as problem:
        missing = problem.name or str(problem)
    if missing and sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3"] + sys.argv)  # Debian's own has Debian's packages
    if not missing:
        import importlib
        globals().update(numpy=numpy, torch=torch, Image=Image)
        torch.set_num_threads(2)
        for name in ("words", "tokenizer", "model", "tensors", "pool", "paint", "scene", "depth_model", "judge", "stages",
                     "depth_stage", "onestep"):
            globals()[name] = importlib.import_module(name)
    wanted = [c for c in CASES if len(sys.argv) < 2 or c.__name__ in sys.argv[1:]]
    print(f"1..{len(wanted)}", flush=True)
    failed = 0
    for i, c in enumerate(wanted):
        line = f"{i + 1} - {c.__name__}"
        if missing:
            print(f"ok {line} # SKIP no {missing}: tools/setup.sh train", flush=True)
            continue
        try:
            c()
            print(f"ok {line}", flush=True)
        except Skip as why:
            print(f"ok {line} # SKIP {why}", flush=True)
        except Exception:
            failed += 1
            for text in traceback.format_exc().splitlines():
                print("# " + text)
            print(f"not ok {line}", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
