/// How many bytes somebody may have written down: so many a second, and what was left unused of the last minute. A plain value.
struct ByteRation: Sendable, Equatable {
    private static let savedSeconds = 60

    private let perSecond: Double
    /// Below nothing where more was taken than there was: one who asks for much gets it, and then waits the longer.
    private var left: Double
    private var looked: Duration

    /// `now` is time that never goes back.
    init(perSecond: Int, at now: Duration) {
        self.perSecond = Double(perSecond)
        left = Double(perSecond) * Double(Self.savedSeconds)
        looked = now
    }

    /// False, and nothing is taken, where all is used up.
    mutating func take(_ bytes: Int, at now: Duration) -> Bool {
        left = min(left + perSecond * max(0, (now - looked) / .seconds(1)), perSecond * Double(Self.savedSeconds))
        looked = max(looked, now)
        guard left > 0 else { return false }
        left -= Double(bytes)
        return true
    }

    mutating func giveBack(_ bytes: Int) { left += Double(bytes) }
}
