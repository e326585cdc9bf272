internal import Foundation
internal import Glibc
internal import Logging
package import RiposteCore

/// Follows a file of JSON lines, as Falco's `file_output` and an API server's audit log are written: across rotation, truncation, and restarts
/// of ours.
///
/// How far it has read is kept in a file of its own, moved only behind what was taken; so a restart reads some lines twice at worst, and none
/// is lost.
package struct FileIntake: Intake {
    package let name: String
    package let counters: IntakeCounters
    private let path: String
    private let offsetFile: OffsetFile
    private let startsAtBeginning: Bool
    private let reader: any LineReader

    /// A file of alerts. `stateDirectory` holds the offset. On the very first run reading starts at the file's end, unless told otherwise.
    package init(
        name: String = "file", path: String, stateDirectory: String, startsAtBeginning: Bool = false, trust: Alert.Arrival.Trust = .trusted,
        sink: any AlertSink
    ) {
        let reader = AlertReader(name: name, trust: trust, sink: sink, counters: IntakeCounters())
        self.init(name: name, path: path, stateDirectory: stateDirectory, startsAtBeginning: startsAtBeginning, reader: reader, counters: reader.counters)
    }

    /// The audit log of an API server, `--audit-log-path`; otherwise the same.
    package init(
        name: String = "kubernetes_audit_log", kubernetesAuditLog path: String, stateDirectory: String, startsAtBeginning: Bool = false,
        trust: Alert.Arrival.Trust = .trusted, sink: any KubernetesAuditSink
    ) {
        let reader = KubernetesAuditReceiver(name: name, trust: trust, sink: sink, counters: IntakeCounters())
        self.init(name: name, path: path, stateDirectory: stateDirectory, startsAtBeginning: startsAtBeginning, reader: reader, counters: reader.counters)
    }

    private init(name: String, path: String, stateDirectory: String, startsAtBeginning: Bool, reader: any LineReader, counters: IntakeCounters) {
        self.name = name
        self.path = path
        self.startsAtBeginning = startsAtBeginning
        self.reader = reader
        self.counters = counters
        offsetFile = OffsetFile(path: "\(stateDirectory)/intake/\(name).offset")
    }

    package var place: String { path }

    package func run() async throws {
        try offsetFile.createFolder()
        try await SourceThread().run(named: "riposte-file") { thread in
            let notifications = inotify_init1(Int32(O_CLOEXEC) | Int32(O_NONBLOCK))
            defer { close(notifications) }
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            var state = Following(wasHere: offsetFile.load(), startsAtBeginning: startsAtBeginning)
            var scratch = [UInt8](repeating: 0, count: 4096)
            while true {
                // Again each time: the folder, too, may come and go.
                inotify_add_watch(notifications, folder, UInt32(IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE))
                guard follow(&state, thread) else { return }
                // A second at most, for file systems that notify nobody.
                if thread.wait(for: [notifications], 1000).contains(thread.stop) { return }
                _ = read(notifications, &scratch, scratch.count)
            }
        }
    }

    /// What is open, and how far it is read.
    private struct Following {
        var file: FollowedFile?
        var wasHere: OffsetFile.Position?
        var startsAtBeginning: Bool
    }

    /// Reads what there is. False when it is time to end.
    private func follow(_ state: inout Following, _ thread: SourceThread) -> Bool {
        while true {
            if state.file == nil {
                guard let file = FollowedFile(path: path) else {
                    // It is not there yet; what comes later is all new.
                    state.startsAtBeginning = true
                    return true
                }
                state.file = file
                state.file?.start(at: state.wasHere, orAtBeginning: state.startsAtBeginning)
                state.startsAtBeginning = true
            }
            guard readOn(&state, thread) else { return false }
            guard let file = state.file, file.wasReplaced(at: path) else { return true }
            // The old one once more to its end, for what was written between the last look and the rename.
            guard readOn(&state, thread) else { return false }
            if let last = state.file?.lastLine(), !take(.line(last), thread) { return false }
            state.file?.closeFile()
            state.file = nil
            state.wasHere = nil
        }
    }

    private func readOn(_ state: inout Following, _ thread: SourceThread) -> Bool {
        guard var file = state.file else { return true }
        defer { state.file = file }
        while let pieces = file.next() {
            for piece in pieces where !take(piece, thread) { return false }
            offsetFile.save(file.position)
        }
        return true
    }

    private func take(_ piece: LineSplitter.Piece, _ thread: SourceThread) -> Bool {
        switch piece {
        case .line(let line): return thread.insist { () throws(AdmissionError) in try reader.take(line, peer: path) }
        case .tooLong(let head):
            reader.reject(AlertError(problem: "a line is longer than 1 MiB"), head, peer: path)
            return true
        }
    }
}

