package import RiposteCore
internal import Synchronization

extension Engine {
    /// The most careful of all that have a say about this step.
    func mode(of step: Step, in playbook: Playbook, for alert: Alert) -> ModeVerdict {
        let (now, uptime) = (surroundings.now(), surroundings.uptime())
        let (modes, stage) = state.withLock { ($0.modes(at: uptime), $0.state.rollouts.stage(of: playbook)) }
        var voices = [agentVoice(modes, now)]
        voices += sourceVoices(of: alert, modes, now)
        voices += playbookVoices(playbook, modes, now)
        if let mode = step.mode { voices.append((mode, "the step's mode is \(mode.rawValue)")) }
        if let stage { voices.append((stage.mode, stage.because)) }
        if asksSomebodyElse(about: step) { voices.append((.ask, "approvals.by_hand is ask, and \(destroyingAction(of: step)?.rawValue ?? "") cannot be taken back")) }
        return ModeVerdict(voices)
    }

    /// What the agent's mode is at this moment: the configured one, unless a person has set another; never more than the ceiling.
    package var agentMode: ModeVerdict {
        let voice = agentVoice(modesSet, surroundings.now())
        return ModeVerdict([voice])
    }

    /// Who says so: "the agent's mode was set to enforce by root".
    package var agentModeBecause: String { agentVoice(modesSet, surroundings.now()).because }

    /// The mode of a playbook before any alert: of the agent, the playbook and its roll-out.
    package func mode(of playbook: Playbook) -> ModeVerdict {
        mode(of: playbook, modesSet, surroundings.now())
    }

    func mode(of playbook: Playbook, _ modes: ModeTable, _ now: Timestamp) -> ModeVerdict {
        let stage = state.withLock { $0.state.rollouts.stage(of: playbook) }
        return ModeVerdict([agentVoice(modes, now)] + playbookVoices(playbook, modes, now) + (stage.map { [($0.mode, $0.because)] } ?? []))
    }

    /// The mode of what the kernel does in a playbook's name. A share of targets is beyond the kernel: until all are meant, it does nothing.
    package func modeInKernel(of playbook: Playbook) -> Mode {
        if state.withLock({ $0.state.rollouts.stage(of: playbook)?.share != nil }) { return .observe }
        let voices = [mode(of: playbook).mode, playbook.reflex?.mode, sourceVoice(KernelAnswer.intake, modesSet, surroundings.now())?.mode]
        return voices.compactMap(\.self).min() ?? .observe
    }

    // MARK: - Voices

    private typealias Voice = (mode: Mode, because: String)

    private func agentVoice(_ modes: ModeTable, _ now: Timestamp) -> Voice {
        let configured = (configuration.mode, "the agent's mode is \(configuration.mode.rawValue)")
        guard !configuration.isByHand, let setting = modes.setting(for: .agent, at: now) else { return configured }
        let ceiling = configuration.effectiveCeiling
        guard setting.mode <= ceiling else { return (ceiling, "the configuration lets the agent be no wider than \(ceiling.rawValue)") }
        return (setting.mode, "the agent's mode was set to \(setting.mode.rawValue)\(setting.author)")
    }

    private func sourceVoices(of alert: Alert, _ modes: ModeTable, _ now: Timestamp) -> [Voice] {
        var voices: [Voice] = []
        if alert.arrival.trust != .trusted { voices.append((.observe, alert.arrival.distrust)) }
        if let voice = sourceVoice(alert.arrival.intake, modes, now) { voices.append(voice) }
        let age = now - alert.time
        if age > configuration.maximumAlertAge { voices.append((.observe, "the alert is older than \(configuration.maximumAlertAge.text)")) }
        if age < .zero - configuration.clockSkew { voices.append((.observe, "the alert's time is more than \(configuration.clockSkew.text) ahead")) }
        return voices
    }

    /// What a person has set for a source; nil: nothing.
    func modeSet(forSource intake: String) -> ModeVerdict? { sourceVoice(intake, modesSet, surroundings.now()).map { ModeVerdict([$0]) } }

    private func sourceVoice(_ intake: String, _ modes: ModeTable, _ now: Timestamp) -> Voice? {
        modes.setting(for: .source(intake), at: now).map { ($0.mode, "the mode of source \(intake) was set to \($0.mode.rawValue)\($0.author)") }
    }

    /// A person's word stands in place of the file's.
    private func playbookVoices(_ playbook: Playbook, _ modes: ModeTable, _ now: Timestamp) -> [Voice] {
        if let setting = modes.setting(for: .playbook(playbook.name), at: now) {
            return [(setting.mode, "the playbook's mode was set to \(setting.mode.rawValue)\(setting.author)")]
        }
        return playbook.mode.map { [($0, "the playbook's mode is \($0.rawValue)")] } ?? []
    }
}

extension Alert.Arrival {
    /// Of one intake some senders may be believed and others not.
    fileprivate var distrust: String { "the intake \(intake) is not trusted" + (peer.map { " with what comes from \($0.escapedForDisplay)" } ?? "") }
}

extension ModeTable.Setting {
    fileprivate var author: String { actor.map { " by \($0.name)" } ?? "" }
}

// MARK: - Setting modes

extension Engine {
    /// Why a mode was not set, or a playbook not moved on.
    package struct Objection: Error, Equatable, Sendable {
        package let message: String
        /// Set: it is wished for, and a second person must wish for it too.
        package let proposal: Widenings.Proposal?
        /// What is named is not there.
        package let isOfUnknown: Bool

        init(_ message: String, waitsFor proposal: Widenings.Proposal? = nil, isOfUnknown: Bool = false) {
            self.message = message
            self.proposal = proposal
            self.isOfUnknown = isOfUnknown
        }
    }

