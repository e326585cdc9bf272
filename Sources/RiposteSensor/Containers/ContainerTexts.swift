internal import RiposteCore
internal import RiposteRules

/// The values of `container.*` and `k8s.*` fields as bytes: made once per container, when its facts arrive.
struct ContainerTexts: Sendable {
    struct Mount: Sendable {
        let source: [UInt8]
        let destination: [UInt8]
        let mode: [UInt8]
        let isWritable: Bool
        let propagation: [UInt8]
        /// `source:destination:mode:rdwr:propagation`
        let whole: [UInt8]
    }

    let name: [UInt8]
    let image: [UInt8]
    let repository: [UInt8]
    let tag: [UInt8]
    let imageID: [UInt8]
    let imageDigest: [UInt8]
    let address: [UInt8]
    let mounts: [Mount]
    let allMounts: [UInt8]
    /// In the order of their keys.
    let labels: [(key: [UInt8], value: [UInt8])]
    /// Without annotations and those of Kubernetes itself.
    let allLabels: [UInt8]
    /// Nil outside Kubernetes.
    let pod: Pod?

    /// The pod that a container belongs to, as the container's labels have it.
    struct Pod: Sendable {
        let name: [UInt8]
        let namespace: [UInt8]?
        let uid: [UInt8]?
        /// Of the container that holds the pod's namespaces; nil where this is it, or where it is not told.
        let sandboxID: ByteText?
        let isSandbox: Bool

        init?(_ labels: [String: String]) {
            guard let name = labels["io.kubernetes.pod.name"] else { return nil }
            self.name = Array(name.utf8)
            namespace = labels["io.kubernetes.pod.namespace"].map { Array($0.utf8) }
            uid = labels["io.kubernetes.pod.uid"].map { Array($0.utf8) }
            let kind: String = labels["io.kubernetes.docker.type"] ?? labels["io.cri-containerd.kind"] ?? labels["io.kubernetes.cri-o.ContainerType"] ?? ""
            isSandbox = kind == "podsandbox" || kind == "sandbox"
            sandboxID = isSandbox ? nil : labels["io.kubernetes.sandbox.id"].map { ByteText($0) }
        }
    }

    init(
        name: String, image: String, impliedTag: String, imageID: String, imageDigest: String, address: String?, mounts: [ContainerFacts.Mount], labels: [String: String]
    ) {
        self.name = Array(name.utf8)
        self.image = Array(image.utf8)
        (repository, tag) = Self.split(self.image, impliedTag: Array(impliedTag.utf8))
        self.imageID = Array(imageID.utf8)
        self.imageDigest = Array(imageDigest.utf8)
        self.address = Array((address ?? "").utf8)
        self.mounts = mounts.map(Mount.init)
        allMounts = Array(self.mounts.map(\.whole).joined(separator: [UInt8(ascii: ",")]))
        self.labels = labels.map { (Array($0.utf8), Array($1.utf8)) }.sorted { $0.0.lexicographicallyPrecedes($1.0) }
        allLabels = Self.joined(self.labels)
        pod = Pod(labels)
    }

    /// The repository and the tag of an image reference, `registry:5000/a/b:tag@sha256:…`. Of an image that is known by its own id neither.
    private static func split(_ image: [UInt8], impliedTag: [UInt8]) -> (repository: [UInt8], tag: [UInt8]) {
        guard !image.starts(with: "sha256:".utf8) else { return ([], []) }
        let isDigested = image.contains(UInt8(ascii: "@"))
        let reference = image.prefix { $0 != UInt8(ascii: "@") }
        let name = reference.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? reference.startIndex
        guard let colon = reference[name...].lastIndex(of: UInt8(ascii: ":")) else { return (Array(reference), isDigested ? [] : impliedTag) }
        return (Array(reference[..<colon]), Array(reference[(colon + 1)...]))
    }

    /// `name:value` each, a name alone where the value is empty, with a comma and a blank between them as Falco has it.
    private static func joined(_ labels: [(key: [UInt8], value: [UInt8])]) -> [UInt8] {
        var result: [UInt8] = []
        for (key, value) in labels where !key.starts(with: "annotation.".utf8) && !key.starts(with: "io.kubernetes.".utf8) {
            if !result.isEmpty { result += ", ".utf8 }
            result += key
            if !value.isEmpty { result += [UInt8(ascii: ":")] + value }
        }
        return result
    }

    func label(_ key: UnsafeRawBufferPointer) -> [UInt8]? { labels.first { $0.key.elementsEqual(key) }?.value }

    /// The mount that a field's argument picks: a number, or a regular expression that is found somewhere in `text` of the mount. Of several the
    /// first; nil also for an expression that is none.
    func mount(_ argument: UnsafeRawBufferPointer, by text: KeyPath<Mount, [UInt8]>) -> Mount? {
        if let number = Self.number(argument) { return mounts.indices.contains(number) ? mounts[number] : nil }
        return MountPatterns.shared.withPattern(argument) { pattern in mounts.first { pattern.matchesWhole($0[keyPath: text]) } }
    }

    private static func number(_ text: UnsafeRawBufferPointer) -> Int? {
        guard 1...9 ~= text.count, text.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) else { return nil }
        return text.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }
}

extension ContainerTexts.Mount {
    fileprivate init(_ mount: ContainerFacts.Mount) {
        source = Array(mount.source.utf8)
        destination = Array(mount.destination.utf8)
        mode = Array(mount.mode.utf8)
        isWritable = mount.isWritable
        propagation = Array(mount.propagation.utf8)
        whole = Array("\(mount.source):\(mount.destination):\(mount.mode):\(mount.isWritable):\(mount.propagation)".utf8)
    }
}
