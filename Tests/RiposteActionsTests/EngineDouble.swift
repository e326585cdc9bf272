import Foundation
import RiposteCore
import RiposteTestSupport
import Synchronization
import Testing

@testable import RiposteActions

/// A container engine of the tests' on a Unix socket, for what a real one does not do when it is asked to: lose its answers, name a process that is not the
/// container's, call one container by another's id. It keeps connections open, as the real one does.
final class EngineDouble: Sendable {
    struct Container: Sendable {
        var id: String
        var name: String
        var isRunning = true
        var isPaused = false
        var pid: Int32 = 0
        var startedAt = "2026-01-01T00:00:00Z"
        var sandbox = ""
    }

    struct World: Sendable {
        var containers: [Container] = []
        /// So many calls to pause are carried out, and the connection is closed instead of an answer.
        var lostAnswers = 0
        /// `POST ID pause`, in their order.
        var deeds: [String] = []
        fileprivate var events: [(time: Timestamp, line: String)] = []
    }

    let world: Mutex<World>
    let socket: String
    private let folder: TemporaryFolder
    private let listening: Int32

    init(_ containers: [Container]) throws {
        world = Mutex(World(containers: containers))
        folder = try TemporaryFolder()
        socket = folder.path + "/docker.sock"
        listening = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socket.utf8) }
        let listening = listening
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listening, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) } == 0
        }
        try #require(isBound && listen(listening, 16) == 0)
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(listening, nil, nil)
                guard connection >= 0 else { return }
                Thread.detachNewThread { [weak self] in
                    while let request = Self.read(connection), let answer = self?.answer(request) { _ = send(connection, answer, answer.utf8.count, Int32(MSG_NOSIGNAL)) }
                    close(connection)
                }
            }
        }
    }

    deinit {
        shutdown(listening, Int32(SHUT_RDWR))
        close(listening)
    }

    /// Method and path of a request without a body; nil at the connection's end.
    private static func read(_ connection: Int32) -> [String]? {
        var head: [UInt8] = []
        var byte: UInt8 = 0
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard recv(connection, &byte, 1, 0) == 1 else { return nil }
            head.append(byte)
        }
        return String(decoding: head, as: UTF8.self).split(separator: " ").prefix(2).map(String.init)
    }

    /// Nil closes the connection.
    private func answer(_ request: [String]) -> String? {
        guard request.count == 2 else { return nil }
        let path = request[1].split(separator: "?")[0].split(separator: "/").map(String.init)
        if path == ["version"] { return Self.text(200, #"{"Version":"27","ApiVersion":"1.47","MinAPIVersion":"1.24"}"#) }
        return world.withLock { world in
            if path.last == "events" {
                let since = request[1].split { "?&".contains($0) }.first { $0.hasPrefix("since=") }?.dropFirst("since=".count)
                return Self.text(200, world.events.filter { $0.time.engineText >= since ?? "" }.map(\.line).joined(separator: "\n"))
            }
            guard path.count == 4, path[1] == "containers" else { return Self.text(400, #"{"message":"\#(request[1])"}"#) }
            // An id, else a name: the real engine's order.
            guard let index = world.containers.firstIndex(where: { $0.id == path[2] }) ?? world.containers.firstIndex(where: { $0.name == path[2] }) else {
                return Self.text(404, #"{"message":"No such container: \#(path[2])"}"#)
            }
            if request[0] == "GET" { return Self.text(200, Self.json(world.containers[index])) }
            world.deeds.append("\(world.containers[index].id) \(path[3])")
            return Self.change(&world, index, path[3])
        }
    }

    private static func change(_ world: inout World, _ index: Int, _ verb: String) -> String? {
        switch verb {
        case "pause" where world.containers[index].isPaused: return text(409, #"{"message":"Container is already paused"}"#)
        case "unpause" where !world.containers[index].isPaused: return text(409, #"{"message":"Container is not paused"}"#)
        case "pause", "unpause": world.containers[index].isPaused = verb == "pause"
        case "start", "stop": world.containers[index].isRunning = verb == "start"
        default: return text(400, #"{"message":"\#(verb)"}"#)
        }
        let now = Timestamp.now()
        world.events.append((now, #"{"Action":"\#(verb)","Actor":{"ID":"\#(world.containers[index].id)"},"timeNano":\#(now.nanoseconds)}"#))
        if verb == "pause", world.lostAnswers > 0 {
            world.lostAnswers -= 1
            return nil
        }
        return "HTTP/1.1 204 No Content\r\n\r\n"
    }

    private static func text(_ status: Int, _ body: String) -> String {
        "HTTP/1.1 \(status) X\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private static func json(_ container: Container) -> String {
        let status = container.isPaused ? "paused" : container.isRunning ? "running" : "exited"
        let state =
            #""Status":"\#(status)","Running":\#(container.isRunning),"Paused":\#(container.isPaused),"Pid":\#(container.pid),"StartedAt":"\#(container.startedAt)""#
        let settings = #""HostConfig":{"NetworkMode":"bridge"},"NetworkSettings":{"SandboxKey":"\#(container.sandbox)"}"#
        return #"{"Id":"\#(container.id)","Name":"/\#(container.name)","State":{\#(state)},"Config":{"Image":"busybox"},\#(settings)}"#
    }
}
