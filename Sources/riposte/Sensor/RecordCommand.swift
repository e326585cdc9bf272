internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import RiposteAgent
internal import RiposteCore
internal import RiposteRules
internal import RiposteSensor
internal import Synchronization

struct RecordCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "record", abstract: "Writes system calls of this host to a file, for `rules replay`.",
        discussion: """
            One JSON object per line (docs/recorded-events.md). A file that reaches --rotate-size is set aside as FILE.1, FILE.2 … of which the last \
            --keep stay; nothing is written beyond --max-size in all.

            Examples:
              riposte record --out events.jsonl --for 10m
              riposte record 'evt.type in (execve, execveat)' --out execs.jsonl --rotate-size 64MiB --keep 4
              riposte rules replay rules/ --events events.jsonl
            """)

    @Argument(help: "Which events; default: what rules usually ask for.")
    var condition: String?

    @Option(name: .long, help: "The file; it must not be there yet.", completion: .file())
    var out: String

    @Option(name: .customLong("for"), help: "End after this time, as 30s or 10m.")
    var time: Duration?

    @Option(name: .long, help: "End when so much was written in all.")
    var maxSize = ByteSize(bytes: 1 << 30)

    @Option(name: .long, help: "Begin a new file at this size.")
    var rotateSize: ByteSize?

    @Option(name: .long, help: "How many files that were set aside are kept.")
    var keep = 9

    @Option(name: .long, help: "Rules whose fields with arguments are recorded too; may be repeated.", completion: .file())
    var rules: [String] = []

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if keep < 1 { throw ValidationError("--keep takes a number from 1") }
        if let rotateSize, rotateSize.bytes < 1 << 16 { throw ValidationError("--rotate-size is 64KiB at least") }
    }

    func run() async throws {
        let live = try LiveEvents(condition: condition, format: EventsCommand.format, common: common)
        var asked: RuleSet?
        if !rules.isEmpty {
            let (set, findings, _) = RuleSet.load(paths: rules)
            for finding in findings where finding.isError { Terminal.complainPlainly(finding.diagnostic.rendered) }
            guard set != nil else { throw ExitCode(2) }
            asked = set
        }
        let sink = RecordSink(try EventRecorder(rules: asked), try RecordFile(path: out, limit: maxSize.bytes, rotateAt: rotateSize?.bytes, keep: keep))
        var configuration = Sensor.Configuration()
        configuration.judgesKernelPaths = false
        try await live.run(configuration, sink: sink, logger: CommonOptions.logger("warning"), for: time) { sink.isFull }
        let (events, lost, problem) = sink.finish()
        Terminal.remark("\(events) events recorded" + (lost > 0 ? ", \(lost) lost" : ""))
        if let problem { throw Complaint(problem, status: 1) }
    }
}

private final class RecordSink: SensorSink {
    private struct Work {
        let recorder: EventRecorder
        var file: RecordFile
        var lost: UInt64 = 0
        var problem: String?
    }

    private struct Carried: @unchecked Sendable {
        // The recorder is used by the sensor's thread only; the lock is for the ends.
        var work: Work
    }

    private let state: Mutex<Carried>

    init(_ recorder: EventRecorder, _ file: RecordFile) {
        let carried = Carried(work: Work(recorder: recorder, file: file))
        state = Mutex(carried)
    }

    var isFull: Bool { state.withLock { $0.work.file.isFull || $0.work.problem != nil } }

    func take(_ rule: Rule, _ event: SensorEvent, _ values: RuleJudge) {
        state.withLock { state in
            guard !state.work.file.isFull, state.work.problem == nil else { return }
            let line = JSON.object(state.work.recorder.document(of: event)).bytes + [0x0A]
            do throws(RecordFile.Failure) { try state.work.file.write(line) } catch { state.work.problem = error.description }
        }
    }

    func lost(_ events: [String: UInt64]) { state.withLock { $0.work.lost += events.values.reduce(0, +) } }

