/// Texts that may stand anywhere in what a program was started with, as the kernel looks for them: by pieces of a few bytes that stand, for every occurrence
/// of the text, at one of the places where it looks. See `pieces` in riposte_sensor.h.
///
/// So much as a piece of a text is no proof of it: such a test may hold, or it does not.
package enum TextPieces: Sendable {
    /// Name and arguments are looked at from every place on.
    case arguments
    /// The environment, which is long, from every fourth place on.
    case environment

    /// Places from one look to the next.
    package var stride: Int { self == .arguments ? 1 : 4 }

    private static let longest = 8
    private static let shortest = 4

    /// Of shorter texts no piece needs to stand where it is looked for.
    package var shortestText: Int { Self.shortest + stride - 1 }

    /// As they are compared: letters without regard to case, and NUL, which ends each argument, as the blank that rules see in its place.
    package static func folded(_ bytes: some Sequence<UInt8>) -> [UInt8] { bytes.map { $0 | 0x20 } }

    /// The pieces of a text, folded, one of which is met wherever the text is; nil where it is too short.
    package func pieces(of text: [UInt8]) -> [[UInt8]]? {
        guard text.count >= shortestText else { return nil }
        let length = text.count >= Self.longest + stride - 1 ? Self.longest : Self.shortest
        let text = Self.folded(text)
        // From the end, where texts that begin alike differ.
        return (0..<stride).map { Array(text[(text.count - length - $0)..<(text.count - $0)]) }
    }

    /// Whether one of the pieces of a text, and so perhaps the text, is met in `whole`.
    func mayBe(_ text: [UInt8], in whole: [UInt8]) -> Bool {
        guard let pieces = pieces(of: text) else { return true }
        let whole = Self.folded(whole)
        return Swift.stride(from: 0, to: whole.count, by: stride).contains { place in pieces.contains { whole[place...].starts(with: $0) } }
    }
}
