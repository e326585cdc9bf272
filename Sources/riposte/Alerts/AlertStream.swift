internal import RiposteCore

/// Alerts in a file, read piece by piece: a week's recording need not fit into memory. One stands on a line; a list stands for those in it; and one document, an alert
/// or a list, may take several lines, if there is nothing else in the file.
struct AlertStream {
    static let lineLimit = 1 << 20
    /// Of a document over several lines.
    static let documentLimit = 64 << 20

    private static let newline = UInt8(ascii: "\n")

    private let input: InputFile
    /// Nil: nobody knows, as of a pipe.
    let size: Int?
    /// How many bytes were read so far.
    private(set) var position = 0
    private var piece = [UInt8](repeating: 0, count: 1 << 18)
    private var rest: [UInt8] = []
    private var hasBegun = false
    /// What is left of a line that is too long is passed over.
    private var skips = false
    private var isAtEnd = false

    /// `-` is standard input.
    init(_ path: String) throws(Complaint) {
        input = try InputFile(path)
        size = input.size
    }

    /// All that there are.
    static func all(in path: String) throws(Complaint) -> [[UInt8]] {
        var stream = try AlertStream(path)
        return try stream.next(.max)
    }

    /// The next alerts, at least so many unless the file ends; none: it has ended. Of a line that is too long it gives the beginning, which is no alert.
    mutating func next(_ count: Int) throws(Complaint) -> [[UInt8]] {
        var alerts: [[UInt8]] = []
        if !hasBegun { alerts = try begin() }
        while true {
            takeLines(&alerts)
            guard alerts.count < count, !isAtEnd else { return alerts }
            try read()
        }
    }

    private mutating func read() throws(Complaint) {
        let count = try input.read(into: &piece)
        isAtEnd = count == 0
        position += count
        rest += piece[..<count]
    }

    /// Where the first line is no document of its own, the whole file may be one.
    private mutating func begin() throws(Complaint) -> [[UInt8]] {
        hasBegun = true
        var start: Int?
        while true {
            start = start ?? rest.firstIndex { $0 > 0x20 }
            if isAtEnd || start.map({ rest[$0...].contains(Self.newline) }) ?? false || rest.count > Self.lineLimit { break }
            try read()
        }
        guard let start, Self.opens(rest[start]), (try? JSON(parsing: Array(rest[start...].prefix { $0 != Self.newline }))) == nil else { return [] }
        while !isAtEnd, rest.count <= Self.documentLimit { try read() }
        guard isAtEnd, let document = try? JSON(parsing: rest) else { return [] }
        defer { rest = [] }
        return document.array?.map(\.bytes) ?? [rest]
    }

    private static func opens(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") }

    /// Moves what is whole to `alerts`.
    private mutating func takeLines(_ alerts: inout [[UInt8]]) {
        var begin = rest.startIndex
        while let end = rest[begin...].firstIndex(of: Self.newline) {
            take(rest[begin..<end], &alerts)
            skips = false
            begin = end + 1
        }
        rest.removeFirst(begin)
        if isAtEnd {
            take(rest[...], &alerts)
            rest = []
        } else if rest.count > Self.lineLimit {
            take(rest.prefix(256), &alerts)
            skips = true
            rest.removeAll(keepingCapacity: true)
        }
    }

    private func take(_ line: ArraySlice<UInt8>, _ alerts: inout [[UInt8]]) {
        guard !skips, let first = line.first(where: { $0 > 0x20 }) else { return }
        if first == UInt8(ascii: "["), let list = (try? JSON(parsing: Array(line)))?.array { alerts += list.map(\.bytes) } else { alerts.append(Array(line)) }
    }
}
