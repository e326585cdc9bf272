/// A rule's name, exact or with `*` for any run of characters and `?` for one, byte by byte.
struct NamePattern: Sendable, Equatable {
    private let pattern: [UInt8]

    init(_ text: String) { pattern = Array(text.utf8) }

    /// Linear in the name for each star: a name made to be slow is not.
    func matches(_ name: [UInt8]) -> Bool {
        var (at, place): (Int, Int) = (0, 0)
        var star: (at: Int, place: Int)?
        while place < name.count {
            if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
                star = (at, place)
                at += 1
            } else if at < pattern.count, pattern[at] == UInt8(ascii: "?") || pattern[at] == name[place] {
                (at, place) = (at + 1, place + 1)
            } else if let last = star {
                star = (last.at, last.place + 1)
                (at, place) = (last.at + 1, last.place + 1)
            } else {
                return false
            }
        }
        return pattern[at...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
