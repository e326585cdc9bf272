#!/usr/bin/env python3
"""Shows that the simulation finds the bugs that it is there for: `make simulate-planted`.

bugs.patch puts bugs into a copy of the sources, each behind a name. The copy's tests are built once; then the simulation plays up to SEEDS seeds with one
bug after the other in force, and must fail with the words that stand here. Without any it must pass. The sources themselves never hold such a thing.

    plant.py SWIFT [NAME...]    SEEDS=20: how many seeds each bug is given
"""

import filecmp
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / ".build-planted"
COPIED = ["Package.swift", "Package.resolved", "Sources", "Tests", "benchmarks", "bpf", ".output"]
SEEDS = int(os.environ.get("SEEDS", "20"))

# What each bug breaks, in the words of the ledger.
BUGS = {
    "intent-left-out": "without an intent on record",
    "lane-left-early": "two deeds at once on|two intents at once on",
    "budget-released-early": "one more act than|one more target than",
    "approval-after-expiry": "counted after its time|is begun after its time",
    "quorum-of-one": r"\d of \d said yes",
    "guard-skipped-after-approval": "which is guarded since|which a guard keeps",
    "undo-forgotten-on-restart": "was to be taken back at",
    "undo-before-its-time": "is taken back before its time",
    "doubt-forgotten": "nothing will take it back|still .* and nothing",
    "hanging-forgotten": "nothing will take it back",
    "state-ahead-of-journal": "the engine's state is not what its journal gives",
    "live-mode-ignored": "the agent only observes since",
    "pardon-ignored": "which a person let go",
    "shed-uncounted": "were turned away, and",
    "observed-budget-forgotten": "observing, .* came to",
}


def copy(source, target):
    """Only what differs, so that what has not changed is not built again."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        names = {entry.name for entry in source.iterdir()}
        for entry in target.iterdir():
            if entry.name not in names:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for name in names:
            copy(source / name, target / name)
    elif not target.exists() or not filecmp.cmp(source, target, shallow=False):
        shutil.copy2(source, target)


def copy_tree():
    """The working tree as it is, with the bugs in it."""
    COPY.mkdir(exist_ok=True)
    for name in COPIED:
        if (ROOT / name).exists():
            copy(ROOT / name, COPY / name)
    patch = pathlib.Path(__file__).with_name("bugs.patch")
    if subprocess.run(["git", "apply", f"{patch}"], cwd=COPY, env={**os.environ, "GIT_CEILING_DIRECTORIES": f"{ROOT}"}).returncode:
        sys.exit(f"{patch} does not fit the sources any more: plant its bugs anew, and make the patch of them")


def simulate(swift, bug, seeds):
    """The output of the simulation with a bug in force, and whether it passed."""
    environment = {**os.environ, "RIPOSTE_PLANTED": bug or "", "RIPOSTE_SIMULATION_STEPS": f"{seeds * 1000}", "RIPOSTE_SIMULATION_LINES": "1"}
    command = [swift, "test", "--skip-build", "--no-parallel", "--filter", "SimulationTests/holds"]
    done = subprocess.run(command, cwd=COPY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout, done.returncode == 0


def main():
    swift, names = sys.argv[1], sys.argv[2:] or list(BUGS)
    copy_tree()
    subprocess.run([swift, "build", "--build-tests"], cwd=COPY, check=True)
    output, passed = simulate(swift, None, 2)
    if not passed:
        sys.exit(f"the simulation fails without a planted bug:\n{output[-4000:]}")
    missed = []
    for name in names:
        # Few seeds first: most bugs need no more.
        for seeds in sorted({min(4, SEEDS), SEEDS}):
            output, _ = simulate(swift, name, seeds)
            found = [(int(seed), step, text) for seed, step, text in re.findall(r"seed (\d+), step (\d+): (.*)", output) if re.search(BUGS[name], text)]
            if found:
                break
        if found:
            seed, step, text = min(found)
            print(f"{name}: found by {len(found)} of {seeds} seeds; seed {seed}, step {step}: {text[:120]}", flush=True)
        else:
            missed.append(name)
            print(f"{name}: NOT FOUND within {seeds} seeds", flush=True)
    sys.exit(1 if missed else 0)


main()