    func finish() -> (events: Int, lost: UInt64, problem: String?) {
        state.withLock { state in
            do throws(RecordFile.Failure) { try state.work.file.close() } catch { state.work.problem = state.work.problem ?? error.description }
            return (state.work.file.events, state.work.lost, state.work.problem)
        }
    }
}

/// The file of a recording, begun anew at a size, and never longer than what was allowed in all. It ends with a whole line, also where the disk is full.
struct RecordFile {
    /// Why it could not be written, with the remedy.
    struct Failure: Error, CustomStringConvertible {
        let path: String
        let code: CInt

        var description: String {
            "\(path) cannot be written: \(String(cString: strerror(code)))" + (code == ENOSPC || code == EDQUOT ? "; make room, or keep it smaller with --max-size" : "")
        }
    }

    private let path: String
    private let limit: Int
    private let rotateAt: Int?
    private let keep: Int
    private var descriptor: CInt
    /// Of the file at hand: with what is in the buffer, and without.
    private var size = 0
    private var written = 0
    private var total = 0
    private(set) var isFull = false
    /// Lines in all files together.
    private(set) var events = 0
    private var buffer: [UInt8] = []

    private static let bufferBytes = 1 << 16
    private static let newline = UInt8(ascii: "\n")

    /// Fails where the file is there already: nothing that was recorded is overwritten.
    init(path: String, limit: Int, rotateAt: Int?, keep: Int) throws {
        (self.path, self.limit, self.rotateAt, self.keep) = (path, limit, rotateAt, keep)
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Complaint("\(path) cannot be made: \(String(cString: strerror(errno)))", status: 2) }
    }

    /// Takes a line, if there is room for it.
    mutating func write(_ line: [UInt8]) throws(Failure) {
        guard total + line.count <= limit else {
            isFull = true
            return
        }
        if let rotateAt, size > 0, size + line.count > rotateAt { try rotate() }
        buffer += line
        size += line.count
        total += line.count
        events += 1
        if buffer.count >= Self.bufferBytes { try flush() }
    }

    private mutating func flush() throws(Failure) {
        var place = 0
        while place < buffer.count {
            let count = buffer.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + place }, $0.count - place) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let code = count < 0 ? errno : EIO
                endWithWholeLine(place)
                throw Failure(path: path, code: code)
            }
            place += count
        }
        written += buffer.count
        buffer.removeAll(keepingCapacity: true)
    }

    /// Of the buffer, `count` bytes were written. What reads the file would stumble over half a line.
    private mutating func endWithWholeLine(_ count: Int) {
        let whole = (buffer[..<count].lastIndex(of: Self.newline) ?? -1) + 1
        events -= buffer[whole...].count { $0 == Self.newline }
        written += whole
        ftruncate(descriptor, off_t(written))
        buffer.removeAll()
    }

    private mutating func rotate() throws(Failure) {
        try close()
        unlink("\(path).\(keep)")
        for number in stride(from: keep - 1, through: 1, by: -1) { rename("\(path).\(number)", "\(path).\(number + 1)") }
        rename(path, "\(path).1")
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure(path: path, code: errno) }
        (size, written) = (0, 0)
    }

    /// Once; after a failure nothing is left to write.
    mutating func close() throws(Failure) {
        guard descriptor >= 0 else { return }
        defer {
            Glibc.close(descriptor)
            descriptor = -1
        }
        try flush()
    }
}

/// A size with its unit, as `64MiB`.
struct ByteSize: ExpressibleByArgument {
    let bytes: Int

    init(bytes: Int) { self.bytes = bytes }

    init?(argument: String) {
        let units: [(String, Int)] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("B", 1)]
        let digits = argument.prefix { $0.isASCII && $0.isNumber }
        let unit = argument.dropFirst(digits.count)
        guard let number = Int(digits), number > 0, let factor = unit.isEmpty ? 1 : units.first(where: { $0.0 == unit })?.1 else { return nil }
        let (bytes, overflows) = number.multipliedReportingOverflow(by: factor)
        guard !overflows else { return nil }
        self.bytes = bytes
    }

    var defaultValueDescription: String { bytes % (1 << 30) == 0 ? "\(bytes >> 30)GiB" : "\(bytes)B" }
}
