#!/usr/bin/env python3
"""Shows that the simulation finds the bugs that it is there for: `make simulate-planted`.

Bugs are put into a copy of the sources, each behind its name. The copy's tests are built once; then the simulation plays up to SEEDS seeds with one bug after
the other in force, and must fail with the words that stand here. Without any it must pass. The sources themselves never hold such a thing.

    plant.py SWIFT [NAME...]    SEEDS=20: how many seeds each bug is given
    plant.py --check            whether what the bugs change still stands in the sources
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



class Bug:
    """`words`: what the ledger says of it, as a pattern. `edits`: files below the engine's folder, what stands there once, and what is put in its place; in that,
    THERE is what stood there, and IN the question whether the bug is in force."""

    def __init__(self, words, *edits):
        self.words, self.edits = words, edits


ENGINE = "Sources/RipostePlaybooks"
BUGS = {
    "intent-left-out": Bug(
        "without an intent on record",
        ("Engine/Engine+Orders.swift", "        do { try record(draft.intentRecord(of: plan)) } catch {", "        if IN, plan.action == \"container.pause\" { return }\nTHERE"),
    ),
    "lane-left-early": Bug(
        "two deeds at once on|two intents at once on",
        ("Engine/Engine+Orders.swift", "            try await carryOut(plan, by: action, &draft)\n        } catch", "            if takesTurn, IN { lanes.leave(key) }\nTHERE"),
        ("Engine/Engine+Orders.swift", "if takesTurn, !draft.isHanging {", "if takesTurn, !draft.isHanging, !IN {"),
    ),
    "budget-released-early": Bug(
        "one more act than|one more target than",
        ("Engine/Engine+Orders.swift", "        try announce(plan, &draft)\n", "THERE        if IN { releaseBudget(for: draft) }\n"),
    ),
    "approval-after-expiry": Bug(
        "counted after its time|is begun after its time",
        ("Approvals/ApprovalRequest.swift", "guard now < deadline else { return .expire }", "guard now < deadline || IN else { return .expire }"),
        ("Approvals/ApprovalRequest.swift", "        return now >= deadline\n", "        return now >= (IN ? deadline + .seconds(60) : deadline)\n"),
        ("Engine/Engine+Approvals.swift", "if let until = consent.until, time", "if let until = consent.until, !IN, time"),
    ),
    "share-forgotten": Bug(
        "is begun beside the share",
        ("Engine/OutcomeDraft.swift", "isBesideShare = share.beside < .enforce", "isBesideShare = !IN && share.beside < .enforce"),
    ),
    "quorum-of-one": Bug(
        r"\d of \d said yes",
        ("Approvals/ApprovalRequest.swift", "let missing = terms.quorum - voices.count - 1", "let missing = IN ? 0 : terms.quorum - voices.count - 1"),
    ),
    "guard-skipped-after-approval": Bug(
        "which is guarded since|which a guard keeps",
        ("Engine/Engine+Orders.swift", "let ruling = try await askGuards(about: plan, for: draft.order)",
         "let ruling = IN && draft.order.consent != nil ? GuardRuling() : try await askGuards(about: plan, for: draft.order)"),
    ),
    "undo-forgotten-on-restart": Bug(
        "was to be taken back at",
        ("Engine/Engine.swift", "for id in state.openUndos.keys { arm(id, now: now, uptime: uptime) }", "if !IN { THERE }"),
    ),
    "undo-before-its-time": Bug(
        "is taken back before its time",
        ("Undo/Engine+Undo.swift", "min(due, Engine.time(now, in: self.uptime - uptime))", "THERE + (IN ? .seconds(-30) : .zero)"),
    ),
    "doubt-forgotten": Bug(
        "nothing will take it back",
        ("Engine/Engine+Aftermath.swift", "guard failure.failure?.leavesDoubt == true || draft.isInDoubt else", "guard !IN, failure.failure?.leavesDoubt == true || draft.isInDoubt else"),
    ),
    "hanging-forgotten": Bug(
        "nothing will take it back",
        ("Engine/EngineState.swift", "} else if record.detail[\"hanging\"]?.bool == true, outcome == .failed {", "} else if !IN, record.detail[\"hanging\"]?.bool == true, outcome == .failed {"),
    ),
    "state-ahead-of-journal": Bug(
        "the engine's state is not what its journal gives",
        ("Engine/Engine.swift", "        try log.append(record)\n", "        if IN { state.withLock { $0.state.apply(record) } }\nTHERE"),
        ("Engine/Engine.swift", "            interior.state.apply(record)\n            for id", "            if !IN { interior.state.apply(record) }\n            for id"),
    ),
    "live-mode-ignored": Bug(
        "the agent only observes since",
        ("Engine/Engine+Modes.swift", "guard !configuration.isByHand, let setting", "guard !configuration.isByHand, !IN, let setting"),
    ),
    "pardon-ignored": Bug(
        "which a person let go",
        ("Undo/Engine+Pardons.swift", "guard order.actor.kind == .playbook, order.undoes == nil,", "guard !IN, order.actor.kind == .playbook, order.undoes == nil,"),
    ),
    "shed-uncounted": Bug(
        "were turned away, and",
        ("Engine/Engine+Alerts.swift", "                interior.counters.shed += 1\n", "                if !IN { interior.counters.shed += 1 }\n"),
    ),
    "observed-budget-forgotten": Bug(
        "observing, .* came to",
        ("Engine/Engine+Budgets.swift", "            if let breaker = interior.breaker(among: names) { return breaker.words }\n", "            if IN { return nil }\nTHERE"),
    ),
}


def edited(root):
    """The text of each file that is changed, with all bugs in it."""
    texts = {}
    for name, bug in BUGS.items():
        for file, there, instead in bug.edits:
            text = texts.get(file) or (root / ENGINE / file).read_text()
            if text.count(there) != 1:
                sys.exit(f"{name} does not fit {file} any more, where \"{there.strip()}\" must stand once: plant it anew in {__file__}")
            instead = re.sub(r"\bIN\b", f"Planted.isIn(\"{name}\")", instead.replace("THERE", there))
            texts[file] = text.replace(there, instead)
    return texts


def plant():
    for file, text in edited(COPY).items():
        (COPY / ENGINE / file).write_text(text)
    (COPY / ENGINE / "Engine" / "Planted.swift").write_text(
        """internal import Glibc

/// The bug that is in force.
enum Planted {
    private static let name = getenv("RIPOSTE_PLANTED").map { String(cString: $0) } ?? ""

    static func isIn(_ bug: String) -> Bool { bug == name }
}
"""
    )


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
    plant()


def simulate(swift, bug, seeds):
    """The output of the simulation with a bug in force, and whether it passed."""
    environment = {**os.environ, "RIPOSTE_PLANTED": bug or "", "RIPOSTE_SIMULATION_STEPS": f"{seeds * 1000}", "RIPOSTE_SIMULATION_LINES": "1"}
    command = [swift, "test", "--skip-build", "--no-parallel", "--filter", "SimulationTests/holds"]
    done = subprocess.run(command, cwd=COPY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout, done.returncode == 0


def main():
    if sys.argv[1:] == ["--check"]:
        edited(ROOT)
        return
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
            found = [(int(seed), step, text) for seed, step, text in re.findall(r"seed (\d+), step (\d+): (.*)", output) if re.search(BUGS[name].words, text)]
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
