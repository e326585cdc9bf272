internal import RiposteRules

/// Paths of the event at hand joined with the directories that they are relative to, each worked out at most once: `evt.arg.name`, `fd.name` and
/// `fs.path.name` are then the same bytes. The sensor's thread alone uses it.
///
/// As Falco joins (spec: fields.md 1): an absolute path drops the base; then `//` becomes `/`, `.` goes, `..` takes one component with it but never climbs
/// above the start, a slash at the end goes. Symbolic links are not looked at.
final class JoinedPaths {
    enum Which: Int { case first = 0, second }

    /// Longer results are told as ``tooLong``.
    static let limit = 4096
    private static let tooLong: StaticString = "/DIR_TOO_LONG/FILENAME_TOO_LONG"
    private static let unknownBase: StaticString = "<UNKNOWN>"
    /// A base and a path, as long as items can be, and two slashes.
    private static let roomBytes = 2 * (Int(UInt16.max) + 2)

    private let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: 2 * JoinedPaths.roomBytes)
    private var joined: (UnsafeRawBufferPointer?, UnsafeRawBufferPointer?) = (nil, nil)

    deinit { memory.deallocate() }

    /// The next event begins.
    func reset() { joined = (nil, nil) }

    /// Nil where the event has no such path.
    func path(_ which: Which, of record: SensorRecord) -> UnsafeRawBufferPointer? {
        if let known = which == .first ? joined.0 : joined.1 { return known }
        guard let raw = record[which == .first ? .path1 : .path2] else { return nil }
        // The start of a program tells its working directory anyhow, and does not change it.
        let baseItem: SensorRecord.Item = which == .second ? .base2 : record.kind == .exec ? .workingDirectory : .base1
        let base = record.detail(baseItem) == 1 ? nil : record[baseItem]
        let path = join(base, raw, into: memory + which.rawValue * Self.roomBytes)
        if which == .first { joined.0 = path } else { joined.1 = path }
        return path
    }

    private func join(_ base: UnsafeRawBufferPointer?, _ path: UnsafeRawBufferPointer, into target: UnsafeMutablePointer<UInt8>) -> UnsafeRawBufferPointer {
        let slash = UInt8(ascii: "/")
        // Of a directory that lies too deep the end is known only.
        if path.first != slash, let base, base.first != slash { return Self.tooLong.bytes }
        var count = 0
        if path.first == slash {
            target[0] = slash
            count = 1
        } else {
            let start = base ?? Self.unknownBase.bytes
            for byte in start {
                target[count] = byte
                count += 1
            }
            if base != nil, count == 0 || target[count - 1] != slash {
                target[count] = slash
                count += 1
            }
        }
        var place = 0
        while place < path.count {
            var end = place
            while end < path.count, path[end] != slash { end += 1 }
            let length = end - place
            if length == 2, path[place] == UInt8(ascii: "."), path[place + 1] == UInt8(ascii: ".") {
                count = Self.withoutLast(target, count)
            } else if length > 1 || length == 1 && path[place] != UInt8(ascii: ".") {
                for offset in place..<end {
                    target[count] = path[offset]
                    count += 1
                }
                target[count] = slash
                count += 1
            }
            place = end + 1
        }
        if count > 1, target[count - 1] == slash { count -= 1 }
        return count <= Self.limit ? UnsafeRawBufferPointer(start: target, count: count) : Self.tooLong.bytes
    }

    /// The length up to and with the slash before the last component, which ends in a slash itself.
    private static func withoutLast(_ target: UnsafeMutablePointer<UInt8>, _ count: Int) -> Int {
        guard count > 1 else { return count }
        var shorter = count - 1
        while shorter > 0, target[shorter - 1] != UInt8(ascii: "/") { shorter -= 1 }
        return shorter > 0 ? shorter : count
    }
}
