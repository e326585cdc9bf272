internal import Glibc
package import RiposteCore
internal import RiposteRules

/// Files and folders that nobody else may change: each by the name that it was given and by the one that the kernel has for it. What lies in a folder is
/// guarded with it.
package struct GuardedFiles: Sendable, Equatable {
    /// Absolute, each once, no `/` at the end.
    package let paths: [ByteText]

    /// What is not there yet is guarded by the name that it was given. The root folder is none that could be.
    package init(_ paths: [String]) {
        var found: [ByteText] = []
        for path in paths.flatMap({ [Self.absolute($0), Self.real($0)] }) {
            guard let path, path.count > 1, path.first == Self.slash else { continue }
            let name = ByteText(path.last == Self.slash ? Array(path.dropLast()) : path)
            if !found.contains(name) { found.append(name) }
        }
        self.paths = found
    }

    private static let slash = UInt8(ascii: "/")

    private static func absolute(_ path: String) -> [UInt8]? {
        if path.hasPrefix("/") { return Array(path.utf8) }
        guard let folder = getcwd(nil, 0) else { return nil }
        defer { free(folder) }
        return Array(String(cString: folder).utf8) + [slash] + Array(path.utf8)
    }

    private static func real(_ path: String) -> [UInt8]? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return (0..<strlen(real)).map { UInt8(bitPattern: real[$0]) }
    }

    /// Whether a path, without `.`, `..` and `//`, is one of them or lies below one.
    func contain(_ path: UnsafeRawBufferPointer) -> Bool {
        paths.contains { guarded in
            guard path.starts(with: guarded.bytes) else { return false }
            return path.count == guarded.bytes.count || path[guarded.bytes.count] == Self.slash
        }
    }

    /// Whether one of them lies below a path, and goes where that goes.
    func lieBelow(_ path: UnsafeRawBufferPointer) -> Bool {
        paths.contains { $0.bytes.count > path.count && $0.bytes[path.count] == Self.slash && $0.bytes.starts(with: path) }
    }

    // MARK: - For the kernel

    /// A path at or below one of them.
    var texts: [KernelFilter.PathText] {
        paths.flatMap { path -> [KernelFilter.PathText] in
            let bytes = path.bytes
            guard bytes.count < KernelFilter.pathByteLimit else { return [.init(Array(bytes.prefix(KernelFilter.pathByteLimit)), isWhole: false)] }
            return [.init(bytes, isWhole: true), .init(bytes + [Self.slash], isWhole: false)]
        }
    }

    /// The folders that they lie in, up to the root.
    var ancestors: [KernelFilter.PathText] {
        var found: Set<[UInt8]> = []
        for path in paths {
            var folder = path.bytes
            while let end = folder.lastIndex(of: Self.slash), end > 0 {
                folder = Array(folder[..<end])
                if folder.count <= KernelFilter.pathByteLimit { found.insert(folder) }
            }
        }
        return found.sorted { $0.lexicographicallyPrecedes($1) }.map { .init($0, isWhole: true) }
    }
}
