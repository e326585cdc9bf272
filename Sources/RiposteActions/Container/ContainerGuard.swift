internal import RiposteCore
package import RipostePlaybooks

/// Containers that are never touched: those that say so themselves, and the one that Riposte runs in.
package struct ContainerGuard: Guard {
    package let name = "builtin.containers"
    static let protectionLabel = "riposte.dev/protected"

    private let ownID: String?
    private let docker: DockerClient

    package init(docker: DockerClient) {
        self.docker = docker
        ownID = ProcFS.cgroup(ProcessGuards.ownPID).flatMap(ProcFS.containerID(inCgroup:)) ?? Self.idInMounts()
    }

    /// Under cgroup v2 a container's own path is `/`; the engine's files that are mounted into it still name it.
    private static func idInMounts() -> String? {
        let lines = String(decoding: ProcFS.bytes(of: "/proc/self/mountinfo") ?? [], as: UTF8.self).split(separator: "\n")
        return lines.first { $0.contains("/etc/hostname ") }.flatMap { ProcFS.containerID(inCgroup: String($0)) }
    }

    package func refusal(of plan: Plan) async -> String? {
        guard case .container(let identity) = plan.target, !Self.isRelease(plan.action) else { return nil }
        if identity.id == ownID { return "Riposte itself runs in this container" }
        do throws(ActionError) {
            let value = try await docker.inspect(identity.id).labels[Self.protectionLabel]
            return value.map { $0 != "false" } ?? false ? "the container is labelled \(Self.protectionLabel)" : nil
        } catch {
            guard error.failure != nil else { return nil }
            return "whether it is protected could not be found out: \(error.message)"
        }
    }

    /// Letting go hurts nobody.
    private static func isRelease(_ action: ActionName) -> Bool { ["container.unpause", "container.release", "container.start"].contains(action) }
}
