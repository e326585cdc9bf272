internal import RiposteCore

/// The timeline as SVG: a lane for each kind of event, and below a bar for each thing that was in force.
struct TimelineDrawing {
    private static let width = 1060.0
    private static let left = 190.0
    private static let right = 40.0
    private static let laneHeight = 34.0
    private static let eventLimit = 400
    private static let barLimit = 12

    private let events: [Timeline.Event]
    private let omitted: Int
    private let bars: [IncidentStory.Deed]
    private let omittedBars: Int
    private let scale: TimeScale

    init(_ story: IncidentStory) {
        let all = Timeline(story).events
        events = Array(all.prefix(Self.eventLimit))
        omitted = all.count - events.count
        let inForce = story.deeds.filter { $0.isInEffect && $0.undo != nil }
        bars = Array(inForce.prefix(Self.barLimit))
        omittedBars = inForce.count - bars.count
        scale = TimeScale(events.map(\.time), width: Self.width - Self.left - Self.right)
    }

    var markup: Markup {
        guard let first = events.first?.time else { return "<p>Nothing happened.</p>" }
        let lanes = Timeline.Lane.allCases.filter { lane in events.contains { $0.lane == lane } }
        let axis = 12 + Double(lanes.count) * Self.laneHeight
        let barsTop = axis + 44
        let height = barsTop + Double(bars.count) * 26 + (bars.isEmpty ? 0 : 10)
        let end = Self.width - Self.right + 14
        return """
            <svg class="timeline" viewBox="0 0 \(Self.width) \(height)" role="img" aria-label="Timeline">
            \(lanes.enumerated().map { lane($1, at: 12 + (Double($0) + 0.5) * Self.laneHeight, to: end) })
            <line class="axis" x1="\(Self.left)" y1="\(axis)" x2="\(end)" y2="\(axis)"/>
            \(ticks(from: first, at: axis, to: barsTop + Double(bars.count) * 26))
            \(bars.enumerated().map { bar($1, at: barsTop + Double($0) * 26, to: end) })
            </svg>
            \(notes)
            """
    }

    private func x(_ time: Timestamp) -> Double { Self.left + scale.place(time) }

    private func lane(_ lane: Timeline.Lane, at y: Double, to end: Double) -> Markup {
        """
        <text class="lane" x="\(Self.left - 26)" y="\(y + 4)">\(lane.title)</text><line class="rail" x1="\(Self.left - 12)" y1="\(y)" x2="\(end)" y2="\(y)"/>
        \(events.filter { $0.lane == lane }.map { dot($0, at: y) })

        """
    }

    private func dot(_ event: Timeline.Event, at y: Double) -> Markup {
        "<circle class=\"dot \(event.look)\" cx=\"\(x(event.time))\" cy=\"\(y)\" r=\"6\"><title>\(event.time.clockOfDay) · \(event.text)</title></circle>"
    }

    private func ticks(from first: Timestamp, at y: Double, to bottom: Double) -> [Markup] {
        scale.ticks(apart: 92).map { tick in
            let x = Self.left + tick.place
            return """
                <line class="tick" x1="\(x)" y1="12" x2="\(x)" y2="\(bottom)"/><text class="time" x="\(x)" y="\(y + 16)">\(tick.time.clockOfDay)</text>\
                <text class="time since" x="\(x)" y="\(y + 29)">\(tick.time == first ? "start" : "+" + (tick.time - first).brief)</text>

                """
        }
    }

    /// From the deed to its undo; without one it runs on to the edge.
    private func bar(_ deed: IncidentStory.Deed, at y: Double, to end: Double) -> Markup {
        let begin = x(deed.ended?.time ?? Timestamp(nanoseconds: 0))
        let stop = deed.undo?.takenBack.map { x($0.time) } ?? end
        let looks = deed.undo?.takenBack == nil ? "open" : "closed"
        let label = [deed.name, deed.target?.summary].compactMap(\.self).joined(separator: " ")
        let isRoomy = stop - begin > 330
        return """
            <text class="lane" x="\(Self.left - 26)" y="\(y + 15)">\(Excerpt.of(deed.name, limit: 22))</text>\
            <rect class="bar \(looks)" x="\(begin)" y="\(y + 2)" width="\(max(4, stop - begin))" height="18" rx="3"><title>\(label): \(deed.undoState)</title></rect>\
            <text class="barlabel\(isRoomy ? "" : " outside")" x="\(isRoomy ? begin + 8 : (begin > 600 ? begin - 8 : stop + 8))" y="\(y + 15)"\(isRoomy || begin <= 600 ? "" : Markup.endAnchor)>\
            \(Excerpt.of(deed.target?.summary ?? "", limit: 44))\(isRoomy ? " · " + deed.undoState : "")</text>

            """
    }

    private var notes: Markup {
        let left = omitted > 0 ? "The first \(events.count) events are drawn, \(omitted) more are in records.jsonl. " : ""
        let leftBars = omittedBars > 0 ? "\(omittedBars) more actions were in force. " : ""
        return
            "<p class=\"note\">\(left)\(leftBars)Distances grow with the logarithm of the time between two events, so that milliseconds and hours are both to be seen. Bars: what was in force.</p>"
    }
}

extension Markup {
    fileprivate static let endAnchor: Markup = " text-anchor=\"end\""
}
