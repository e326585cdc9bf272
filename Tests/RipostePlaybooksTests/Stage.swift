import RiposteCore
import RipostePlaybooks

/// The actions of a machine, as descriptions: what a described world needs of them.
enum Stage {
    static let actions: [ActionDescription] = [
        action(
            "process.kill", .process, .destroys, [Parameter("signal", .signal, default: .signal(.kill), summary: ""), Parameter("tree", .bool, default: .bool(false), summary: "")]),
        action("process.suspend", .process, .reversible, inverse: "process.resume"), action("process.resume", .process, .reversible),
        action("container.pause", .container, .reversible, inverse: "container.unpause"), action("container.unpause", .container, .reversible),
        action("container.stop", .container, .usersFeelIt, inverse: "container.start"), action("container.start", .container, .reversible),
        action("container.kill", .container, .destroys), action("container.restart", .container, .usersFeelIt), action("pod.delete", .pod, .destroys),
        action(
            "network.block", .address, .reversible,
            [Parameter("address", .network, isRequired: true, summary: ""), Parameter("for", .duration(max: .seconds(86400)), summary: "")],
            inverse: "network.unblock"),
        action("network.unblock", .address, .reversible, [Parameter("address", .network, isRequired: true, summary: "")]),
    ]

    /// Says something to somebody.
    static let telling = ActionDescription(
        name: "notify.send", summary: "", target: .host, impact: .readsOnly,
        parameters: [
            Parameter("to", .list(of: .text(maxBytes: 64), maxCount: 16), isRequired: true, summary: ""), Parameter("message", .text(maxBytes: 8192), summary: ""),
        ], tells: "message")

    private static func action(
        _ name: ActionName, _ target: ActionDescription.TargetKind, _ impact: ActionDescription.Impact, _ parameters: [Parameter] = [], inverse: ActionName? = nil
    ) -> ActionDescription { ActionDescription(name: name, summary: "", target: target, impact: impact, parameters: parameters, inverse: inverse) }

    /// Takes descriptions for actions: loading looks at nothing else.
    static let catalogue = DescribedScene(DescribedWorld(), now: { Timestamp(nanoseconds: 0) }).catalogue(actions)

    static func playbooks(_ text: String) throws -> PlaybookSet {
        try PlaybookSet.load([.init(name: "p.yaml", text: "apiVersion: riposte/v1\nplaybooks:\n" + text)], catalogue).set
    }

    static func world(_ yaml: String) throws -> DescribedWorld { try DescribedWorld(file: "world.yaml", text: yaml) }

    static func alert(_ rule: String, at time: String, _ fields: JSONObject, priority: String = "Warning") throws -> Alert {
        let document: JSON = ["rule": .text(rule), "priority": .text(priority), "time": .text(time), "output_fields": .object(fields)]
        return try Alert(document, id: .new(), arrival: .init(intake: "test"))
    }
}
