internal import RiposteCore

/// An order under way, as `status` has it, for people.
enum OrderText {
    /// "retrying, 2 failed: the engine does not answer"
    static func phase(_ order: JSON) -> String {
        var text = word(order, "phase")
        let failed = order["failed_attempts"]?.integer ?? 0
        if failed > 0 { text += ", \(failed) failed: \(word(order, "last_error"))" }
        if let actor = order["cancelled"]?["actor"] { text += ", called off by \(word(actor, "name"))" }
        return text
    }

    /// The playbook and its step, or who gave the order.
    static func cause(_ order: JSON) -> String {
        guard order["playbook"] != nil else { return order["actor"].map { word($0, "name") } ?? "" }
        return "\(word(order, "playbook"))/\(word(order, "step"))"
    }

    private static func word(_ json: JSON, _ key: ByteText) -> String { json[key]?.string?.shown ?? "" }
}
