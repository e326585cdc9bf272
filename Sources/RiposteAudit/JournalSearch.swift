internal import Glibc
package import RiposteCore

/// Answers questions such as "what was done to this container" from the journal itself, and from nothing beside it: what stands there in a record is the answer, what was
/// changed or is missing there is told.
///
/// Reading is cheap enough for that: a line is taken apart only where the words that are asked for stand in it, and where the newest are wanted, segments are read from the
/// newest back until there are enough.
package struct JournalSearch: Sendable {
    package struct Query: Sendable {
        /// The newest so many; nil: all.
        package var limit: Int?
        package var since: Timestamp?
        package var alert: Identifier?
        package var id: Identifier?
        package var action: String?
        package var outcome: Outcome?
        package var kind: AuditRecord.Kind?
        /// Of one of these.
        package var incidents: Set<Identifier>?
        /// A pid, a container's id or name, `namespace/pod`, an address: the beginning of one of them.
        package var target: String?

        package init() {}
    }

    /// What in the part that was read is not as it was written. What the rest is like, and whether all hashes fit, the verifier says.
    package enum Problem: Equatable, Sendable, CustomStringConvertible {
        /// Between these two others are missing.
        case gap(after: Int64, before: Int64)
        /// It was changed after it was written.
        case changed(Int64)
        /// Behind this one stands something that is no record.
        case noRecord(after: Int64)
        /// The journal once went on to the second of these.
        case cut(after: Int64, upTo: Int64)

        package var description: String {
            switch self {
            case .gap(let last, let next): "records are missing between \(last) and \(next)"
            case .changed(let seq): "record \(seq) was changed after it was written"
            case .noRecord(let seq): "behind record \(seq) stands what is no record"
            case .cut(0, let head): "the journal has no record, and had \(head)"
            case .cut(let last, let head): "the journal ends with record \(last), and had \(head)"
            }
        }
    }

    private let reader: JournalReader

    package init(stateDirectory: String) { reader = JournalReader(stateDirectory: stateDirectory) }

    /// Those that fit, oldest first.
    package func records(_ query: Query, onProblem: (Problem) -> Void) throws -> [JournalEntry] {
        guard let limit = query.limit else {
            var all: [JournalEntry] = []
            try each(query, onProblem: onProblem) { entry in
                all.append(entry)
                return true
            }
            return all
        }
        guard limit > 0 else { return [] }
        let head = reader.files.readHead()?.seq ?? 0
        let start = query.isOfAll ? try firstSeq(of: limit) : 1
        var newest: [JournalEntry] = []
        // The last record of all, and the number up to which records must go before what was read; nil: nothing was read yet.
        var end: Int64?
        var next: Int64?
        for segment in try reader.files.readSegments().reversed() where newest.count < limit {
            var found: [JournalEntry] = []
            var scan = Scan(query, from: start)
            _ = try scan.read(segment, of: reader.files, onProblem: onProblem) { entry in
                found.append(entry)
                if found.count - limit >= limit { found.removeFirst(found.count - limit) }
                return true
            }
            if let last = scan.last {
                if let next, last + 1 < next { onProblem(.gap(after: last, before: next)) }
                if end == nil, last < head { onProblem(.cut(after: last, upTo: head)) }
                (end, next) = (end ?? last, segment)
            }
            next = next ?? segment
            newest = found.suffix(limit - newest.count) + newest
        }
        if end == nil, head > 0 { onProblem(.cut(after: 0, upTo: head)) }
        return newest
    }

    /// Hands over those that fit, oldest first, until `body` says false. The limit is not looked at.
    package func each(_ query: Query, onProblem: (Problem) -> Void, _ body: (JournalEntry) throws -> Bool) throws {
        let head = reader.files.readHead()?.seq ?? 0
        let segments = try reader.files.readSegments()
        var scan = Scan(query, from: 1)
        for segment in segments { guard try scan.read(segment, of: reader.files, onProblem: onProblem, body) else { return } }
        if let last = scan.last, let newest = segments.last, last + 1 < newest { onProblem(.gap(after: last, before: newest)) }
        if scan.last ?? 0 < head { onProblem(.cut(after: scan.last ?? 0, upTo: head)) }
    }

    /// Where the newest so many begin.
    private func firstSeq(of limit: Int) throws -> Int64 {
        let (distance, overflows) = (try reader.last()?.entry.seq ?? 0).subtractingReportingOverflow(Int64(limit))
        return overflows ? 1 : distance + 1
    }
}

extension JournalSearch.Query {
    /// Whether every record fits.
    var isOfAll: Bool {
        since == nil && alert == nil && id == nil && action == nil && outcome == nil && kind == nil && incidents == nil && target == nil
    }

