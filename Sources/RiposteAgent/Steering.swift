package import RiposteCore
package import RipostePlaybooks

/// What a person wants of modes and roll-outs.
package struct SteeringCommand: Sendable, Equatable {
    package enum Wish: Sendable, Equatable {
        case setMode(Mode, ModeTable.Scope, lasting: Duration?)
        case clearMode(ModeTable.Scope)
        /// A playbook goes on to the next stage of its roll-out.
        case promote(String)
        /// A verdict on an alert that was answered.
        case mark(Identifier, Engine.Verdict)
    }

    package var wish: Wish
    package var isDryRun: Bool
    package var reason: String?

    package init(_ wish: Wish, isDryRun: Bool = false, reason: String? = nil) {
        self.wish = wish
        self.isDryRun = isDryRun
        self.reason = reason
    }
}

/// What became of it.
package struct SteeringResult: Sendable, Equatable {
    /// `done`, `planned`, `refused`, or `pending`: it waits for a second person.
    package var outcome: Outcome
    package var message: String
    /// For a change of modes: what it has come to, which may be more careful than what was set. Nil where nothing of this name is in force.
    package var inEffect: Mode?

    package var json: JSON {
        var object: JSONObject = ["outcome": .text(outcome.rawValue), "message": .text(message)]
        object.append("in_effect", inEffect.map { .text($0.rawValue) })
        return .object(object)
    }

    init?(json: JSON) {
        guard let outcome = json["outcome"]?.string?.valid.flatMap(Outcome.init(rawValue:)), let message = json["message"]?.string?.repaired else { return nil }
        self.init(outcome, message, inEffect: json["in_effect"]?.string?.valid.flatMap(Mode.init(rawValue:)))
    }

    init(_ outcome: Outcome, _ message: String, inEffect: Mode? = nil) {
        self.outcome = outcome
        self.message = message
        self.inEffect = inEffect
    }
}

extension LocalDesk {
    package func steer(_ command: SteeringCommand) async throws(DeskError) -> SteeringResult {
        if let name = unknownSource(command.wish) {
            let near = nearMiss(to: name, among: Match.intakeNames).map { "; did you mean \"\($0)\"?" } ?? ""
            throw DeskError(.notFound, "there is no source \"\(name.escapedForDisplay)\"\(near)")
        }
        // A wish is refused for the same reasons on a dry run, which goes as far as the record.
        do throws(Engine.Objection) {
            var result = try carryOut(command)
            if command.isDryRun { result.outcome = .planned } else { result.message += house.kernelProblem.map { "; \($0.escapedForDisplay)" } ?? "" }
            return result
        } catch {
            guard !error.isOfUnknown else { throw DeskError(.notFound, error.message) }
            return SteeringResult(error.proposal == nil ? .refused : .pending, error.message)
        }
    }

    /// One that is named and is not there. A mode that was set for it when it was can be cleared.
    private func unknownSource(_ wish: SteeringCommand.Wish) -> String? {
        switch wish {
        case .setMode(_, .source(let name), _): Match.intakeNames.contains(name) ? nil : name
        case .clearMode(.source(let name)): Match.intakeNames.contains(name) || house.engine.snapshot.modes.settings[.source(name)] != nil ? nil : name
        case .setMode, .clearMode, .promote, .mark: nil
        }
    }

    package func modes() async throws(DeskError) -> JSON { house.engine.modesInForce }

