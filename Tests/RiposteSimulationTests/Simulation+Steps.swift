import RiposteCore
import RipostePlaybooks

/// Persons who give orders and answers.
enum SimulatedPeople {
    static let onCall: Set<UInt32> = [1000, 1001, 1002]

    static func person(_ index: Int) -> Person {
        let uid = UInt32(1000 + index)
        return Person(AuditRecord.Actor(.person, name: ["ann", "bob", "cid", "eve"][index], uid: uid), groups: onCall.contains(uid) ? ["oncall"] : [])
    }
}

/// What can happen.
extension Simulation {
    func step() throws {
        if let life, life.disk.isDead {
            try end()
            if chance(50) { try pass(.seconds(number(0...5000))) }
        }
        guard let life else { return try start() }
        switch number(1...1000) {
        case ...380: try alert(life)
        case ...520: try pass(.milliseconds(number(1...20_000)))
        case ...590: try pass(.seconds(number(1...900)))
        case ...610: try pass(.seconds(number(900...5000)))
        case ...640: undo(life)
        case ...680: order(life)
        case ...730: life.disk.die(afterWrites: number(1...8), share: [0, number(1...999), 1000][number(0...2)])
        case ...750: world.change { [trouble = (number(0...40), number(0...40), number(0...60))] in ($0.failures, $0.delays, $0.stuck) = trouble }
        case ...765: life.disk.fill(chance(30))
        case ...800: disturb()
        case ...815: setClock()
        case ...840: try reload(life)
        case ...920: answer(life)
        case ...935: close(life)
        case ...950: mode(life)
        case ...965: rollout(life)
        case ...980: cancel(life)
        case ...983: try flood(life)
        case ...987: look(life)
        case ...993: try compareModes(life)
        default: try end()
        }
        if self.life != nil { try drain() }
    }

    private var person: Person { SimulatedPeople.person(number(0...3)) }

    // MARK: - Alerts

    private func alert(_ life: Life) throws { try tell(life, SimulatedPlaybooks.rules[number(0...SimulatedPlaybooks.rules.count - 1)], about: number(0...5)) }

    @discardableResult
    private func tell(_ life: Life, _ rule: String, about index: Int, isPlain: Bool = false) throws -> (id: Identifier, isTaken: Bool) {
        let alert = try self.alert(rule, about: index, isPlain: isPlain)
        let problem = admission(of: alert, life.engine)
        switch problem {
        case nil: if !ledger.knows(alert: alert.id) { throw failure("alert \(alert.id) was taken, and is not on record") }
        case .full: turnedAway += 1
        case .closed: throw failure("an alert was not taken, as the engine is closed")
        case .unsafe: if !life.disk.isDead, !life.disk.isFull { throw failure("an alert was not taken, though nothing was wrong") }
        }
        return (alert.id, problem == nil)
    }

    /// `isPlain`: of this moment, from a source that is trusted.
    func alert(_ rule: String, about index: Int, isPlain: Bool = true) throws -> Alert {
        let age = isPlain || chance(90) ? 0 : number(-4000...7200)
        let process = SimulatedWorld.processes[min(index, 5)]
        let fields: JSONObject = [
            "container.id": .text(SimulatedWorld.containers[index]), "proc.pid": .integer(Int64(process.pid)), "fd.rip": .text(SimulatedWorld.addresses[min(index, 5)]),
            "proc.cmdline": .text("sh -c $(reboot)\u{202e}\n{{ proc.pid }}"),
        ]
        let document: JSON = [
            "rule": .text(rule), "priority": "Warning", "time": .text("\(machine.now + .seconds(-age))"), "source": "syscall", "output": .text("\(rule) happened"),
            "output_fields": .object(fields),
        ]
        let arrival = Alert.Arrival(intake: "sim", trust: isPlain || chance(90) ? .trusted : .untrusted, time: machine.now)
        return try Alert(document, id: machine.newIdentifier, arrival: arrival)
    }

    func admission(of alert: Alert, _ engine: Engine) -> Engine.AdmissionError? {
        do throws(Engine.AdmissionError) {
            try engine.accept(alert)
            return nil
        } catch { return error }
    }

    /// Alerts of one rule without end, and one of another, which is let in and answered all the same.
    private func flood(_ life: Life) throws {
        guard !life.disk.isFull, !life.disk.isDead else { return }
        life.disk.die(afterWrites: .max, share: 0)
        world.change { ($0.failures, $0.delays) = (0, 0) }
        let index = number(0...5)
        for _ in 0..<150 { try tell(life, "steps", about: index, isPlain: true) }
        let (id, isTaken) = try tell(life, SimulatedPlaybooks.canary, about: 6, isPlain: true)
        guard isTaken else { throw failure("a flood leaves no room for an alert of another rule") }
        try pass(.seconds(60))
        guard ledger.hasAnswered(alert: id) else { throw failure("a flood holds up the answer to an alert of another rule") }
    }

    // MARK: - People

    private func undo(_ life: Life) {
        let open = life.engine.snapshot.openUndos.keys.sorted() + life.engine.snapshot.approvals.requests.keys.sorted()
        guard !open.isEmpty else { return }
        let (engine, id, mode, actor) = (life.engine, open[number(0...(open.count - 1))], chance(80) ? Mode.enforce : .observe, person.actor)
        machine.spawn { _ = await engine.undo(id, actor: actor, mode: mode, reason: "by hand") }
    }

