internal import CRiposte
internal import HTTPTypes
internal import Hummingbird
internal import HummingbirdCore
internal import Glibc
internal import Logging
internal import NIOCore
internal import RiposteCore
internal import RiposteIntake
internal import RiposteOutputs
internal import RipostePlaybooks

/// The agent's ear for operators: HTTP on a Unix socket. Who asks is what the kernel says of the connection, never what the request says.
struct ControlServer: Sendable {
    let path: String
    let groupID: UInt32?
    let house: EngineHouse
    let status: @Sendable () -> JSON
    let reload: @Sendable () async -> JSON
    let outputs: Outputs
    let logger: Logger
    let libraryLogger: Logger

    func run() async throws {
        try UnixSocket.clear(path)
        let router = Router(context: ControlContext.self)
        router.get(RouterPath(ControlPath.status)) { _, context in await respond(context) { status() } }
        router.post(RouterPath(ControlPath.reload)) { _, context in await respond(context) { await reload() } }
        router.post(RouterPath(ControlPath.actions)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in try await desk.act(ManualCommand(json: json)).json }
        }
        router.post(RouterPath(ControlPath.undo)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in ["results": .array(try await desk.undo(UndoCommand(json: json)).map(\.json))] }
        }
        router.post(RouterPath(ControlPath.inForce)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in ["in_force": .array(try await desk.inForce(UndoSelection(json: json)).map(\.json))] }
        }
        router.post(RouterPath(ControlPath.pardons)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in
                _ = try ControlReader(json, known: [])
                return ["pardons": .array(try await desk.pardons().map(\.json))]
            }
        }
        router.post(RouterPath(ControlPath.liftPardons)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in
                ["pardons": .array(try await desk.liftPardons(PardonLiftCommand(json: json)).map(\.json))]
            }
        }
        router.post(RouterPath(ControlPath.cancel)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in ["result": await desk.cancel(try CancelCommand(json: json))?.json ?? .null] }
        }
        router.get(RouterPath(ControlPath.breakers)) { _, context in
            await respond(context) { ["breakers": .array(house.engine.snapshot.breakers.all.map(\.json))] }
        }
        router.post(RouterPath(ControlPath.closeBreaker)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in try await desk.closeBreaker(BreakerCommand(json: json)).json }
        }
        router.get(RouterPath(ControlPath.approvals)) { _, context in
            guard let desk = await desk(context) else { return denied }
            do throws(DeskError) { return Self.response(.ok, ["questions": .array(try await desk.questions())]) } catch {
                return Self.response(.badRequest, error.json)
            }
        }
        router.post(RouterPath(ControlPath.approvals)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in
                let answered = try await desk.decide(DecisionCommand(json: json))
                return ["settled": .bool(answered.isSettled), "results": .array(answered.results.map(\.json))]
            }
        }
        router.post(RouterPath(ControlPath.respond)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in
                ["reports": .array(try await desk.respond(RespondCommand(json: json)).map(\.json))]
            }
        }
        router.post(RouterPath(ControlPath.explain)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in try await desk.explain(ExplainCommand(json: json)).json }
        }
        router.get(RouterPath(ControlPath.modes)) { _, context in await respond(context) { house.engine.modesInForce } }
        router.post(RouterPath(ControlPath.steering)) { request, context in
            await order(request, context) { desk, json throws(DeskError) in try await desk.steer(SteeringCommand(json: json)).json }
        }
        router.post(RouterPath(ControlPath.outputTest)) { [outputs] request, context in
            await order(request, context) { _, json throws(DeskError) in
                let name = try ControlReader(json, known: ["name"]).needed("name", "an output's name") { $0.string?.repaired }
                guard let test = await outputs.test(name) else { throw DeskError.noOutput(name, among: outputs.names) }
                return OutputDesk.json(name, test)
            }
        }
        let application = Application(
            router: router, configuration: ApplicationConfiguration(address: .unixDomainSocket(path: path), serverName: nil),
            onServerRunning: { _ in openToGroup() }, logger: libraryLogger)
        try await application.run()
    }

    /// Until here the file's mode is what the umask made of it; who connects is asked for credentials all the same.
    private func openToGroup() {
        chmod(path, 0o660)
        if let groupID { chown(path, UInt32.max, groupID) }
    }

    private static let bodyLimit = 256 << 20

    private func order(
        _ request: Request, _ context: ControlContext, _ body: (LocalDesk, JSON) async throws(DeskError) -> JSON
    ) async -> Response {
        guard let desk = await desk(context) else { return denied }
        let bytes: ByteBuffer
        do { bytes = try await request.body.collect(upTo: Self.bodyLimit) } catch is NIOTooManyBytesError {
            return Self.response(.contentTooLarge, DeskError(.invalid, "the message is longer than the \(Self.bodyLimit >> 20) MiB that are taken at once: send it in parts").json)
        } catch {
            return Self.response(.badRequest, DeskError(.invalid, "the message did not come as a whole: \(error)").json)
        }
        guard let json = try? JSON(parsing: Array(buffer: bytes)) else { return Self.response(.badRequest, DeskError(.invalid, "the body is no JSON").json) }
        do throws(DeskError) { return Self.response(.ok, try await body(desk, json)) } catch {
            return Self.response(.badRequest, error.json)
        }
    }

    private func respond(_ context: ControlContext, _ body: () async -> JSON) async -> Response {
        guard await desk(context) != nil else { return denied }
        return Self.response(.ok, await body())
    }

    private var denied: Response { Self.response(.forbidden, DeskError(.denied, "the agent takes no orders from this user").json) }

    /// A desk for the one at the other end, or nil where that one has nothing to say here.
    private func desk(_ context: ControlContext) async -> LocalDesk? {
        guard let peer = await context.peer() else { return nil }
        let isAllowed = peer.uid == 0 || peer.uid == geteuid() || groupID.map { peer.gid == $0 || Operator.isMember(peer.uid, of: $0) } ?? false
        guard isAllowed else {
            logger.warning("order refused", metadata: ["peer.uid": "\(peer.uid)", "peer.pid": "\(peer.pid)"])
            return nil
        }
        let actor = AuditRecord.Actor(.person, name: Operator.name(of: peer.uid), uid: peer.uid, pid: peer.pid)
        return LocalDesk(house, actor: actor, groups: { Operator.groupNames(of: peer.uid, actingWith: peer.gid) })
    }

    private static func response(_ status: HTTPResponse.Status, _ json: JSON) -> Response {
        Response(status: status, headers: [.contentType: "application/json"], body: .init(byteBuffer: ByteBuffer(bytes: json.bytes)))
    }
}

/// A request that knows its connection.
private struct ControlContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    private let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// SO_PEERCRED; the kernel's `struct ucred` has the layout of ours.
    func peer() async -> riposte_credentials? {
        guard let options = channel as? any SocketOptionProvider else { return nil }
        let credentials: EventLoopFuture<riposte_credentials> = options.unsafeGetSocketOption(level: .socket, name: .init(rawValue: SO_PEERCRED))
        return try? await credentials.get()
    }
}
