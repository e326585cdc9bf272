package import RiposteCore

/// The first plan that nobody was asked about, because as many questions as may be were open.
package struct UnaskedPlan: Sendable, Equatable {
    package var open: Int
    /// Nil: of an order by hand.
    package var playbook: String?
    package var step: String?
    package var action: ActionName
    package var target: Target
    package var time: Timestamp

    package init(open: Int, playbook: String?, step: String?, action: ActionName, target: Target, time: Timestamp) {
        self.open = open
        self.playbook = playbook
        self.step = step
        self.action = action
        self.target = target
        self.time = time
    }

    package var message: String { "\(open) questions are open: plans that would ask are only observed until there is room" }

    package var json: JSON {
        var object: JSONObject = ["event": "crowded_out", "open": .integer(Int64(open)), "action": .text(action.rawValue), "target": target.json, "time": .text("\(time)")]
        object.append("playbook", playbook.map(JSON.text))
        object.append("step", step.map(JSON.text))
        return .object(object)
    }
}
