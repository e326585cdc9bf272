package import RiposteCore
package import RipostePlaybooks
package import RiposteTransport
internal import Synchronization

/// Docker's Engine API over its Unix socket (https://docs.docker.com/reference/api/engine/, 1.41 and later); Podman's compatible socket too.
package final class DockerClient: Sendable {
    static let oldestVersion = APIVersion(1, 41)
    static let newestVersion = APIVersion(1, 47)

    package let socket: String
    private let client: HTTPClient
    private let version = Mutex<APIVersion?>(nil)

    package init(socket: String = "/var/run/docker.sock", client: HTTPClient) {
        self.socket = socket
        self.client = client
    }

    struct APIVersion: Comparable, CustomStringConvertible {
        let major: Int
        let minor: Int

        init(_ major: Int, _ minor: Int) { (self.major, self.minor) = (major, minor) }

        init?(_ text: String) {
            let parts = text.split(separator: ".").compactMap { Int($0) }
            guard parts.count == 2 else { return nil }
            self.init(parts[0], parts[1])
        }

        static func < (left: APIVersion, right: APIVersion) -> Bool { (left.major, left.minor) < (right.major, right.minor) }
        var description: String { "\(major).\(minor)" }
    }

    // MARK: - Calls

    /// What the engine says it is: for `doctor`.
    package func engineVersion() async throws(ActionError) -> String {
        let answer = try await exchange(.get, "/version", doing: "ask the container engine for its version")
        return answer["Version"]?.string?.repaired ?? "?"
    }

    /// A container by full id, name, or the beginning of its id: the engine looks in this order.
    func inspect(_ reference: String) async throws(ActionError) -> ContainerState { try await look(at: reference, ContainerState.init(json:)) }

    /// The container of just this id. The engine takes a reference that is no id for a name, and somebody may call another container by the id of one that is gone.
    func inspect(id: String) async throws(ActionError) -> ContainerState {
        let state = try await inspect(id)
        guard state.id == id else {
            throw .gone("look up container \(id.prefix(12))", "it is not there any more; container \(state.id.prefix(12)) is called by its id")
        }
        return state
    }

    /// The same with all that rules may ask.
    func inspection(_ reference: String) async throws(ActionError) -> ContainerInspection { try await look(at: reference, ContainerInspection.init(json:)) }

    private func look<Container>(at reference: String, _ read: (JSON) -> Container?) async throws(ActionError) -> Container {
        let doing = "look up container \(reference.escapedForDisplay)"
        let answer = try await call(.get, "/containers/\(reference.escapedForPath)/json", doing: doing)
        guard let container = read(answer) else { throw ActionError(.unavailable, doing, "the engine's answer is no container") }
        return container
    }

    func image(_ id: String) async throws(ActionError) -> ImageInspection {
        ImageInspection(json: try await call(.get, "/images/\(id.escapedForPath)/json", doing: "look up image \(id.escapedForDisplay)"))
    }

    /// All containers, stopped ones too.
    package func list() async throws(ActionError) -> [ContainerListing] {
        let answer = try await call(.get, "/containers/json?all=true", doing: "list containers")
        return answer.array?.compactMap(ContainerListing.init(json:)) ?? []
    }

    func pause(_ id: String) async throws(ActionError) { _ = try await post(id, "pause") }
    func unpause(_ id: String) async throws(ActionError) { _ = try await post(id, "unpause") }
    func start(_ id: String) async throws(ActionError) { _ = try await post(id, "start") }

    func stop(_ id: String, timeout: Duration, signal: Signal?) async throws(ActionError) {
        let signal = signal.map { "&signal=\($0.name)" } ?? ""
        _ = try await post(id, "stop?t=\(timeout.components.seconds)\(signal)", within: timeout + .seconds(5))
    }

    /// True when the container has ended, false when it has not within that time.
    func hasEnded(_ id: String, within time: Duration) async throws(ActionError) -> Bool {
        do throws(ActionError) {
            _ = try await call(.post, "/containers/\(id.escapedForPath)/wait?condition=not-running", doing: "wait for container \(id.prefix(12)) to end", within: time)
            return true
        } catch {
            guard error.failure == .timeout else { throw error }
            return false
        }
    }

    func kill(_ id: String, signal: Signal) async throws(ActionError) { _ = try await post(id, "kill?signal=\(signal.name)") }

    func restart(_ id: String, timeout: Duration) async throws(ActionError) {
        _ = try await post(id, "restart?t=\(timeout.components.seconds)", within: timeout + .seconds(15))
    }

    /// What the engine remembers of a container's life since a moment, oldest first. It keeps its last 256 events only, and none where it was started
    /// anew: nothing is proved by what is missing here.
    func history(of id: String, since time: Timestamp) async -> [ContainerEvent] {
        let filters: JSON = ["type": ["container"], "container": [.text(id)], "event": .array(ContainerEvent.names.map(JSON.text))]
        let period = "since=\(time.engineText)&until=\(Timestamp.now().engineText)"
        guard let version = try? await negotiated(), let body = try? await bytes("/v\(version)/events?\(period)&filters=\(filters.line.escapedForPath)") else { return [] }
        return body.split(separator: 0x0A).compactMap { (try? JSON(parsing: Array($0))).flatMap(ContainerEvent.init(json:)) }
    }

    private func bytes(_ path: String) async throws(ActionError) -> [UInt8] {
        let doing = "ask the container engine what happened"
        do throws(TransportError) {
            let response = try await client.send(HTTPRequest(.get, "http://docker\(path)", unixSocket: socket, timeout: .seconds(5)))
            guard response.status == 200 else { throw TransportError(.broken, "status \(response.status)") }
            return response.body
        } catch { throw self.error(error, doing) }
    }

    /// Tells of each change of a container as it happens, and first of those since a time, until the engine ends, or the task is cancelled.
    package func watch(since begin: Timestamp? = nil, _ change: @escaping @Sendable (ContainerEvent) -> Void) async throws(ActionError) {
        let filters: JSON = ["type": ["container"], "event": .array(ContainerEvent.names.map(JSON.text))]
        let doing = "watch the container engine"
        let lines = EventLines(change)
        let since = begin.map { "&since=\($0.engineText)" } ?? ""
        do throws(TransportError) {
            var request = HTTPRequest(
                .get, "http://docker/v\(try await negotiatedForTransport())/events?filters=\(filters.line.escapedForPath)\(since)", unixSocket: socket, timeout: .seconds(86400))
            request.bodySink = { lines.take($0) }
            let response = try await client.send(request)
            guard response.status == 200 else { throw TransportError(.broken, "status \(response.status)") }
        } catch { throw self.error(error, doing) }
    }

    private func negotiatedForTransport() async throws(TransportError) -> APIVersion {
        do throws(ActionError) { return try await negotiated() } catch { throw TransportError(.unreachable, error.message) }
    }

    private func post(_ id: String, _ verb: String, within time: Duration = .seconds(5)) async throws(ActionError) -> JSON {
        let word = verb.prefix { $0 != "?" }
        return try await call(.post, "/containers/\(id.escapedForPath)/\(verb)", doing: "\(word) container \(id.prefix(12))", within: time)
    }

    // MARK: - Exchange

    private func call(_ method: HTTPRequest.Method, _ path: String, doing: String, within time: Duration = .seconds(5)) async throws(ActionError) -> JSON {
        try await exchange(method, "/v\(try await negotiated())\(path)", doing: doing, within: time)
    }

    /// The newest version that both sides speak.
    private func negotiated() async throws(ActionError) -> APIVersion {
        if let known = version.withLock(\.self) { return known }
        let doing = "agree with the container engine on a version"
        let answer = try await exchange(.get, "/version", doing: doing)
        guard let server = answer["ApiVersion"]?.string?.valid.flatMap(APIVersion.init) else {
            throw ActionError(.unavailable, doing, "\(socket) does not answer as a container engine does")
        }
        guard server >= Self.oldestVersion else {
            throw ActionError(.unsupported, doing, "the engine speaks API \(server)", remedy: "Docker 20.10 (API \(Self.oldestVersion)) or later is needed")
        }
        let oldest = answer["MinAPIVersion"]?.string?.valid.flatMap(APIVersion.init) ?? Self.oldestVersion
        guard oldest <= Self.newestVersion else {
            throw ActionError(.unsupported, doing, "the engine wants API \(oldest) or later; this Riposte knows \(Self.newestVersion)")
        }
        let agreed = min(server, Self.newestVersion)
        version.withLock { $0 = agreed }
        return agreed
    }

    private func exchange(_ method: HTTPRequest.Method, _ path: String, doing: String, within time: Duration = .seconds(5)) async throws(ActionError) -> JSON {
        let response: HTTPResponse
        do throws(TransportError) {
            var request = HTTPRequest(
                method, "http://docker\(path)", unixSocket: socket, headers: [("Content-Type", "application/json")], body: method == .post ? [] : nil, timeout: time)
            request.isSentOnce = method != .get
            response = try await client.send(request)
        } catch {
            version.withLock { $0 = nil }
            throw self.error(error, doing)
        }
        let body = (try? JSON(parsing: response.body)) ?? .null
        // 304: the engine had nothing to do.
        guard !(200...299).contains(response.status), response.status != 304 else { return body }
        throw self.error(response.status, body["message"]?.string?.repaired ?? "status \(response.status)", doing, retryAfter: response.retryAfter)
    }

    private func error(_ error: TransportError, _ doing: String) -> ActionError {
        switch error.code {
        case .denied: ActionError(.denied, doing, "\(socket) may not be opened", remedy: "run as root or in the group docker")
        case .unreachable: ActionError(.unavailable, doing, "no container engine answers at \(socket)", remedy: "start it, or set docker.socket")
        case .timedOut: ActionError(.timeout, doing, "the container engine did not answer in time")
        case .cancelled: ActionError(.cancelled, doing, "it was called off")
        default: ActionError(.unavailable, doing, error.message)
        }
    }

    private func error(_ status: Int, _ message: String, _ doing: String, retryAfter: Duration?) -> ActionError {
        switch status {
        case 400: ActionError(.invalid, doing, message)
        case 401, 403: ActionError(.denied, doing, message)
        case 404: .gone(doing, message)
        case 409: ActionError(.conflict, doing, message)
        case 429: ActionError(.busy, doing, message, retryAfter: retryAfter)
        default: ActionError(.unavailable, doing, message, retryAfter: retryAfter)
        }
    }
}