/// What is made of a file's lines.
protocol LineReader: Sendable {
    /// Hands one line in. Throws only what says that there is no room for it; a line of nonsense is counted and told, and the next one follows.
    func take(_ line: [UInt8], peer: String?) throws(AdmissionError)
    /// Counts and tells a line that cannot be handed in.
    func reject(_ problem: AlertError, _ text: [UInt8], peer: String?)
}

/// An open file that others append to.
private struct FollowedFile {
    private let descriptor: Int32
    private var device: UInt64
    private var inode: UInt64
    /// Behind the last byte that was read.
    private var offset = 0
    private var knownHead: [UInt8] = []
    private var lines = LineSplitter()

    init?(path: String) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        var information = stat()
        fstat(descriptor, &information)
        (device, inode) = (UInt64(information.st_dev), UInt64(information.st_ino))
    }

    func closeFile() { close(descriptor) }

    /// Behind the last finished line.
    var position: OffsetFile.Position {
        OffsetFile.Position(device: device, inode: inode, offset: offset - lines.pendingBytes, head: head)
    }

    /// The first bytes: an inode is used again, a file begun anew begins otherwise.
    private var head: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return Array(bytes.prefix(max(0, count)))
    }

    mutating func start(at position: OffsetFile.Position?, orAtBeginning: Bool) {
        var information = stat()
        fstat(descriptor, &information)
        let size = Int(information.st_size)
        if let position, position.device == device, position.inode == inode, position.offset <= size, head.starts(with: position.head.prefix(head.count)) {
            offset = position.offset
        } else {
            // Known, but not this one: it was rotated while we were away, and all in it is new.
            offset = orAtBeginning || position != nil ? 0 : size
        }
    }

    /// A file that was emptied is shorter than what was read, or, refilled already, begins otherwise: then it is read from its beginning.
    private mutating func wasTruncated() -> Bool {
        var information = stat()
        fstat(descriptor, &information)
        let head = head
        defer { knownHead = head }
        guard Int(information.st_size) < offset || !head.starts(with: knownHead.prefix(offset)) else { return false }
        offset = 0
        lines = LineSplitter()
        return true
    }

    /// The lines of the next piece; nil where there is nothing more for now.
    mutating func next() -> [LineSplitter.Piece]? {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = pread(descriptor, &buffer, buffer.count, off_t(offset))
            // Asked after the read: what was read of another text that took this one's place is the middle of it.
            if wasTruncated() { continue }
            guard count > 0 else { return nil }
            offset += count
            return lines.take(buffer.prefix(count))
        }
    }

    mutating func lastLine() -> [UInt8]? { lines.end() }

    func wasReplaced(at path: String) -> Bool {
        var information = stat()
        guard stat(path, &information) == 0 else { return false }
        return UInt64(information.st_dev) != device || UInt64(information.st_ino) != inode
    }
}

/// Where a followed file was read to, on disk.
private struct OffsetFile: Sendable {
    struct Position: Sendable, Equatable {
        var device: UInt64
        var inode: UInt64
        var offset: Int
        var head: [UInt8]
    }

    let path: String

    func createFolder() throws {
        try FileManager.default.createDirectory(
            at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    func load() -> Position? {
        guard let bytes = FileManager.default.contents(atPath: path), let json = try? JSON(parsing: Array(bytes)),
            let device = json["device"]?.integer, let inode = json["inode"]?.integer, let offset = json["offset"]?.integer,
            let head = json["head"]?.string?.valid.flatMap({ [UInt8](base64: $0) })
        else { return nil }
        return Position(device: UInt64(bitPattern: device), inode: UInt64(bitPattern: inode), offset: Int(offset), head: head)
    }

    /// An offset that is not kept makes a restart read some lines twice, no more: it is not worth stopping for.
    func save(_ position: Position) {
        let json: JSON = [
            "device": .integer(Int64(bitPattern: position.device)), "inode": .integer(Int64(bitPattern: position.inode)),
            "offset": .integer(Int64(position.offset)), "head": .text(position.head.base64),
        ]
        try? Data(json.bytes).write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
