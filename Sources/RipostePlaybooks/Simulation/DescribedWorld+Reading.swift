package import RiposteCore
package import RiposteRules

extension DescribedWorld {
    /// Reads a file with a world, in YAML or JSON.
    package init(file: String, text: String) throws(Diagnostics) {
        let reader = YAMLReader(file: file, text: text)
        let world = reader.root().flatMap { DescribedWorld($0) }
        let found = Diagnostics(reader.diagnostics)
        guard !found.hasErrors, let world else {
            throw found.hasErrors ? found : Diagnostics([Diagnostic(code: "T005", file: file, message: "there is no world in it: write processes, containers, pods or addresses")])
        }
        self = world
    }

    /// Nil where it is something else; what is wrong is told to the node's reader.
    package init?(_ node: YAMLNode) {
        guard let keys = node.mapping(known: ["processes", "containers", "pods", "addresses"], what: "a world", code: "T001") else { return nil }
        processes = keys["processes"]?.list(code: "T002")?.compactMap(Process.init) ?? []
        containers = keys["containers"]?.list(code: "T002")?.compactMap(Container.init) ?? []
        pods = keys["pods"]?.list(code: "T002")?.compactMap(Pod.init) ?? []
        addresses = keys["addresses"]?.list(code: "T002")?.compactMap(Address.init) ?? []
        checkNames(keys)
    }

    /// Two of one name cannot be told apart, and what runs in a container needs one.
    private func checkNames(_ keys: [String: YAMLNode]) {
        Self.reportTwins(processes.map { "pid \($0.pid)" }, keys["processes"])
        Self.reportTwins(containers.map { "container \($0.id)" }, keys["containers"])
        Self.reportTwins(pods.map { "pod \($0.namespace)/\($0.name)" }, keys["pods"])
        for process in processes {
            guard let id = process.container, !containers.contains(where: { $0.id.hasPrefix(id) }) else { continue }
            keys["processes"]?.report(code: "T005", "process \(process.pid) runs in container \(id), which is not among containers")
        }
        for pod in pods {
            for id in pod.containers where !containers.contains(where: { $0.id.hasPrefix(id) }) {
                keys["pods"]?.report(code: "T005", "pod \(pod.namespace)/\(pod.name) has container \(id), which is not among containers")
            }
        }
    }

    private static func reportTwins(_ names: [String], _ node: YAMLNode?) {
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted { node?.report(code: "T005", "\(name) stands there twice") }
    }
}

extension DescribedWorld.Process {
    fileprivate init?(_ node: YAMLNode) {
        let known = ["pid", "start", "name", "exe", "cmdline", "parent", "container", "uid", "user"]
        guard let keys = node.mapping(known: known, what: "a process", code: "T001") else { return nil }
        guard let pid = keys["pid"]?.integer(in: 1...4_194_304, code: "T002") else {
            if keys["pid"] == nil { node.report(code: "T003", "a process needs pid") }
            return nil
        }
        let executable = keys["exe"]?.text(code: "T002").map { ByteText($0) }
        let name = keys["name"]?.text(code: "T002").map { ByteText($0) }
        self.init(
            pid: Int32(pid), start: keys["start"]?.timestamp, name: name ?? executable.map(Self.name) ?? ByteText("\(pid)"), executable: executable,
            container: keys["container"]?.containerID)
        commandLine = keys["cmdline"]?.text(code: "T002").map { ByteText($0) }
        parent = keys["parent"]?.integer(in: 1...4_194_304, code: "T002").map(Int32.init)
        userID = keys["uid"]?.integer(in: 0...Int(UInt32.max), code: "T002").map(UInt32.init)
        user = keys["user"]?.text(code: "T002")
    }

    /// comm: the last part of the path, 15 bytes at most.
    private static func name(of executable: ByteText) -> ByteText {
        ByteText(Array((executable.bytes.split(separator: UInt8(ascii: "/")).last ?? []).prefix(15)))
    }
}

extension DescribedWorld.Container {
    fileprivate init?(_ node: YAMLNode) {
        guard let keys = node.mapping(known: ["id", "name", "image", "labels", "start"], what: "a container", code: "T001") else { return nil }
        guard let id = keys["id"]?.containerID else {
            if keys["id"] == nil { node.report(code: "T003", "a container needs id") }
            return nil
        }
        self.init(
            id: id, name: keys["name"]?.text(code: "T002") ?? String(id.prefix(12)), image: keys["image"]?.text(code: "T002") ?? "",
            labels: keys["labels"]?.marks ?? [:], start: keys["start"]?.timestamp)
    }
}

extension DescribedWorld.Pod {
    fileprivate init?(_ node: YAMLNode) {
        guard let keys = node.mapping(known: ["namespace", "name", "uid", "owner", "annotations", "containers"], what: "a pod", code: "T001") else { return nil }
        guard let namespace = keys["namespace"]?.text(code: "T002"), let name = keys["name"]?.text(code: "T002") else {
            node.report(code: "T003", "a pod needs namespace and name")
            return nil
        }
        self.init(
            namespace: namespace, name: name, uid: keys["uid"]?.text(code: "T002") ?? "\(namespace)/\(name)", owner: keys["owner"]?.text(code: "T002"),
            annotations: keys["annotations"]?.marks ?? [:], containers: keys["containers"]?.list(code: "T002")?.compactMap(\.containerID) ?? [])
    }
}

extension DescribedWorld.Address {
    fileprivate init?(_ node: YAMLNode) {
        guard let keys = node.mapping(known: ["address", "blocked", "own"], what: "an address", code: "T001") else { return nil }
        guard let text = keys["address"]?.text(code: "T002"), let network = IPNetwork(text) else {
            node.report(code: "T003", "an address needs address: an address or a block such as 192.0.2.0/24")
            return nil
        }
        self.init(network: network, isBlocked: keys["blocked"]?.bool(code: "T002") ?? false, isOwn: keys["own"]?.bool(code: "T002") ?? false)
    }
}

extension YAMLNode {
    package var timestamp: Timestamp? {
        if let time = scalarText.flatMap({ Timestamp($0) }) { return time }
        report(code: "T002", "expected a time such as 2026-03-04T11:22:40Z")
        return nil
    }

    fileprivate var containerID: String? {
        guard let text = text(code: "T002") else { return nil }
        guard 12...64 ~= text.utf8.count, text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else {
            report(code: "T002", "expected a container's id (12 to 64 hexadecimal digits)")
            return nil
        }
        return text
    }

    /// Labels, annotations.
    fileprivate var marks: [String: String] {
        var marks: [String: String] = [:]
        for (key, _, value) in members(code: "T002") ?? [] { marks[key] = value.text(code: "T002") }
        return marks
    }
}
