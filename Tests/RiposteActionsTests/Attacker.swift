import Foundation
import RiposteTestSupport

/// A small program in C that does what no honest one does, built for a test: `Tests/Attackers/NAME.c`.
final class Attacker: Sendable {
    static let isPossible = Machine.has("gcc")

    let path: String
    private let folder: TemporaryFolder

    struct NotBuilt: Error { let output: String }

    init(_ name: String) throws {
        folder = try TemporaryFolder()
        path = "\(folder.path)/\(name)"
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../Attackers/\(name).c").path
        let (status, output) = try run(["gcc", "-O1", "-pthread", "-o", path, source])
        guard status == 0 else { throw NotBuilt(output: output) }
    }
}
