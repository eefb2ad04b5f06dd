"""Stop commands at many moments, by Ctrl-C and SIGTERM: one line, the exit code, no process left, and the same command goes on.

    python benchmarks/interrupts.py [--seconds 9] [--step 0.5] [--only extract-ray,train-ray] [--finish]

Prints one line for each command and signal, and one for each stop that went otherwise; exit status 1 if there is one. Every
second stop goes to the whole process group, as that of a terminal does. ``--finish`` runs each command to its end at last.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

from interrupted import STOP_CODES, STOP_LINE, Ended, end_of, started, stopped  # noqa: E402
from task_cases import BINARY  # noqa: E402

EXTRACT = {
    "preprocess": {"steps": [{"op": "percentile"}]},
    "features": {"families": [{"family": "radiomics", "bin_width": 0.02}]},
    "output": "",
}
NETWORK = "{{cnn: {{family: cnn, input: image, params: {{epochs: {epochs}, width: 16}}, scaling: {{{scaling}}}}}}}"


def commands(root: Path) -> dict[str, list[str]]:
    """Name → command on the archive under ``root``; ``{out}`` stands for where its results go."""
    catalog = f"catalog={root / 'catalog'}"
    images, labels = str(root / "archive" / "images"), str(root / "archive" / "labels.csv")
    extract = ["extract", "--config", str(root / "extract.yaml"), "--json", "--set", catalog, "--set", "output={out}"]
    train = ["train", str(root / "train.yaml"), "--json", "--set", catalog, "--set", "output={out}"]
    alone = ["--set", "models=" + NETWORK.format(epochs=40, scaling="threads: 1")]
    spread = ["--set", "models=" + NETWORK.format(epochs=40, scaling="workers: 2, threads: 1")]
    tune = ["tune", "--config", str(root / "train.yaml"), "--set", catalog, "--set", "output={out}", "--model", "cnn"]
    ray, local = ["--executor", "ray"], ["--executor", "local"]
    return {
        "synthesise-local": ["synthesise", "{out}", "--set", "patients=6000", *local],
        "synthesise-ray": ["synthesise", "{out}", "--set", "patients=6000", *ray],
        "ingest": ["ingest", images, "--catalog", "{out}/catalog", "--labels", labels],
        "extract-local": [*extract, *local],
        "extract-ray": [*extract, *ray],
        "train-local": [*train, *alone, *local],
        "train-ray": [*train, *alone, *ray],
        "train-workers": [*train, *spread, *ray],
        "tune": tune,
        "demo": ["demo", "--folder", "{out}"],
    }


def prepare(root: Path) -> None:
    """An archive with its catalog, and the configurations."""
    medray, archive = str(Path(sys.executable).parent / "medray"), str(root / "archive")
    shape = [word for setting in ("patients=120", "rows=64", "columns=64") for word in ("--set", setting)]
    ingest = ["ingest", f"{archive}/images", "--catalog", str(root / "catalog"), "--labels", f"{archive}/labels.csv"]
    for words in (["synthesise", archive, *shape], ingest):
        subprocess.run([medray, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (root / "extract.yaml").write_text(yaml.safe_dump(EXTRACT))
    (root / "train.yaml").write_text(BINARY)


def strike(words: list[str], number: signal.Signals, after_s: float, whole_group: bool, root: Path) -> Ended | None:
    """Start a command and stop it after so long; None where it was done before."""
    with started(words, root / "stderr") as run:
        time.sleep(after_s)
        return None if run.process.poll() is not None else stopped(run, number, whole_group)


def faults_of(ended: Ended, number: signal.Signals) -> list[str]:
    """What is not as promised."""
    found = {
        f"exit {ended.code}": ended.code != STOP_CODES[number],
        f"said {ended.lines}": ended.lines != [STOP_LINE],
        f"left {ended.left}": bool(ended.left),
        f"took {ended.seconds:.1f} s": ended.seconds > 10,
    }
    return [fault for fault, there in found.items() if there]


def sweep(name: str, words: list[str], number: signal.Signals, moments: list[float], root: Path) -> int:
    """Stop a command at every moment, always with the same output; returns how many went wrong."""
    struck, wrong, slowest = 0, 0, 0.0
    for turn, after_s in enumerate(moments):
        ended = strike(words, number, after_s, bool(turn % 2), root)
        if ended is None:
            break
        struck, slowest = struck + 1, max(slowest, ended.seconds)
        if faults := faults_of(ended, number):
            wrong += 1
            print(f"  {name} {number.name} after {after_s:.2f} s: {'; '.join(faults)}", flush=True)
    print(f"{name} {number.name}: {struck} stops, {wrong} otherwise than promised, slowest {slowest:.2f} s", flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=9.0)
    parser.add_argument("--first", type=float, default=0.25)
    parser.add_argument("--step", type=float, default=0.5)
    parser.add_argument("--only", default="")
    parser.add_argument("--finish", action="store_true")
    given = parser.parse_args()
    moments = [given.first + given.step * turn for turn in range(int((given.seconds - given.first) / given.step) + 1)]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="medray-interrupts-") as folder:
        root = Path(folder)
        prepare(root)
        chosen = {name: words for name, words in commands(root).items() if not given.only or name in given.only.split(",")}
        for name, words in chosen.items():
            words = [word.replace("{out}", str(root / name)) for word in words]
            wrong += sum(sweep(name, words, number, moments, root) for number in STOP_CODES)
            if given.finish:
                with started(words, root / "stderr") as run:
                    ended = end_of(run, 600)
                print(f"{name}: at last exit {ended.code}", *(ended.lines if ended.code else ()), flush=True)
                wrong += ended.code != 0
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
