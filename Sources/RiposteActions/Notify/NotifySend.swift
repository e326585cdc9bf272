internal import RiposteCore
package import RipostePlaybooks

/// Tells people something, by outputs of the configuration.
///
/// The journal's record of it is the message: what an output gets stands in the plan, and is carried like everything else that is in the journal. So it is
/// done as soon as it is on record; a destination that is slow or dead holds up no step.
package struct NotifySend: Action {
    /// Bytes that a message and its title have at most. What alerts make longer is cut; who writes it is told.
    package static let (messageLimit, titleLimit) = (8192, 256)

    private let outputs: @Sendable () -> [String]

    /// `outputs`: those that are configured now.
    package init(outputs: @escaping @Sendable () -> [String]) { self.outputs = outputs }

    package let description = ActionDescription(
        name: "notify.send", summary: "Sends a message to outputs of the configuration.", target: .host, impact: .readsOnly,
        parameters: [
            Parameter("to", .list(of: .text(maxBytes: 64), maxCount: 16), isRequired: true, summary: "Names of outputs."),
            Parameter(
                "message", .prose(maxBytes: Self.messageLimit), summary: "What is said; default: what the playbook did to whom, why, how it ended, and what can be done about it."),
            Parameter("title", .prose(maxBytes: Self.titleLimit), summary: "A few words; default: the playbook's name."),
            Parameter("priority", .choice(Priority.allCases.map { "\($0)" }), default: .text("notice"), summary: "How grave it is: Falco's priorities."),
        ], tells: "message")

    package func plan(_ request: ActionRequest) async throws(ActionError) -> Plan {
        let names = try receivers(request.parameters)
        guard let message = request.parameters.text("message"), !message.isEmpty else {
            throw ActionError(.invalid, "send a message", "there is none", remedy: "give the parameter message")
        }
        return Plan(
            action: description.name, target: .host(machineID: Host.machineID), parameters: request.parameters, summary: "tell \(names.joined(separator: ", "))")
    }

    private func receivers(_ parameters: Parameters) throws(ActionError) -> [String] {
        guard case .list(let values)? = parameters["to"], !values.isEmpty else {
            throw ActionError(.invalid, "send a message", "it goes to nobody", remedy: "name outputs in the parameter to")
        }
        let names = values.compactMap { if case .text(let name) = $0 { name.repaired } else { nil } }
        let outputs = outputs()
        for name in names where !outputs.contains(name) {
            let near = nearMiss(to: name, among: outputs).map { "did you mean \"\($0)\"?" }
            let known = outputs.isEmpty ? "none is configured: add it to outputs, see docs/outputs.md" : "there are \(outputs.sorted().joined(separator: ", "))"
            throw ActionError(.invalid, "send a message", "there is no output \"\(name.escapedForDisplay)\"", remedy: near ?? known)
        }
        return names
    }

    /// The intent is the message: outputs carry it whatever becomes of the agent, and a second one would be told a second time.
    package func trace(of deed: Plan, seen: Plan, age: Duration) -> DeedTrace { .inEffect("its record is the message, which the outputs carry") }

    package func perform(_ plan: Plan) async throws(ActionError) -> Performance {
        let names = try receivers(plan.parameters)
        return Performance(.done, message: "on its way to \(names.joined(separator: ", "))", isConfirmed: false)
    }
}
