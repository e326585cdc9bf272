internal import Dispatch
internal import RiposteCore
internal import Synchronization

/// A file of JSON lines, falcosidekick's payload on each, rotated by size and age.
package final class FileDestination: Destination {
    package static let kind = "file"

    private let file: Mutex<RotatingFile>
    private let path: String
    private let body: MessageTemplate?
    private let now: @Sendable () -> Timestamp
    /// A disk that hangs holds up this queue's thread and nobody else's.
    private let queue: DispatchQueue
    package let limits = BatchLimits(count: 1000, bytes: 4 << 20, deadline: .seconds(60))

    package init?(settings: DestinationSettings, context: DestinationContext) {
        let path = settings.required("path", settings.path)
        let rotation = settings.section("rotate")
        var policy = RotatingFile.Policy()
        if let value = rotation.size("size", in: 1 << 10...1 << 40) { policy.size = value }
        policy.age = rotation.duration("every", in: .seconds(1) ... .seconds(366 * 86400))
        if let value = rotation.integer("keep", in: 1...1000) { policy.kept = value }
        if let value = settings.choice("sync", RotatingFile.Policy.Sync.self) { policy.sync = value }
        if let value = settings.text("mode") {
            if let bits = UInt32(value, radix: 8), bits <= 0o777 {
                policy.mode = bits
            } else {
                settings.report("mode", "expected permissions such as 0640 for mode of \(settings.title)")
            }
        }
        body = settings.lineTemplate("line")
        guard let path else { return nil }
        self.path = path
        now = context.now
        queue = DispatchQueue(label: "riposte-output-\(context.name)")
        file = Mutex(RotatingFile(path: path, policy: policy))
    }

    package var place: String { path }

    package func deliver(_ batch: [OutputMessage]) async -> DeliveryReport {
        var lines: [UInt8] = []
        lines.reserveCapacity(batch.reduce(0) { $0 + $1.size })
        for message in batch {
            if let body { lines += Array(body.text(for: message).utf8) } else { lines += message.payloadBytes }
            lines.append(UInt8(ascii: "\n"))
        }
        let time = now()
        let failure: OutputFileError? = await onQueue { [self, lines] in
            file.withLock { file in
                do throws(OutputFileError) { try file.append(lines, at: time) } catch { return error }
                return nil
            }
        }
        if let failure { return DeliveryReport(whole: .tryAgain(reason: failure.description), count: batch.count, answer: failure.description) }
        return DeliveryReport(whole: .delivered, count: batch.count, answer: "\(lines.count) bytes written to \(path)")
    }

    package func reopen() async { await onQueue { [self] in file.withLock { $0.close() } } }
    package func close() async { await onQueue { [self] in file.withLock { $0.close() } } }

    private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: body()) } }
    }
}
