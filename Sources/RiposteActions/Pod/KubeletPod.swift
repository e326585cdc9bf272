internal import RiposteCore

/// What the kubelet's own places on this host say of a pod: for processes in containers of a runtime that no engine of ours knows.
package struct KubeletPod: Equatable {
    let namespace: String
    let name: String
    let uid: String

    /// Where the kubelet keeps the logs of pods, in folders `NAMESPACE_NAME_UID`. Only root writes there.
    package static let logFolder = "/var/log/pods"

    init(namespace: String, name: String, uid: String) { (self.namespace, self.name, self.uid) = (namespace, name, uid) }

    /// The pod of this UID; nil where the kubelet of this host has none.
    init?(uid: String, logFolder: String = Self.logFolder) {
        for folder in ProcFS.names(in: logFolder) where folder.hasSuffix("_\(uid)") {
            let parts = folder.split(separator: "_", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3 else { continue }
            self.init(namespace: parts[0], name: parts[1], uid: uid)
            return
        }
        return nil
    }

    /// The UID in a cgroup's path, as the kubelet makes them: `/kubepods/burstable/podUID/…`, `/kubepods.slice/…/kubepods-burstable-podUID.slice/…`, also below
    /// `/kubelet`. Of a static pod it is the hash of its file. The first part tells: only root names one that stands there.
    static func uid(inCgroup path: String) -> String? {
        let parts = path.split(separator: "/").drop { $0 == ".." }
        guard let first = parts.first, first.hasPrefix("kubepods") || first.hasPrefix("kubelet") else { return nil }
        return parts.lazy.compactMap(uid(inPart:)).first
    }

    private static func uid(inPart part: Substring) -> String? {
        let part = part.hasSuffix(".slice") ? part.dropLast(".slice".count) : part
        // In the names of slices a dash means another level, so the UID's own are underscores.
        guard let word = part.split(separator: "-").last(where: { $0.hasPrefix("pod") }), let start = part.firstRange(of: word)?.lowerBound else { return nil }
        let uid = part[start...].dropFirst("pod".count).replacing("_", with: "-")
        let digits = uid.utf8.filter { $0 != UInt8(ascii: "-") }
        guard digits.count == 32, digits.allSatisfy({ 0x30...0x39 ~= $0 || 0x61...0x66 ~= $0 }) else { return nil }
        return String(uid)
    }

    /// Whether what the API says is about this very pod. The API's copy of a static pod has a UID of its own.
    func isTold(by state: PodState) -> Bool {
        state.identity.uid == uid || ["kubernetes.io/config.hash", "kubernetes.io/config.mirror"].contains { state.annotations[$0] == uid }
    }
}