    /// A person sets a mode, until a time or until it is cleared. Gives what is then in effect; see ``modeInEffect(for:after:)``.
    @discardableResult
    package func setMode(
        _ mode: Mode, for scope: ModeTable.Scope, lasting length: Duration? = nil, actor: AuditRecord.Actor, reason: String? = nil,
        isDryRun: Bool = false
    ) throws(Objection) -> ModeVerdict? {
        try check(mode, for: scope, reason)
        let now = surroundings.now()
        var record = scope.record(at: now, state: "set")
        record.mode = mode
        record.actor = actor
        record.reason = reason
        record.detail.append("until", length.map { .text("\(now + $0)") })
        record.message = "mode of \(scope.summary) is \(mode.rawValue)" + (length.map { " for \($0.text)" } ?? "")
        try writeSteering(record, widens: widened(by: record, scope), isDryRun: isDryRun)
        return modeInEffect(for: scope, after: isDryRun ? record : nil)
    }

    /// A person lifts a mode that was set: things are again as the configuration and the playbook say. Gives what is then in effect.
    @discardableResult
    package func clearMode(for scope: ModeTable.Scope, actor: AuditRecord.Actor, reason: String? = nil, isDryRun: Bool = false) throws(Objection) -> ModeVerdict? {
        guard state.withLock({ $0.state.modes.settings[scope] }) != nil else {
            if case .playbook(let name) = scope { _ = try playbookInForce(name) }
            throw Objection("no mode is set for \(scope.summary.escapedForDisplay)")
        }
        var record = scope.record(at: surroundings.now(), state: "cleared")
        record.actor = actor
        record.reason = reason
        record.message = "no mode is set for \(scope.summary) any more"
        try writeSteering(record, widens: widened(by: record, scope), isDryRun: isDryRun)
        return modeInEffect(for: scope, after: isDryRun ? record : nil)
    }

    private func check(_ mode: Mode, for scope: ModeTable.Scope, _ reason: String?) throws(Objection) {
        let (count, isSet) = state.withLock { ($0.state.modes.settings.count, $0.state.modes.settings[scope] != nil) }
        guard isSet || count < ModeTable.limit else { throw Objection("modes are set for \(count) others; clear some of them first") }
        switch scope {
        case .agent:
            guard mode <= configuration.effectiveCeiling else {
                throw Objection(
                    "the agent's mode is \(configuration.mode.rawValue) by configuration; to widen it to \(mode.rawValue) while it runs, mode_ceiling must allow that")
            }
        case .source: break
        case .playbook(let name):
            let playbook = try playbookInForce(name)
            let isWider = mode == .enforce && self.mode(of: playbook).mode < .enforce
            if isWider, reason?.isEmpty ?? true, let action = playbook.steps.lazy.compactMap(destroyingAction(of:)).first {
                throw Objection("\(action) cannot be taken back: to let playbook \(name) enforce, give a reason")
            }
        }
    }

    func playbookInForce(_ name: String) throws(Objection) -> Playbook {
        if let playbook = playbooks.playbooks.first(where: { $0.name == name }) { return playbook }
        let near = nearMiss(to: name, among: playbooks.playbooks.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
        throw Objection("no playbook \"\(name.escapedForDisplay)\" is in force\(near)", isOfUnknown: true)
    }

    /// What is in effect for a scope, of which a mode that was set is one voice: the most careful one wins. Nil: for a playbook that is not in force. With the record of a change that
    /// was not made, what it would come to.
    package func modeInEffect(for scope: ModeTable.Scope, after change: AuditRecord? = nil) -> ModeVerdict? {
        let now = surroundings.now()
        var modes = modesSet
        if let change { modes.apply(change) }
        switch scope {
        case .agent: return ModeVerdict([agentVoice(modes, now)])
        case .source(let name): return ModeVerdict([agentVoice(modes, now)] + (sourceVoice(name, modes, now).map { [$0] } ?? []))
        case .playbook(let name): return playbooks.playbooks.first { $0.name == name }.map { mode(of: $0, modes, now) }
        }
    }

    func destroys(_ step: Step) -> Bool { destroyingAction(of: step) != nil }

    /// What of a step cannot be taken back: its action, or what follows on it if nobody answers.
    func destroyingAction(of step: Step) -> ActionName? {
        [step.action, step.escalation?.action].lazy.compactMap(\.self).first { catalogue[$0]?.description.impact == .destroys }
    }

    /// A person who feeds alerts in does by them what they may not do by a command: somebody else must say yes.
    func asksSomebodyElse(about step: Step) -> Bool { configuration.isByHand && configuration.approvals.asksByHand && destroys(step) }

    func write(_ record: AuditRecord) throws(Objection) {
        do { try self.record(record) } catch { throw Objection("the journal did not take it: \(error)") }
    }

    /// Writes down that a mode has run out.
    static let modeChore = Chore(
        next: { engine in engine.firstEnd { interior in interior.state.modes.settings.keys.map(Term.mode) }.map(engine.notBefore) },
        perform: { engine, now in
            let modes = engine.modesSet
            for (scope, _) in engine.snapshot.modes.sorted where modes.setting(for: scope, at: now) == nil {
                var record = scope.record(at: now, state: "expired")
                record.actor = AuditRecord.Actor(.timer, name: "mode")
                record.message = "the mode of \(scope.summary) has run out"
                do { try engine.record(record) } catch { return engine.restBookkeeping() }
            }
        })
}
