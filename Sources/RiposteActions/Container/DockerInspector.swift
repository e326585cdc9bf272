package import RiposteCore
package import RipostePlaybooks

/// Tells of a container all that rules may ask, in the engine's words. For whoever only looks: it stops and starts nothing.
package struct DockerInspector: Sendable {
    private let docker: DockerClient

    package init(docker: DockerClient) { self.docker = docker }

    /// A container by its id. Nil where the engine knows none of that id; throws where it does not answer, or gives what is no container.
    package func inspect(_ id: String) async throws(ActionError) -> ContainerInspection? {
        do throws(ActionError) {
            var inspection = try await docker.inspection(id)
            // The engine prefers names: a container may be called like another's id.
            guard inspection.id.hasPrefix(id) else { return nil }
            if let other = inspection.networkOwner, inspection.address == nil { inspection.address = await address(of: other) }
            if let image = await image(of: inspection) { inspection.take(image) }
            return inspection
        } catch {
            guard error.failure == nil else { throw error }
            return nil
        }
    }

    /// Its image may have been removed since: then the container's own word is all there is.
    private func image(of inspection: ContainerInspection) async -> ImageInspection? {
        do throws(ActionError) { return try await docker.image(inspection.imageID) } catch { return nil }
    }

    private func address(of id: String) async -> String? {
        do throws(ActionError) { return try await docker.inspection(id).address } catch { return nil }
    }
}

/// What the engine says of one container, of which ``ContainerState`` is the part that actions decide by.
package struct ContainerInspection: Sendable, Equatable {
    package struct Mount: Sendable, Equatable {
        package var source: String
        package var destination: String
        package var mode: String
        package var isWritable: Bool
        package var propagation: String
    }

    /// In full.
    package let id: String
    /// Without the slash that the engine puts before it.
    package let name: String
    /// As it was asked for, `registry:5000/a/b:tag@sha256:…`; of an image that was asked for by its id its name, where it has one.
    package private(set) var image: String
    /// `latest` where `image` names neither tag nor digest and the engine took that one; else empty.
    package private(set) var impliedTag = ""
    /// With `sha256:` in front.
    package let imageID: String
    /// What the image's registry calls it, `sha256:…`; empty where it came from none.
    package private(set) var imageDigest = ""
    package let isPrivileged: Bool
    package let sharesHostPID: Bool
    package let sharesHostNetwork: Bool
    package let sharesHostIPC: Bool
    package let mounts: [Mount]
    package let labels: [String: String]
    /// IPv4, of its first network.
    package fileprivate(set) var address: String?
    package let startedAt: Timestamp?
    /// The container in whose network it is.
    fileprivate let networkOwner: String?

    init?(json: JSON) {
        guard let state = ContainerState(json: json) else { return nil }
        let host = json["HostConfig"]
        (id, name, image, labels, startedAt, isPrivileged) = (state.id, state.name, state.image, state.labels, state.startedAt, state.isPrivileged)
        imageID = json["Image"]?.string?.repaired ?? ""
        sharesHostPID = host?["PidMode"]?.string == "host"
        sharesHostIPC = host?["IpcMode"]?.string == "host"
        sharesHostNetwork = state.networkMode == "host"
        networkOwner = state.networkOwner
        mounts = json["Mounts"]?.array?.map(Mount.init(json:)) ?? []
        let settings = json["NetworkSettings"]
        let networks = settings?["Networks"]?.object?.members.map { $0.value["IPAddress"]?.string } ?? []
        address = ([settings?["IPAddress"]?.string] + networks).compactMap { $0?.repaired }.first { !$0.isEmpty }
    }

    fileprivate mutating func take(_ image: ImageInspection) {
        let isName = image.names.contains(self.image) || image.names.contains("\(self.image):latest")
        if !isName, imageID.hasPrefix(self.image) || imageID.dropFirst(7).hasPrefix(self.image), let name = image.names.first { self.image = name }
        impliedTag = image.names.contains("\(self.image):latest") ? "latest" : ""
        imageDigest = image.digest(for: self.image)
    }
}

extension ContainerInspection.Mount {
    fileprivate init(json: JSON) {
        func text(_ key: ByteText) -> String { json[key]?.string?.repaired ?? "" }
        self.init(source: text("Source"), destination: text("Destination"), mode: text("Mode"), isWritable: json["RW"]?.bool ?? false, propagation: text("Propagation"))
    }
}

/// Of `GET /images/{id}/json` what says where an image came from.
struct ImageInspection: Sendable, Equatable {
    /// `repository:tag` each.
    let names: [String]
    /// `repository@sha256:…` each.
    let digests: [String]

    init(json: JSON) {
        func texts(_ key: ByteText) -> [String] { json[key]?.array?.compactMap { $0.string?.repaired } ?? [] }
        names = texts("RepoTags").filter { !$0.hasPrefix("<none>") }
        digests = texts("RepoDigests").filter { !$0.hasPrefix("<none>") }
    }

    /// The digest that the repository of `reference` has for it, or the only one there is; empty where there is none.
    func digest(for reference: String) -> String {
        let name = reference.prefix { $0 != "@" }
        let match = digests.first { digest in
            let repository = digest.prefix { $0 != "@" }
            return name == repository || name.hasPrefix("\(repository):")
        }
        guard let digest = match ?? (digests.count == 1 ? digests.first : nil), let at = digest.firstIndex(of: "@") else { return "" }
        return String(digest[digest.index(after: at)...])
    }
}