    private func order(_ life: Life) {
        let index = number(0...5)
        let container = TargetClaim.container(ContainerClaim(reference: SimulatedWorld.containers[index]))
        let (action, claim): (ActionName, TargetClaim) =
            switch number(0...5) {
            case 0...1: ("container.pause", container)
            case 2: ("container.unpause", container)
            case 3: ("container.release", container)
            case 4: ("container.kill", container)
            default: ("process.suspend", .process(ProcessClaim(pid: SimulatedWorld.processes[index].pid, seenAt: machine.now)))
            }
        let mode = chance(20) ? Mode.observe : action == "container.kill" ? .ask : .enforce
        var order = Order(id: machine.newIdentifier, actor: person.actor, action: action, claim: claim, mode: mode, reason: "by hand")
        if chance(30), action == "container.pause" { order.undoAfter = .seconds(number(1...3000)) }
        if chance(20) {
            order.isForced = true
            ledger.force(order.id)
        }
        machine.spawn { [order, engine = life.engine] in _ = await engine.carryOut(order) }
    }

    private func answer(_ life: Life) {
        let open = life.engine.snapshot.approvals.requests.values.sorted { $0.id < $1.id }
        guard !open.isEmpty else { return }
        let request = open[number(0...(open.count - 1))]
        let (engine, answer, person) = (life.engine, chance(75) ? ApprovalRequest.Answer.approve : .deny, person)
        // Now and then of fewer plans than there are.
        let seen = chance(90) ? request.members.count : 1
        machine.spawn { _ = await engine.answer(answer, request.id, by: person, seen: seen, reason: "looked at it") }
    }

    private func look(_ life: Life) { machine.spawn { [engine = life.engine] in _ = await engine.openQuestions() } }

    private func close(_ life: Life) {
        let breakers = life.engine.snapshot.breakers.all
        guard !breakers.isEmpty else { return }
        _ = life.engine.closeBreaker(breakers[number(0...(breakers.count - 1))].name, actor: person.actor, reason: "looked at it")
    }

    /// What is refused, or not on record, changes nothing: the ledger would see it.
    private func mode(_ life: Life) {
        let scope: ModeTable.Scope = [.agent, .playbook(SimulatedPlaybooks.names[number(0...SimulatedPlaybooks.names.count - 1)]), .source("sim")][number(0...2)]
        if chance(50) {
            // A person may take the question away from a playbook whose mode is ask; the ledger is to see that nobody else does.
            let widest = scope == .playbook("ask") ? Mode.ask : .enforce
            let mode = min([Mode.observe, .ask, .enforce][number(0...2)], widest)
            _ = try? life.engine.setMode(mode, for: scope, lasting: chance(70) ? .seconds(number(1...3000)) : nil, actor: person.actor, reason: "by hand")
        } else {
            for setting in life.engine.snapshot.modes.sorted { _ = try? life.engine.clearMode(for: setting.scope, actor: person.actor, reason: "over") }
        }
    }

    private func rollout(_ life: Life) {
        if chance(60) {
            _ = try? life.engine.promote(chance(50) ? "rolled" : "shared", actor: person.actor, reason: "it is time")
        } else if let alert = ledger.lastAlert(answeredBy: "rolled") {
            _ = try? life.engine.mark(alert, as: chance(50) ? .benign : .real, actor: person.actor, reason: "looked at it")
        }
    }

    private func cancel(_ life: Life) {
        let orders = life.engine.ordersUnderWay(atLeast: .zero)
        guard !orders.isEmpty else { return }
        let (engine, id, actor) = (life.engine, orders[number(0...(orders.count - 1))].id, person.actor)
        machine.spawn { _ = await engine.cancel(id, actor: actor, reason: "false alarm") }
    }

    // MARK: - The world and the files

    private func setClock() {
        ledger.see(now: machine.now)
        machine.setClock(by: .seconds(number(-900...900)))
        isClockSet = true
    }

    /// Somebody else changes the world: a target ends and another comes in its place, a mark is set or lifted, a guard keeps a target for a while.
    private func disturb() {
        let index = number(0...5)
        let key = ["container:\(SimulatedWorld.containers[index])", "process:\(1000 + index)@77", "address:\(SimulatedWorld.addresses[index])"][number(0...2)]
        let kind = number(0...7)
        let uptime = machine.uptime
        world.change { state in
            switch kind {
            case 0:
                state.ended.insert(key)
                (state.marks[key], state.foreignMarks[key]) = (nil, nil)
            case 1...3: state.ended = []
            case 4: state.marks[key] = nil
            case 5: state.guarded[key] = state.guarded[key] ?? uptime
            case 6: state.guarded = [:]
            default: state.foreignMarks[key, default: []].insert(["paused", "stopped", "blocked"][index % 3])
            }
        }
    }

    /// Another set of playbooks, or a file with an error, which changes nothing.
    private func reload(_ life: Life) throws {
        if chance(30) {
            let digest = life.engine.playbooks.digest
            do {
                life.engine.use(try PlaybookSet.load([.init(name: "s.yaml", text: "apiVersion: riposte/v1\nplaybooks: [{ name: x }]\n")], life.engine.catalogue).set)
                throw failure("a file with an error was taken")
            } catch is Diagnostics {}
            guard life.engine.playbooks.digest == digest else { throw failure("a file with an error changed the playbooks") }
        } else {
            variant = number(0...1)
            life.engine.use(try PlaybookSet.load(playbookFiles, life.engine.catalogue).set)
        }
    }
}
