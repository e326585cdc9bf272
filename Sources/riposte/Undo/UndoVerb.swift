internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct Undo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes actions back, and lists what is in force.",
        discussion: """
            Of several selectors all must hold. The newest is taken back first, each on a record of its own. What was released by hand is left alone by \
            playbooks for an hour (see `riposte pardon`).

            Examples:
              riposte undo --list
              riposte undo 01KAS2V3TB4Y5MWR7H3ZQ0E8CN --reason "false alarm"
              riposte undo --playbook cut-miner --since 1h --dry-run
            """)

    @OptionGroup var action: ActionOptions

    @Argument(help: "Actions' ids: they are in the results and in the journal.")
    var ids: [Identifier] = []

    @Option(name: .long, help: "What was done about an incident.")
    var incident: Identifier?

    @Option(name: .long, help: "What a playbook did.")
    var playbook: String?

    @Option(name: .long, help: "What was done about an alert.")
    var alert: Identifier?

    @Option(name: .long, help: "What was done to a target: a container's id or name, a pid, a pod, an address, or host.")
    var target: String?

    @Option(name: .long, help: "What was done no longer ago than this, such as 1h.")
    var since: Duration?

    @Flag(name: .long, help: "Everything that is in force.")
    var all = false

    @Flag(name: .long, help: "Show what is in force and until when, and touch nothing.")
    var list = false

    @Flag(name: [.short, .long], help: "Ask nothing.")
    var yes = false

    func validate() throws {
        if selection.isEmpty, !list { throw ValidationError("what is to be taken back? Name ids, --incident, --playbook, --alert, --target, --since, or --all") }
    }

    private var selection: UndoSelection {
        var selection = UndoSelection()
        (selection.actions, selection.incident, selection.playbook, selection.alert) = (ids, incident, playbook, alert)
        (selection.target, selection.within, selection.isAll) = (target, since, all)
        return selection
    }

    func run() async throws {
        try action.refuseAsk("undo")
        guard !list else { return try await action.common.withQuestionDesk(show) }
        try await action.withDesk { desk, _ in try await takeBack(desk) }
    }

    private func show(_ desk: any QuestionDesk) async throws -> Int32 {
        var selection = selection
        if selection.isEmpty { selection.isAll = true }
        let found = try await desk.inForce(selection)
        if action.common.json {
            for undo in found { print(undo.json.line) }
        } else {
            print(found.isEmpty ? "nothing is in force" : InForceText.table(found, now: .now()))
        }
        return 0
    }

    /// What is shown is what is taken back: those ids, and nothing that came in between.
    private func takeBack(_ desk: any Desk) async throws -> Int32 {
        var selection = selection
        let found = try await desk.inForce(selection)
        if ids.isEmpty || selection != Self.named(ids) {
            guard !found.isEmpty else {
                Terminal.complain("nothing that is in force is meant by this; see riposte undo --list")
                return 4
            }
            selection = Self.named(found.map(\.action))
        }
        if found.count > 1, !action.dryRun {
            if !action.common.json { Terminal.complainPlainly(InForceText.table(found, now: .now())) }
            guard try yes || !Terminal.isInteractive || Terminal.confirms("Take back these \(found.count)?") else {
                Terminal.complain("nothing was taken back")
                return 3
            }
        }
        let results = try await desk.undo(UndoCommand(selection, isDryRun: action.dryRun, reason: action.reason, isForced: action.force))
        results.forEach(action.report)
        await remarkOnPardons(desk, results)
        return results.map(\.outcome).exitStatus
    }

    private static func named(_ ids: [Identifier]) -> UndoSelection {
        var selection = UndoSelection()
        selection.actions = ids
        return selection
    }

    private func remarkOnPardons(_ desk: any Desk, _ results: [ActionResult]) async {
        let released = Set(results.filter { $0.outcome == .undone }.compactMap { $0.target?.key })
        guard !released.isEmpty, let pardons = try? await desk.pardons() else { return }
        for pardon in pardons where released.contains(pardon.target.key) {
            Terminal.remark(
                "playbooks leave \(pardon.target.summary) alone until \(pardon.until.clockText); to lift that: riposte pardon lift \(pardon.target.reference.escapedForDisplay)")
        }
    }
}

/// What is in force, for people.
enum InForceText {
    static func table(_ undos: [EngineState.OpenUndo], now: Timestamp) -> String {
        Terminal.table(
            ["ID", "ACTION", "TARGET", "SINCE", "ENDS", "BY"],
            undos.map { undo in
                [
                    "\(undo.action)", undo.actionName.rawValue.escapedForDisplay, undo.target.summary, "\(undo.since.clockText) (\(age(now - undo.since)))", end(undo, now),
                    undo.playbook.map { "playbook \($0.escapedForDisplay)" } ?? undo.actor.map { $0.name.escapedForDisplay } ?? "-",
                ]
            })
    }

    private static func end(_ undo: EngineState.OpenUndo, _ now: Timestamp) -> String {
        if let refusal = undo.refusal { return "by hand (\(String(refusal.prefix(80)).escapedForDisplay))" }
        guard let due = undo.due else { return "by hand" }
        return due <= now ? "now" : "in \(age(due - now))"
    }

    private static func age(_ duration: Duration) -> String { Duration.seconds(max(0, duration.components.seconds)).text }
}

extension Terminal {
    /// Somebody sits there who can answer.
    static let isInteractive = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1

    static func confirms(_ question: String) throws -> Bool {
        try? FileHandle.standardError.write(contentsOf: Data("\(question) [y/N] ".utf8))
        guard let answer = readLine()?.lowercased() else { return false }
        return answer == "y" || answer == "yes"
    }
}