    private func carryOut(_ command: SteeringCommand) throws(Engine.Objection) -> SteeringResult {
        let engine = house.engine
        let (isDryRun, reason) = (command.isDryRun, command.reason)
        switch command.wish {
        case .setMode(let mode, let scope, let length):
            let verdict = try engine.setMode(mode, for: scope, lasting: length, actor: actor, reason: reason, isDryRun: isDryRun)
            let set = "the mode of \(scope.summary.escapedForDisplay) is \(mode.rawValue)" + (length.map { " for \($0.text)" } ?? "")
            // Said where it is not what was asked for: whoever let a playbook act must not think that it does.
            return SteeringResult(.done, set + (verdict?.mode == mode ? "" : Self.effect(verdict)), inEffect: verdict?.mode)
        case .clearMode(let scope):
            let verdict = try engine.clearMode(for: scope, actor: actor, reason: reason, isDryRun: isDryRun)
            return SteeringResult(.done, "no mode is set for \(scope.summary.escapedForDisplay) any more\(Self.effect(verdict))", inEffect: verdict?.mode)
        case .promote(let playbook):
            return SteeringResult(.done, "playbook \(playbook) goes on to \(try engine.promote(playbook, actor: actor, reason: reason, isDryRun: isDryRun))")
        case .mark(let alert, let verdict):
            let names = try engine.mark(alert, as: verdict, actor: actor, reason: reason, isDryRun: isDryRun)
            return SteeringResult(.done, "the alert is \(verdict.rawValue), for \(names.joined(separator: ", "))")
        }
    }

    private static func effect(_ verdict: ModeVerdict?) -> String {
        guard let verdict else { return "" }
        return "; in effect is \(verdict.mode.rawValue)" + (verdict.because.map { ", because \($0.escapedForDisplay)" } ?? "")
    }
}

// MARK: - On the control socket

extension SteeringCommand {
    var json: JSON {
        var object: JSONObject
        switch wish {
        case .setMode(let mode, let scope, let length):
            object = ["wish": "set_mode", "mode": .text(mode.rawValue)]
            object.members += scope.json.members
            object.append("lasting", length.map { .text($0.text) })
        case .clearMode(let scope):
            object = ["wish": "clear_mode"]
            object.members += scope.json.members
        case .promote(let playbook): object = ["wish": "promote", "playbook": .text(playbook)]
        case .mark(let alert, let verdict): object = ["wish": "mark", "alert": .text("\(alert)"), "verdict": .text(verdict.rawValue)]
        }
        object.append("dry_run", .bool(isDryRun))
        object.append("reason", reason.map(JSON.text))
        return .object(object)
    }

    init(json: JSON) throws(DeskError) {
        let (wish, keys) = try Self.kind(of: json)
        let reader = try ControlReader(json, known: ["wish", "dry_run", "reason"] + keys)
        self.init(try Self.read(wish, reader, json), isDryRun: try reader.isTrue("dry_run"), reason: try reader.words("reason"))
    }

    private static func kind(of json: JSON) throws(DeskError) -> (wish: String, keys: [String]) {
        switch json["wish"]?.string?.valid {
        case "set_mode": ("set_mode", ["mode", "scope", "name", "lasting"])
        case "clear_mode": ("clear_mode", ["scope", "name"])
        case "promote": ("promote", ["playbook"])
        case "mark": ("mark", ["alert", "verdict"])
        default: throw DeskError(.invalid, "this is no wish about modes, roll-outs or alerts")
        }
    }

    private static func read(_ wish: String, _ reader: ControlReader, _ json: JSON) throws(DeskError) -> Wish {
        switch wish {
        case "set_mode":
            .setMode(
                try reader.needed("mode", "a mode") { $0.string?.valid.flatMap(Mode.init(rawValue:)) }, try scope(json, reader), lasting: try reader.duration("lasting"))
        case "clear_mode": .clearMode(try scope(json, reader))
        case "promote": .promote(try reader.needed("playbook", "a playbook's name") { $0.string?.valid })
        default:
            .mark(
                try reader.needed("alert", "an alert's id", ControlReader.identifier),
                try reader.needed("verdict", "a verdict") { $0.string?.valid.flatMap(Engine.Verdict.init(rawValue:)) })
        }
    }

    /// A name where the agent as a whole is meant was meant for less.
    private static func scope(_ json: JSON, _ reader: ControlReader) throws(DeskError) -> ModeTable.Scope {
        let name = try reader.text("name")
        guard let scope = ModeTable.Scope(json: json), name == nil || scope != .agent else {
            throw DeskError(.invalid, "scope must be agent, or playbook or source with a name")
        }
        return scope
    }
}
