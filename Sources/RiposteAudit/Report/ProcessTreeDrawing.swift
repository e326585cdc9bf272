/// The process tree as SVG: a row for each process, children under their parent.
struct ProcessTreeDrawing {
    private static let width = 1060.0
    private static let rowHeight = 46.0
    private static let indent = 30.0
    /// Deeper ones are drawn below each other, so that they stay on the page.
    private static let depthLimit = 16

    private let tree: ProcessTree

    init(_ tree: ProcessTree) { self.tree = tree }

    var markup: Markup {
        let rows = tree.rows
        guard !rows.isEmpty else { return "<p class=\"note\">The alerts tell of no process.</p>" }
        let places = Dictionary(uniqueKeysWithValues: rows.enumerated().map { ($1.index, $0) })
        return """
            <svg class="tree" viewBox="0 0 \(Self.width) \(Double(rows.count) * Self.rowHeight + 8)" role="img" aria-label="Process tree">
            \(rows.enumerated().map { line($1, at: $0, rows, places) })\(rows.enumerated().map { row($1, at: $0) })
            </svg>
            \(tree.omitted > 0 ? "<p class=\"note\">The first \(ProcessTree.nodeLimit) processes are drawn.</p>" : Markup.empty)
            <p class="note">From the alerts' fields. A process whose pid is not told is known by its name in its container, so two of one name may be drawn as one.</p>
            """
    }

    private func x(_ depth: Int) -> Double { 4 + Double(min(depth, Self.depthLimit)) * Self.indent }

    private func line(
        _ row: (node: ProcessTree.Node, depth: Int, index: Int), at place: Int, _ rows: [(node: ProcessTree.Node, depth: Int, index: Int)], _ places: [Int: Int]
    ) -> Markup {
        guard let parent = row.node.parent.flatMap({ places[$0] }) else { return .empty }
        let (from, to) = (x(rows[parent].depth) + 14, x(row.depth))
        let (top, middle) = (Double(parent) * Self.rowHeight + 42, Double(place) * Self.rowHeight + 23)
        return "<path class=\"branch\" d=\"M\(from) \(top) V\(middle) H\(max(from, to))\"/>\n"
    }

    private func row(_ row: (node: ProcessTree.Node, depth: Int, index: Int), at place: Int) -> Markup {
        let node = row.node
        let (left, top) = (x(row.depth), Double(place) * Self.rowHeight + 4)
        let looks = !node.deeds.isEmpty ? "acted" : node.alerts.isEmpty ? "plain" : "alerted"
        let facts = [node.user.map { "user \($0)" }, node.place.map { $0 == "host" ? "on the host" : "in \($0)" }].compactMap(\.self).joined(separator: ", ")
        let line = node.commandLine ?? ""
        return """
            <g><title>\(node.name) \(line)</title><rect class="process \(looks)" x="\(left)" y="\(top)" width="\(Self.width - left - 4)" height="38" rx="5"/>\
            <text class="name" x="\(left + 12)" y="\(top + 16)">\(Excerpt.of(node.name, limit: 40))</text>\
            <text class="pid" x="\(left + 24 + Double(Excerpt.of(node.name, limit: 40).count) * 8)" y="\(top + 16)">pid \(node.pid.map(String.init) ?? "not told")\(facts.isEmpty ? "" : " · " + facts)</text>\
            <text class="command" x="\(left + 12)" y="\(top + 31)">\(Excerpt.of(line, limit: 92))</text>\
            <text class="marks" x="\(Self.width - 16)" y="\(top + 16)">\(Excerpt.of(node.alerts.joined(separator: ", "), limit: 56))</text>\
            <text class="marks deed" x="\(Self.width - 16)" y="\(top + 31)">\(Excerpt.of(node.deeds.map { "\($0.name): \($0.outcome)" }.joined(separator: ", "), limit: 60))</text></g>

            """
    }
}
