package import RiposteCore

/// How much happened when, in at most so many equal stretches of time: as it gets longer, neighbours are put together.
package struct RehearsalTimeline: Sendable, Equatable {
    package enum Series: Int, CaseIterable, Sendable { case alert, act, refusal, undo }

    package static let limit = 240

    package private(set) var begin: Timestamp?
    package private(set) var end: Timestamp?
    package private(set) var width = Duration.seconds(60)
    /// Per stretch, by ``Series``.
    package private(set) var stretches: [[Int]] = []

    package init() {}

    mutating func count(_ series: Series, at time: Timestamp) {
        let start = begin ?? time
        begin = start
        end = max(end ?? time, time)
        // Alerts that come late count where the recording begins at the earliest.
        let offset = max(.zero, time - start)
        while Self.index(offset, width) >= Self.limit { halve() }
        let index = Self.index(offset, width)
        while stretches.count <= index { stretches.append([0, 0, 0, 0]) }
        stretches[index][series.rawValue] += 1
    }

    private static func index(_ offset: Duration, _ width: Duration) -> Int { Int(offset.components.seconds / width.components.seconds) }

    private mutating func halve() {
        width = width * 2
        stretches = stride(from: 0, to: stretches.count, by: 2).map { index in
            index + 1 < stretches.count ? zip(stretches[index], stretches[index + 1]).map(+) : stretches[index]
        }
    }

    package func begin(of stretch: Int) -> Timestamp? { begin.map { $0 + width * stretch } }

    /// The most acts in any stretch.
    package var peak: (count: Int, at: Timestamp)? {
        guard let index = stretches.indices.max(by: { stretches[$0][Series.act.rawValue] < stretches[$1][Series.act.rawValue] }),
            stretches[index][Series.act.rawValue] > 0
        else { return nil }
        return begin(of: index).map { (stretches[index][Series.act.rawValue], $0) }
    }

    package var json: JSON {
        [
            "stretch_s": .integer(width.components.seconds),
            "stretches": .array(
                stretches.map { ["alerts": .integer(Int64($0[0])), "acts": .integer(Int64($0[1])), "refused": .integer(Int64($0[2])), "undone": .integer(Int64($0[3]))] }),
        ]
    }
}
