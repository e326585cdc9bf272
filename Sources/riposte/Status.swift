internal import ArgumentParser
internal import Foundation
internal import RiposteAgent
internal import RiposteCore
internal import RipostePlaybooks

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what the agent does: mode, playbooks, rules, intakes, what is in force.",
        discussion: "Ends with 1 where a playbook cannot do what it is let do (degraded), with 6 where no agent runs.\n\nExample:\n  riposte status --json | jq .undos")

    @OptionGroup var common: CommonOptions

    func run() async throws {
        let configuration = try common.configuration()
        let client = common.agent(configuration)
        let status: JSON
        do { status = try await client.status() } catch {
            await client.close()
            throw error
        }
        await client.close()
        if common.json {
            print(status.line)
        } else {
            print(Self.text(status))
        }
        if status["playbooks"]?["degraded"] != nil { throw ExitCode(1) }
    }

    private static func text(_ status: JSON) -> String {
        let engine = status["engine"]
        let playbooks = status["playbooks"]
        var lines = [
            "riposte \(word(status, "version")), pid \(number(status, "pid")), since \(word(status, "since").prefix(19))Z, mode \(Terminal.paint(word(status, "mode"), .bold))",
            "playbooks  \(number(playbooks, "count")) in force since \(word(playbooks, "since").prefix(19))Z",
        ]
        lines += rejection(playbooks)
        lines += (playbooks?["degraded"]?.array ?? []).map { entry in
            Terminal.paint(
                "DEGRADED   \(word(entry, "playbook")): step \(word(entry, "step")) lacks \(word(entry, "lacks")): \(word(entry, "problem"))"
                    + (entry["remedy"] == nil ? "" : "; \(word(entry, "remedy"))"), .red)
        }
        let rules = status["rules"]
        let sources = rules?["sources"]?.object?.members.filter { number($0.value, "count") > 0 } ?? []
        let counts = sources.map { "\($0.key.shown) \(number($0.value, "armed")) of \(number($0.value, "count"))" }.joined(separator: ", ")
        let matching = word(rules, "matching") == "first" ? "the first that holds answers" : "all that hold answer"
        lines.append(
            "rules      \(number(rules, "armed")) armed of \(number(rules, "count"))\(counts.isEmpty ? "" : " (\(counts)); \(matching)") since \(word(rules, "since").prefix(19))Z")
        lines += rejection(rules)
        lines += sensor(status["sensor"])
        if let audit = status["kubernetes_audit"] {
            lines.append("events     Kubernetes audit: \(number(audit, "judged")) judged, \(number(audit, "dropped")) dropped, \(number(audit, "alerts")) alerts")
        }
        lines.append(
            "alerts     \(number(engine, "alerts")) accepted, \(number(engine, "matched")) answered, \(number(engine, "shed")) turned away; \(number(engine, "under_way")) under way"
        )
        if number(engine, "repeats") > 0 { lines.append("           \(number(engine, "repeats")) more told what was known, and were counted") }
        lines += modes(status["modes"])
        lines += incidents(status["incidents"])
        let outcomes = engine?["outcomes"]?.object?.members.map { "\($0.value.integer ?? 0) \($0.key.shown)" } ?? []
        lines.append("actions    \(outcomes.isEmpty ? "none" : outcomes.joined(separator: ", "))")
        let questions = status["approvals"]
        if number(questions, "open") > 0 {
            lines.append(
                Terminal.paint(
                    "approvals  \(number(questions, "open")) open, the next until \(word(questions, "next_deadline").prefix(19))Z: riposte approvals list", .yellow))
        }
        if questions?["overflowing"] == true { lines.append(Terminal.paint("           NO ROOM for more: plans that would ask are only observed", .red)) }
        if let problem = status["journal"]?["problem"]?.string { lines.append(Terminal.paint("journal    \(problem.shown); see riposte audit verify", .red)) }
        lines.append(
            "journal    \(number(status["journal"], "seq")) records\(number(status["journal"], "failures") > 0 ? ", \(number(status["journal"], "failures")) NOT WRITTEN" : "")")
        if let trouble = status["journal"]?["trouble"]?.string { lines.append(Terminal.paint("           takes no records, so nothing is done: \(trouble.shown)", .red)) }
        lines += checkpoints(status["journal"]?["checkpoints"])
        lines += brakes(status)
        for drift in status["drifts"]?.array ?? [] {
            let isContested = word(drift["detail"], "state") == "contested"
            let target = drift["target"].flatMap(Target.init(json:))?.summary ?? ""
            lines.append(Terminal.paint("drift      \(word(drift, "action")) of \(target): \(word(drift, "message"))", isContested ? .red : .yellow))
        }
        let pardons = status["pardons"]?.array?.count ?? 0
        if pardons > 0 { lines.append("pardons    \(pardons) in force; see riposte pardon list") }
        let intakes = status["intakes"]?.array ?? []
        lines.append("")
        lines.append(
            Terminal.table(
                ["INTAKE", "ACCEPTED", "UNTRUSTED", "REJECTED", "SHED", "DENIED", "PLACE"],
                intakes.map { intake in
                    [word(intake, "name")] + ["accepted", "untrusted", "rejected", "shed", "denied"].map { "\(number(intake, ByteText($0)))" } + [word(intake, "place")]
                }))
        for intake in intakes {
            if intake["obstacle"] != nil { lines.append(Terminal.paint("\(word(intake, "name")): \(word(intake, "obstacle"))", .red)) }
            if number(intake, "evicted") > 0 { lines.append("\(word(intake, "name")): \(number(intake, "evicted")) silent connections were given up for others") }
            let rationed = number(intake, "rationed")
            if rationed > 0 {
                lines.append(
                    Terminal.paint("\(word(intake, "name")): \(rationed) times senders who are not believed were turned away; see intake.untrusted in docs/intakes.md", .yellow))
            }
        }
        lines += orders(status["orders"]?.array ?? [])
        if let outputs = status["outputs"]?.array { lines += ["", OutputText.table(outputs)] }
        lines += rejection(status["outputs_configuration"])
        lines += rejection(status["credentials"], of: "tokens and certificates")
        let undos = status["undos"]?.array ?? []
        if !undos.isEmpty {
            lines.append("")
            lines.append(
                Terminal.table(
                    ["IN FORCE", "SINCE", "UNTIL", "TARGET", "UNDO WITH"],
                    undos.map { undo in
                        [
                            word(undo, "action"), "\(word(undo, "since").prefix(19))Z", undo["due"] == nil ? "-" : "\(word(undo, "due").prefix(19))Z",
                            undo["target"].flatMap(Target.init(json:))?.summary ?? "", "riposte undo \(word(undo, "action_id"))",
                        ]
                    }))
        }
        return lines.joined(separator: "\n")
    }

    /// How far the journal is signed; nothing where it is not to be.
    private static func checkpoints(_ checkpoints: JSON?) -> [String] {
        guard let checkpoints, checkpoints != .null else { return [] }
        let place = checkpoints["anchored_to"]?.integer.map { "anchored up to record \($0) at \(word(checkpoints, "time").prefix(19))Z" } ?? "not anchored yet"
        let line = "           \(place), \(number(checkpoints, "unanchored")) records since"
        let failures = number(checkpoints, "failures")
        return [line] + (failures > 0 ? [Terminal.paint("           \(failures) \(failures == 1 ? "checkpoint" : "checkpoints") NOT WRITTEN", .red)] : [])
    }

    /// Actions that take longer than a second.
    private static func orders(_ orders: [JSON]) -> [String] {
        guard !orders.isEmpty else { return [] }
        let rows = orders.map { order in
            [
                word(order, "action"), "\(word(order, "since").prefix(19))Z", OrderText.phase(order), order["target"].flatMap(Target.init(json:))?.summary ?? "",
                OrderText.cause(order), "riposte cancel \(word(order, "id"))",
            ]
        }
        return ["", Terminal.table(["UNDER WAY", "SINCE", "PHASE", "TARGET", "FOR", "CALL OFF WITH"], rows)]
    }

    /// Breakers that are not closed, budgets near their end, and what was turned away.
    private static func brakes(_ status: JSON) -> [String] {
        var lines = (status["breakers"]?.array ?? []).compactMap(Breakers.Breaker.init(json:)).map { breaker in
            let until =
                breaker.halfOpens.map { "half-open at \($0.clockText) if nothing asks" } ?? (breaker.state == .halfOpen ? "one act is let through" : "until a person closes it")
            return Terminal.paint(
                "BREAKER    \(breaker.name.escapedForDisplay) \(breaker.state == .open ? "open" : "half-open") since \(breaker.since.clockText), \(breaker.heldBack) held back; \(until): "
                    + "riposte breaker close \(breaker.name.escapedForDisplay)", .red)
        }
        lines += (status["budgets"]?.array ?? []).map { budget in
            let text = "budget     \(word(budget, "budget")): \(number(budget, "used")) of \(number(budget, "limit")) \(word(budget, "counts")) per \(word(budget, "per"))"
            return number(budget, "used") >= number(budget, "limit") ? Terminal.paint(text, .yellow) : text
        }
        lines += (status["shed"]?.array ?? []).map { "SHED       \(number($0, "count")) alerts of rule \(word($0, "rule")) from \(word($0, "intake")), for lack of room" }
        if number(status["engine"], "crowded") > 0 { lines.append("SHED       \(number(status["engine"], "crowded")) actions, of too many that waited for one target") }
        return lines
    }

    /// What persons have set, and how roll-outs stand.
    private static func modes(_ modes: JSON?) -> [String] {
        var lines = (modes?["set"]?.array ?? []).map { setting in
            let until = setting["until"] == nil ? "" : " until \(word(setting, "until").prefix(19))Z"
            let reason = setting["reason"] == nil ? "" : " (\(word(setting, "reason")))"
            let what = setting["name"] == nil ? "the agent" : "\(word(setting, "scope")) \(word(setting, "name"))"
            return Terminal.paint("mode       \(what) was set to \(word(setting, "mode")) by \(word(setting["actor"], "name"))\(until)\(reason)", .yellow)
        }
        lines += (modes?["proposed"]?.array ?? []).map { proposal in
            let wish = "\(word(proposal, "wish")): \(word(proposal["actor"], "name")) wants it"
            return Terminal.paint("mode       \(wish); waits for a second person until \(word(proposal, "until").prefix(19))Z", .yellow)
        }
        for playbook in modes?["playbooks"]?.array ?? [] where playbook["stages"] != nil || number(playbook, "false_positives") > 0 {
            let stage = playbook["stages"] == nil ? "" : ", stage \(ModeText.stage(playbook))"
            lines.append("roll-out   \(word(playbook, "name")): \(word(playbook, "mode"))\(stage); \(number(playbook, "runs")) runs, \(ModeText.rate(playbook)) wrong")
        }
        return lines
    }

    private static func incidents(_ incidents: JSON?) -> [String] {
        let open = incidents?["open"]?.array ?? []
        var lines = open.suffix(5).map { incident in
            "incident   \(word(incident, "incident")): \(number(incident, "alerts")) alerts, \(number(incident, "acts")) acts, \(word(incident, "priority")) \(word(incident, "rule"))"
        }
        if open.count > 5 { lines.insert("incidents  \(open.count) open; the newest:", at: 0) }
        if number(incidents, "ungrouped") > 0 {
            lines.append(Terminal.paint("           \(number(incidents, "ungrouped")) alerts stand alone: too many incidents are open", .yellow))
        }
        return lines
    }

    /// What the sensor sees, and above all what it does not.
    private static func sensor(_ sensor: JSON?) -> [String] {
        guard let sensor else { return [] }
        switch word(sensor, "state") {
        case "running":
            let lost = sensor["dropped"]?.object?.members ?? []
            let processes = number(sensor["processes"], "known")
            var lines = [
                "sensor     \(number(sensor, "events")) events, \(number(sensor, "alerts")) alerts, \(processes) processes; push-down \(sensor["push_down"] == true ? "on" : "off")"
            ]
            if !lost.isEmpty {
                let types = lost.map { "\($0.key.shown) \($0.value.integer ?? 0)" }.joined(separator: ", ")
                lines.append(Terminal.paint("           LOST for lack of room: \(types)", .red))
            }
            lines += kernelProblem(sensor)
            if let problem = sensor["io_uring"]?["problem"]?.string { lines.append("           \(problem.shown)") }
            for reflex in sensor["reflexes"]?.array ?? [] where reflex["problem"] != nil {
                lines.append(Terminal.paint("           reflex of \(word(reflex, "playbook")) is not armed for \(word(reflex, "rule")): \(word(reflex, "problem"))", .yellow))
            }
            let armed = sensor["reflexes"]?.array?.count { $0["problem"] == nil } ?? 0
            let denying = sensor["reflexes"]?.array?.count { $0["denies"]?.array?.isEmpty == false } ?? 0
            let refusing = denying > 0 ? "; \(denying) also \(denying == 1 ? "refuses" : "refuse") the call" : ""
            if armed > 0 { lines.append("           \(armed) \(armed == 1 ? "reflex" : "reflexes") armed\(refusing)") }
            return lines
        case "lacking": return [Terminal.paint("sensor     does not run: \(word(sensor, "problem")); \(word(sensor, "remedy"))", .yellow)]
        default: return ["sensor     off"]
        }
    }

    /// Of files that were read anew and are not in force: since when, and what is wrong.
    static func rejection(_ files: JSON?, of what: String = "files") -> [String] {
        guard let rejected = files?["rejected"] else { return [] }
        let problems = rejected["problems"]?.array ?? []
        let count = rejected["count"]?.integer ?? Int64(problems.count)
        let heading = "           \(what) rejected \(word(rejected, "since").prefix(19))Z: \(count) \(count == 1 ? "problem" : "problems"); those before stay in force"
        return [Terminal.paint(heading, .red)] + problems.prefix(5).map { "           \(word($0, "file")):\(number($0, "line")): \(word($0, "message"))" }
    }

    /// Why the kernel goes on by what was before.
    static func kernelProblem(_ json: JSON) -> [String] { (json["kernel_problem"]?.string).map { [Terminal.paint("           \($0.shown)", .red)] } ?? [] }

    static func word(_ json: JSON?, _ key: ByteText) -> String { json?[key]?.string?.shown ?? "" }
    private static func number(_ json: JSON?, _ key: ByteText) -> Int64 { json?[key]?.integer ?? 0 }
}
