package import RiposteCore

/// The JSON Schema (2020-12) of playbook files, for editors: made from the keys that the reader knows and the actions that the agent has.
package enum PlaybookSchema {
    package static func json(_ catalogue: ActionCatalogue) -> JSON {
        let offered = catalogue.descriptions.filter(\.isOffered)
        var step = object(PlaybookKeys.step)
        step["properties"] = step["properties"].map { properties in
            var members = properties.object ?? JSONObject()
            members["action"] = ["enum": .array(offered.map { .text($0.name.rawValue) }), "description": "What is done."]
            return .object(members)
        }
        step.append("required", ["action"])
        step.append("allOf", .array(offered.map(parametersFollow)))
        var root = object(PlaybookKeys.file)
        root.members.insert(.init(key: "title", value: "Riposte playbooks"), at: 0)
        root.members.insert(.init(key: "$id", value: "https://riposte.dev/schema/playbooks-v1.json"), at: 0)
        root.members.insert(.init(key: "$schema", value: "https://json-schema.org/draft/2020-12/schema"), at: 0)
        root.append(
            "$defs",
            .object([
                "playbook": .object(object(PlaybookKeys.playbook)), "match": .object(object(PlaybookKeys.match, minimum: 1)),
                "cooldown": .object(object(PlaybookKeys.cooldown)), "budget": .object(object(PlaybookKeys.budget)),
                "step": .object(step), "finish": .object(object(PlaybookKeys.finish)), "undo": .object(object(PlaybookKeys.undo)), "parallel": .object(object(PlaybookKeys.block)),
                "goto": .object(object(PlaybookKeys.jump)), "retry": .object(object(PlaybookKeys.retry)),
                "approval": .object(object(PlaybookKeys.approval, minimum: 1)), "escalate": .object(object(PlaybookKeys.escalate)),
                "ability": ["enum": .array(Ability.allCases.sorted().map { .text($0.rawValue) })],
                "passing": ["enum": .array(RetryPolicy.classes.map { .text($0.rawValue) })],
                "rollout": .object(object(PlaybookKeys.rollout)), "stage": .object(object(PlaybookKeys.stage)), "dedup": .object(object(PlaybookKeys.dedup)),
                "threshold": .object(object(PlaybookKeys.threshold)), "defaults": .object(object(PlaybookKeys.defaults)),
            ]))
        return .object(root)
    }

    private static func object(_ keys: [PlaybookKeys.Key], minimum: Int? = nil) -> JSONObject {
        var properties = JSONObject()
        for key in keys {
            var schema = key.schema.object ?? JSONObject()
            schema.append("description", .text(key.summary))
            properties.append(ByteText(key.name), .object(schema))
        }
        var result: JSONObject = ["type": "object", "properties": .object(properties), "additionalProperties": false]
        let required = keys.filter(\.isRequired)
        if !required.isEmpty { result.append("required", .array(required.map { .text($0.name) })) }
        result.append("minProperties", minimum.map { .integer(Int64($0)) })
        return result
    }

    /// If the action is this one, `with` takes its parameters.
    private static func parametersFollow(_ action: ActionDescription) -> JSON {
        var properties = JSONObject()
        for parameter in action.parameters {
            var schema: JSONObject = [
                "anyOf": [parameter.type.schema, ["type": "string", "pattern": "\\{\\{.*\\}\\}"]], "description": .text(parameter.summary),
            ]
            schema.append("default", parameter.defaultValue?.json)
            properties.append(ByteText(parameter.name), .object(schema))
        }
        var with: JSONObject = ["type": "object", "description": .text(action.summary), "properties": .object(properties), "additionalProperties": false]
        let required = action.parameters.filter(\.isRequired)
        if !required.isEmpty { with.append("required", .array(required.map { .text($0.name) })) }
        var then: JSONObject = ["properties": ["with": .object(with)]]
        if !required.isEmpty { then.append("required", ["with"]) }
        return ["if": ["properties": ["action": ["const": .text(action.name.rawValue)]]], "then": .object(then)]
    }
}

extension ParameterType {
    var schema: JSON {
        switch self {
        case .bool: ["type": "boolean"]
        case .integer(let range): ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
        case .duration: ["type": "string", "pattern": .text(PlaybookKeys.durationPattern)]
        case .text(let maxBytes): ["type": "string", "maxLength": .integer(Int64(maxBytes))]
        case .prose: ["type": "string"]
        case .choice(let choices): ["enum": .array(choices.map(JSON.text))]
        case .signal: ["type": ["string", "integer"], "examples": ["KILL", "TERM"]]
        case .network: ["type": "string", "examples": ["192.0.2.1", "2001:db8::/32"]]
        case .endpoint: ["type": "string", "examples": ["10.0.0.0/8", "192.0.2.7:22/tcp"]]
        case .list(let element, let maxCount): ["type": "array", "items": element.schema, "maxItems": .integer(Int64(maxCount))]
        }
    }
}
