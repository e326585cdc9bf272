internal import Foundation
internal import RiposteCore

/// A file of alerts, one per line, read piece by piece: a week's recording need not fit into memory.
struct AlertStream {
    static let lineLimit = 1 << 20
    private static let pieceSize = 1 << 18

    private let handle: FileHandle
    /// Nil: nobody knows, as of a pipe.
    let size: Int?
    /// How many bytes were read so far.
    private(set) var position = 0
    private var rest: [UInt8] = []
    /// What is left of a line that is too long is passed over.
    private var skips = false
    private var isAtEnd = false

    /// `-` is standard input.
    init(_ path: String) throws {
        if path == "-" {
            (handle, size) = (.standardInput, nil)
            return
        }
        do { handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path)) } catch {
            throw Complaint("\(path) cannot be read: \((error as NSError).localizedFailureReason ?? error.localizedDescription)", status: 2)
        }
        var information = stat()
        size = fstat(handle.fileDescriptor, &information) == 0 && information.st_mode & S_IFMT == S_IFREG ? Int(information.st_size) : nil
    }

    /// The next lines that have something in them, at least so many unless the file ends; none: it has ended. Of a line that is too long it gives the beginning, which
    /// is no alert.
    mutating func next(_ count: Int) throws -> [[UInt8]] {
        var lines: [[UInt8]] = []
        func take(_ line: ArraySlice<UInt8>) { if !skips, line.contains(where: { $0 > 0x20 }) { lines.append(Array(line)) } }
        while lines.count < count, !isAtEnd {
            guard let piece = try handle.read(upToCount: Self.pieceSize), !piece.isEmpty else {
                isAtEnd = true
                take(rest[...])
                break
            }
            position += piece.count
            rest += piece
            var begin = rest.startIndex
            while let end = rest[begin...].firstIndex(of: UInt8(ascii: "\n")) {
                take(rest[begin..<end])
                skips = false
                begin = end + 1
            }
            rest.removeFirst(begin)
            guard rest.count > Self.lineLimit else { continue }
            take(rest.prefix(256))
            skips = true
            rest.removeAll(keepingCapacity: true)
        }
        return lines
    }
}
