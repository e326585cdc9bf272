internal import RiposteCore
internal import RipostePlaybooks
internal import RiposteRules

extension AgentConfiguration {
    var engineConfiguration: Engine.Configuration {
        var result = Engine.Configuration(mode: mode, runLimit: engine.runLimit, maximumAlertAge: engine.maximumAlertAge, budgets: budgets)
        result.approvals = approvals
        result.modeCeiling = modeCeiling
        result.dedup = engine.dedup
        result.incidents = incidents
        result.undo = undo
        result.reconciliation = reconciliation
        return result
    }

    mutating func readIncidents(_ node: YAMLNode) {
        guard let keys = node.mapping(known: ["enabled", "quiet", "longest", "priority", "limit"], what: "incidents", code: "C002") else { return }
        var settings = IncidentSettings()
        if let value = keys["quiet"]?.duration(code: "C003") { settings.quiet = value }
        if let value = keys["longest"]?.duration(code: "C003") { settings.longest = value }
        if let value = keys["limit"]?.integer(in: 2...100_000, code: "C003") { settings.limit = value }
        if let node = keys["priority"], let text = node.text(code: "C003") {
            if let priority = Priority(text) {
                settings.priority = priority
            } else {
                let names = Priority.allCases.map { "\($0)" }
                node.report(code: "C003", "expected one of \(names.joined(separator: ", "))", suggestion: nearMiss(to: text, among: names))
            }
        }
        incidents = keys["enabled"]?.bool(code: "C003") == false ? nil : settings
    }
}
