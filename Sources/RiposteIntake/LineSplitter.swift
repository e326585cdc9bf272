/// Cuts a stream of bytes into lines of a bounded length. A line that is longer is dropped to its end, and told once.
struct LineSplitter {
    enum Piece: Equatable {
        case line([UInt8])
        /// The first bytes of a line that was too long.
        case tooLong([UInt8])
    }

    let limit: Int
    private var buffer: [UInt8] = []
    private var isSkipping = false
    /// Bytes that belong to no finished line yet.
    private(set) var pendingBytes = 0

    init(limit: Int = 1 << 20) { self.limit = limit }

    mutating func take(_ bytes: some Collection<UInt8>) -> [Piece] {
        var pieces: [Piece] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            finish(with: rest[..<end], &pieces)
            rest = rest[rest.index(after: end)...]
        }
        keep(rest, &pieces)
        return pieces
    }

    /// What is left when the stream ends: a last line without a newline.
    mutating func end() -> [UInt8]? {
        defer { (buffer, isSkipping, pendingBytes) = ([], false, 0) }
        return buffer.isEmpty || isSkipping ? nil : buffer
    }

    private mutating func finish(with tail: some Collection<UInt8>, _ pieces: inout [Piece]) {
        defer { (buffer, isSkipping, pendingBytes) = ([], false, 0) }
        guard !isSkipping else { return }
        guard buffer.count + tail.count <= limit else { return pieces.append(.tooLong(Array((buffer + tail).prefix(256)))) }
        pieces.append(.line(buffer + tail))
    }

    private mutating func keep(_ tail: some Collection<UInt8>, _ pieces: inout [Piece]) {
        pendingBytes += tail.count
        guard !isSkipping else { return }
        buffer += tail
        guard buffer.count > limit else { return }
        pieces.append(.tooLong(Array(buffer.prefix(256))))
        (buffer, isSkipping) = ([], true)
    }
}
