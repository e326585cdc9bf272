internal import RiposteCore
internal import RipostePlaybooks
internal import RiposteRules

extension AgentConfiguration {
    static func guards(_ node: YAMLNode) -> [GuardRule] {
        var names: [String: Int] = [:]
        return node.list(code: "C003")?.compactMap { node in
            guard let rule = GuardRule(reading: node) else { return nil }
            if let line = names[rule.name] { node.report(code: "C003", "guard \"\(rule.name)\" was defined before, in line \(line)") }
            names[rule.name] = node.place?.line ?? 0
            return rule
        } ?? []
    }
}

extension GuardRule {
    private static let keys = [
        "name", "process", "container", "namespaces", "pod_owners", "annotations", "addresses", "actions", "playbooks", "during", "time_zone", "then",
    ]

    /// Nil where it has no name; what else is wrong is reported.
    fileprivate init?(reading node: YAMLNode) {
        guard let keys = node.mapping(known: Self.keys, what: "a guard", code: "C002") else { return nil }
        guard let name = keys["name"]?.text(code: "C003") else {
            if keys["name"] == nil { node.report(code: "C003", "a guard needs the key \"name\"") }
            return nil
        }
        let isName = 1...63 ~= name.utf8.count && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
        if !isName { keys["name"]?.report(code: "C003", "a guard's name has 1 to 63 lower-case letters, digits and dashes") }
        self.init(name: name, place: "\(node.file):\(node.place?.line ?? 0)")
        if let keys = keys["process"]?.mapping(known: ["names", "executables", "users"], what: "process of guard \(name)", code: "C002") {
            processNames = Self.words(keys["names"])
            executables = Self.words(keys["executables"])
            users = Self.words(keys["users"])
        }
        if let keys = keys["container"]?.mapping(known: ["names", "images", "labels"], what: "container of guard \(name)", code: "C002") {
            containerNames = Self.words(keys["names"])
            images = Self.words(keys["images"])
            labels = Self.words(keys["labels"])
        }
        namespaces = Self.words(keys["namespaces"])
        podOwners = Self.owners(keys["pod_owners"])
        annotations = Self.words(keys["annotations"])
        addresses = Self.networks(keys["addresses"])
        actions = Self.words(keys["actions"])
        playbooks = Self.words(keys["playbooks"])
        let zone = keys["time_zone"]?.text(code: "C003") ?? "UTC"
        during = Self.windows(keys["during"], zone)
        if keys["time_zone"] != nil, keys["during"] == nil { keys["time_zone"]?.report(code: "C003", "time_zone needs the key \"during\"") }
        answer = keys["then"]?.choice(Answer.self, code: "C003") ?? .refuse
        let saysNothing = keys.keys.allSatisfy { ["name", "then", "time_zone"].contains($0) }
        if saysNothing { node.report(code: "C003", "guard \"\(name)\" has no condition; write `actions: [\"*\"]` if every action is meant") }
    }

    /// A list is any of its entries; an empty one, or an empty entry, would be none at all.
    private static func words(_ node: YAMLNode?) -> [String] {
        guard let node, let nodes = node.list(orSingle: true, code: "C003") else { return [] }
        if nodes.isEmpty { node.report(code: "C003", "an empty list holds for nothing; leave the key out, or name something") }
        return nodes.compactMap { node in
            guard let text = node.text(code: "C003") else { return nil }
            if text.isEmpty || text.hasPrefix("=") { node.report(code: "C003", "expected a text that is not empty") }
            return text
        }
    }

    private static func owners(_ node: YAMLNode?) -> [String] {
        let owners = words(node)
        for owner in owners where owner.split(separator: "/", omittingEmptySubsequences: false).count != 2 {
            node?.report(code: "C003", "\"\(owner.escapedForDisplay)\" is no owner; write KIND/NAME, such as StatefulSet/db-*")
        }
        return owners
    }

    private static func networks(_ node: YAMLNode?) -> [IPNetwork] {
        words(node).compactMap { text in
            if let network = IPNetwork(text) { return network }
            node?.report(code: "C003", "\"\(text.escapedForDisplay)\" is no address or block such as 192.0.2.1 or 10.0.0.0/8")
            return nil
        }
    }

    private static func windows(_ node: YAMLNode?, _ zone: String) -> [TimeWindow] {
        words(node).compactMap { text in
            do throws(TimeWindow.Invalid) { return try TimeWindow(text, zone: zone) } catch {
                node?.report(code: "C003", error.message)
                return nil
            }
        }
    }
}
