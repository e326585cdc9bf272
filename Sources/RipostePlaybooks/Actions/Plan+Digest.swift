internal import Crypto
package import RiposteCore

extension Plan {
    /// The plan's name: SHA-256 over what makes it this plan and no other: the action, the target's identity, the parameters, how long it is to
    /// stay in force, and what an earlier deed left that it goes by. What a person approves, an intent announces and an outcome reports is the plan of this name.
    package func digest(undoAfter: Duration? = nil, token: JSONObject? = nil) -> String {
        var parts = [action.rawValue, target.key, JSON.object(parameters.json.sorted).line, undoAfter?.text ?? ""]
        if let token { parts.append(JSON.object(token.sorted).line) }
        var hash = SHA256()
        for part in parts {
            hash.update(data: Array("\(part.utf8.count):".utf8))
            hash.update(data: Array(part.utf8))
        }
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension JSONObject {
    /// The same members in the order of their names, the objects inside too.
    fileprivate var sorted: JSONObject {
        func sorted(_ value: JSON) -> JSON {
            switch value {
            case .object(let object): .object(object.sorted)
            case .array(let elements): .array(elements.map(sorted))
            default: value
            }
        }
        return JSONObject(members.sorted { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }.map { .init(key: $0.key, value: sorted($0.value)) })
    }
}