    func fits(_ record: AuditRecord) -> Bool {
        if let since, record.time < since { return false }
        if let alert, record.alert ?? (record.kind == .alert ? record.id : nil) != alert { return false }
        if let id, record.id != id { return false }
        if let action, record.action != action { return false }
        if let outcome, record.outcome != outcome { return false }
        if let kind, record.kind != kind { return false }
        if let incidents, !(record.incident.map(incidents.contains) ?? false) { return false }
        guard let target else { return true }
        return record.target?.searchNames.contains { $0.utf8.starts(with: target.utf8) } ?? false
    }

    /// Texts that stand in the line of each record that fits.
    fileprivate var needles: [[UInt8]] {
        var needles: [String] = [alert.map { "\($0)" }, id.map { "\($0)" }].compactMap(\.self)
        if let action, action.standsAsItIs { needles.append(action) }
        if let outcome { needles.append(#""outcome":"\#(outcome.rawValue)""#) }
        if let kind { needles.append(#""kind":"\#(kind.rawValue)""#) }
        if let incidents { needles.append(incidents.count == 1 ? incidents.first.map { "\($0)" } ?? "" : #""incident":""#) }
        // A name may be put together of several members, and the host's is no member at all.
        if let target, !"host".hasPrefix(target) { needles += target.split(separator: "/").map(String.init).filter(\.standsAsItIs) }
        return needles.filter { !$0.isEmpty }.map { Array($0.utf8) }
    }
}

extension String {
    /// Whether JSON writes it without escapes, and there is one spelling of it.
    fileprivate var standsAsItIs: Bool { utf8.allSatisfy { (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "/") } }
}

/// One line after the other: whether it follows on the one before, and whether it is asked for.
private struct Scan {
    private let query: JournalSearch.Query
    private let needles: [[UInt8]]
    private let from: Int64
    /// As records write it, which sorts as the moments do.
    private let since: [UInt8]?
    private(set) var last: Int64?
    private var hash: ArraySlice<UInt8>?

    init(_ query: JournalSearch.Query, from seq: Int64) {
        self.query = query
        needles = query.needles
        from = seq
        since = query.since.map { Array("\($0)".utf8) }
    }

    /// False where `body` said so.
    mutating func read(
        _ segment: Int64, of files: JournalFiles, onProblem: (JournalSearch.Problem) -> Void, _ body: (JournalEntry) throws -> Bool
    ) throws -> Bool {
        var scanner = try SegmentScanner(path: files.segment(segment))
        while let line = try scanner.next() {
            // Of a segment that is read without the one before it, its name tells.
            let before = last ?? segment - 1
            guard let seq = JournalLine.head(line)?.seq else {
                onProblem(.noRecord(after: before))
                hash = nil
                continue
            }
            follow(seq, line, on: before, onProblem)
            guard seq >= from, mayFit(line) else { continue }
            guard let entry = JournalLine.decode(line) else {
                onProblem(.noRecord(after: seq - 1))
                continue
            }
            guard query.fits(entry.record) else { continue }
            if !entry.isAsWritten { onProblem(.changed(seq)) }
            guard try body(entry) else { return false }
        }
        return true
    }

    private mutating func follow(_ seq: Int64, _ line: [UInt8], on before: Int64, _ onProblem: (JournalSearch.Problem) -> Void) {
        if seq != before + 1 {
            onProblem(.gap(after: before, before: seq))
        } else if let last, let hash, JournalLine.previous(line).map({ $0 != hash }) ?? true {
            // It was changed and hashed anew; the one behind it knows what it was.
            onProblem(.changed(last))
        }
        last = seq
        hash = JournalLine.claimedHashBytes(line)
    }

    /// False only where the record cannot be one that is asked for.
    private func mayFit(_ line: [UInt8]) -> Bool {
        if let since, let time = JournalLine.time(line), time.lexicographicallyPrecedes(since) { return false }
        return line.withUnsafeBytes { bytes in needles.allSatisfy { needle in needle.withUnsafeBytes { Self.stands($0, in: bytes) } } }
    }

    /// The C library's `memmem`, which its Swift module does not have.
    private static func stands(_ needle: UnsafeRawBufferPointer, in line: UnsafeRawBufferPointer) -> Bool {
        guard let begin = needle.baseAddress, let base = line.baseAddress else { return needle.isEmpty }
        var place = 0
        while place + needle.count <= line.count, let found = memchr(base + place, Int32(needle[0]), line.count - place - needle.count + 1) {
            guard memcmp(found, begin, needle.count) != 0 else { return true }
            place = UnsafeRawPointer(found) - base + 1
        }
        return false
    }
}

extension Target {
    /// What a person would type to find it.
    var searchNames: [String] {
        switch self {
        case .process(let process): [String(process.pid), process.name.repaired]
        case .container(let container): [container.id, container.name]
        case .pod(let pod): ["\(pod.namespace)/\(pod.name)", pod.name, pod.uid]
        case .address(let network): ["\(network)"]
        case .host(let machineID): ["host", machineID]
        }
    }
}
