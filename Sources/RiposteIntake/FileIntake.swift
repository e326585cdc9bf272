internal import Foundation
internal import Glibc
internal import Logging
package import RiposteCore
internal import Synchronization

/// Follows a file of JSON lines, as Falco's `file_output` and an API server's audit log are written: across rotation, truncation, and restarts
/// of ours.
///
/// How far it has read is kept in a file of its own, moved only behind what was taken; so a restart reads some lines twice at worst. A file that was renamed away is
/// read beside the new one as long as somebody still writes to it, and looked for in its folder after a restart. What cannot be found there any more is told: nothing is
/// lost in silence. The place is one file's: another path begins anew, and that is told too. Only who empties a file (`copytruncate`) loses what was written between our last look and that.
///
/// A file speaks for whoever may write to it: what is in one that others than root, the agent's own user and `owners` may change is not believed.
package struct FileIntake: Intake {
    package let name: String
    package let counters: IntakeCounters
    private let path: String
    private let offsetFile: OffsetFile
    private let startsAtBeginning: Bool
    /// How long nothing must have come in a file that was renamed away until nobody writes to it any more: a writer opens the new one when it is told to, or has time.
    private let lingering: Duration
    private let reader: any LineReader
    /// Of what is in files that anybody may have written.
    private let doubting: any LineReader
    private let owners: Set<UInt32>
    private let isBelieved: Bool
    private let trouble = Trouble()

    /// A file of alerts. `stateDirectory` holds the offset. On the very first run reading starts at the file's end, unless told otherwise.
    package init(
        name: String = "file", path: String, stateDirectory: String, startsAtBeginning: Bool = false, lingering: Duration = .seconds(60),
        trust: Alert.Arrival.Trust = .trusted, owners: Set<UInt32> = [], sink: any AlertSink
    ) {
        let counters = IntakeCounters()
        self.init(name, path, stateDirectory, startsAtBeginning, lingering, trust, owners, counters) {
            AlertReader(name: name, trust: $0, sink: sink, counters: counters)
        }
    }

    /// The audit log of an API server, `--audit-log-path`; otherwise the same.
    package init(
        name: String = "kubernetes_audit_log", kubernetesAuditLog path: String, stateDirectory: String, startsAtBeginning: Bool = false,
        lingering: Duration = .seconds(60), trust: Alert.Arrival.Trust = .trusted, owners: Set<UInt32> = [], sink: any KubernetesAuditSink
    ) {
        let counters = IntakeCounters()
        self.init(name, path, stateDirectory, startsAtBeginning, lingering, trust, owners, counters) {
            KubernetesAuditReceiver(name: name, trust: $0, sink: sink, counters: counters)
        }
    }

    private init(
        _ name: String, _ path: String, _ stateDirectory: String, _ startsAtBeginning: Bool, _ lingering: Duration, _ trust: Alert.Arrival.Trust, _ owners: Set<UInt32>,
        _ counters: IntakeCounters, _ reader: (Alert.Arrival.Trust) -> any LineReader
    ) {
        self.name = name
        self.path = path
        self.startsAtBeginning = startsAtBeginning
        self.lingering = lingering
        self.owners = owners
        isBelieved = trust == .trusted
        self.reader = reader(trust)
        doubting = reader(.untrusted)
        self.counters = counters
        offsetFile = OffsetFile(path: "\(stateDirectory)/intake/\(name).offset")
    }

    /// Why what is in a file would not be believed; nil where it would be, or there is none.
    package static func objection(to path: String, owners: Set<UInt32>) -> String? { FileRights(path: path)?.objection(owners: owners) }

    package var place: String { path }
    package var obstacle: String? { trouble.text.withLock(\.self) }

    /// Why there is nothing to read, for `riposte status`.
    private final class Trouble: Sendable { let text = Mutex<String?>(nil) }

    package func run() async throws {
        try offsetFile.createFolder()
        try await SourceThread().run(named: "riposte-file") { thread in
            let notifications = inotify_init1(Int32(O_CLOEXEC) | Int32(O_NONBLOCK))
            defer { close(notifications) }
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            var state = Following(startsAtBeginning: startsAtBeginning)
            takeUp(&state, folder: folder)
            defer {
                if let unsaved = state.unsaved { offsetFile.save(unsaved) }
                for file in state.older + [state.file].compactMap(\.self) { file.closeFile() }
            }
            var scratch = [UInt8](repeating: 0, count: 4096)
            while true {
                // Again each time: the folder, too, may come and go.
                inotify_add_watch(notifications, folder, UInt32(IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE))
                guard follow(&state, thread) else { return }
                // A second at most, for file systems that notify nobody.
                if thread.wait(for: [notifications], state.unsaved == nil ? 1000 : Self.savingPause).contains(thread.stop) { return }
                _ = read(notifications, &scratch, scratch.count)
                saveIfDue(&state)
            }
        }
    }

    /// What is open, and how far it is read.
    private struct Following {
        var file: FollowedFile?
        /// Renamed away, and maybe still written to. The oldest first.
        var older: [FollowedFile] = []
        /// Where those were read to that are not kept open any more.
        var finished: [OffsetFile.Position] = []
        var startsAtBeginning: Bool
        /// How far what was taken reaches, where that is not on disk yet.
        var unsaved: OffsetFile.Saved?
        var saved = ContinuousClock.now
    }

    /// Milliseconds between two times that places are put on disk. After a death in between, what came in that time is read twice.
    private static let savingPause: Int32 = 200

    /// More than so many renamed files are not kept open: the oldest is read to its end.
    private static let olderLimit = 8

    // MARK: - After a restart

    /// Goes on where the last run was, in whichever files that is now, and with those that came and were renamed in between.
    private func takeUp(_ state: inout Following, folder: String) {
        let loaded: OffsetFile.Saved?
        do throws(OffsetFile.Unreadable) { loaded = try offsetFile.load() } catch {
            tell("how far \(path) was read is not known, and it is read from its beginning: \(error)")
            state.startsAtBeginning = true
            return
        }
        guard let saved = loaded else { return }
        // The place is another file's, unless that has only got another name.
        if let before = saved.path, before != absolutePath, !saved.positions.contains(where: isThere) {
            let beginning = state.startsAtBeginning ? "its beginning" : "its end, as it is now"
            tell("\(path) is followed for the first time, from \(beginning): before, it was \(before), and how far that was read is forgotten")
            return
        }
        state.finished = saved.finished
        // What is there now is all new, unless it is where we were.
        state.startsAtBeginning = true
        let rotated = RotatedFiles(folder: folder, name: URL(fileURLWithPath: path).lastPathComponent, owners: owners(saved), saved)
        for position in saved.positions {
            if let file = FollowedFile.at(path, where: { $0.isAt(position) }) {
                file.resume(at: position)
                state.file = file
            } else if let file = rotated.find(position) {
                file.resume(at: position)
                state.older.append(file)
            } else {
                tell("\(path) was read to byte \(position.offset), and that file is not in its folder any more: what came after that is not known")
            }
        }
        state.older += rotated.newer()
        for name in rotated.compressed() { tell("\(folder)/\(name) is compressed: what is in it and was not read before is not known") }
        let foreign = rotated.foreign()
        if let first = foreign.first {
            tell("\(foreign.count) files in \(folder), such as \(first.escapedForDisplay), belong to others than \(path) does, or are links: they are not read")
        }
    }

    private var absolutePath: String { URL(fileURLWithPath: path).standardizedFileURL.path }

    /// Whether what was read up to there is the followed file.
    private func isThere(_ position: OffsetFile.Position) -> Bool {
        guard let file = FollowedFile.at(path, where: { $0.isAt(position) }) else { return false }
        file.closeFile()
        return true
    }

    /// Whose files beside the followed one are looked at.
    private func owners(_ saved: OffsetFile.Saved) -> Set<UInt32> {
        owners.union([0, geteuid()]).union(FileRights(path: path).map { [$0.owner] } ?? []).union((saved.positions + saved.finished).compactMap(\.owner))
    }

    private func tell(_ problem: String) { reader.reject(AlertError(problem: problem), [], peer: path) }

    // MARK: - Reading

    /// Reads what there is. False when it is time to end.
    private func follow(_ state: inout Following, _ thread: SourceThread) -> Bool {
        while true {
            guard readOlder(&state, thread) else { return false }
            if state.file == nil {
                switch FollowedFile.opening(path) {
                case .success(let file):
                    trouble.text.withLock { $0 = nil }
                    file.begin(atEnd: !state.startsAtBeginning)
                    state.file = file
                    saveNow(&state)
                case .failure(let problem):
                    trouble.text.withLock { $0 = problem.text }
                }
                // If it is not there yet, what comes later is all new, for the next run too.
                if !state.startsAtBeginning, state.file == nil { saveNow(&state) }
                state.startsAtBeginning = true
            }
            guard let file = state.file else { return true }
            tellWhetherBelieved(file)
            guard readOn(file, &state, thread) else { return false }
            guard file.wasReplaced(at: path) else { return true }
            // Who writes to it may not know yet that it has another name.
            file.beginSilence()
            state.older.append(file)
            state.file = nil
        }
    }

    /// Those that were renamed away, each until it has been silent for a while.
    private func readOlder(_ state: inout Following, _ thread: SourceThread) -> Bool {
        for file in state.older {
            guard readOn(file, &state, thread) else { return false }
            guard file.silence >= lingering || state.older.count > Self.olderLimit else { continue }
            if let last = file.lastLine(), !take(.line(last), by: reader(of: file), thread) { return false }
            state.finished = state.finished.suffix(Self.olderLimit - 1) + [file.position]
            state.older.removeAll { $0 === file }
            file.closeFile()
            saveNow(&state)
        }
        return true
    }

    private func readOn(_ file: FollowedFile, _ state: inout Following, _ thread: SourceThread) -> Bool {
        while let pieces = file.next() {
            let reader = reader(of: file)
            for piece in pieces where !take(piece, by: reader, thread) { return false }
            state.unsaved = places(state)
            saveIfDue(&state)
        }
        return true
    }

    /// Asked for each piece: who may write to a file can change.
    private func reader(of file: FollowedFile) -> any LineReader { file.objection(owners) == nil ? reader : doubting }

    private func take(_ piece: LineSplitter.Piece, by reader: any LineReader, _ thread: SourceThread) -> Bool {
        switch piece {
        case .line(let line): return thread.insist { () throws(AdmissionError) in try reader.take(line, peer: path) }
        case .tooLong(let head):
            reader.reject(AlertError(problem: "a line is longer than 1 MiB"), head, peer: path)
            return true
        }
    }

    private func tellWhetherBelieved(_ file: FollowedFile) {
        let objection = isBelieved ? file.objection(owners) : nil
        trouble.text.withLock { $0 = objection.map { "\(path): \($0); what comes from there is observed only" } }
    }

    // MARK: - How far it was read

    private func places(_ state: Following) -> OffsetFile.Saved {
        OffsetFile.Saved(
            path: absolutePath, positions: (state.older + [state.file].compactMap(\.self)).map(\.position), finished: state.finished, time: Timestamp.now().nanoseconds)
    }

    private func saveNow(_ state: inout Following) {
        offsetFile.save(places(state))
        (state.unsaved, state.saved) = (nil, .now)
    }

    private func saveIfDue(_ state: inout Following) {
        guard let unsaved = state.unsaved, state.saved.duration(to: .now) >= .milliseconds(Int64(Self.savingPause)) else { return }
        offsetFile.save(unsaved)
        (state.unsaved, state.saved) = (nil, .now)
    }
}

/// What is made of a file's lines.
protocol LineReader: Sendable {
    /// Hands one line in. Throws only what says that there is no room for it; a line of nonsense is counted and told, and the next one follows.
    func take(_ line: [UInt8], peer: String?) throws(AdmissionError)
    /// Counts and tells a line that cannot be handed in.
    func reject(_ problem: AlertError, _ text: [UInt8], peer: String?)
}
