internal import RiposteAudit
package import RiposteOutputs

/// The journal as what outputs read from.
package struct JournalSpool: Spool {
    private let reader: JournalReader

    package init(stateDirectory: String) { reader = JournalReader(stateDirectory: stateDirectory) }

    package func read(_ place: inout SpoolPlace, count: Int, bytes: Int) throws -> [SpoolRecord] {
        var reading = JournalReader.ReadingPlace(place)
        var (records, size): ([SpoolRecord], Int) = ([], 0)
        var start = place
        _ = try reader.read(&reading, as: { line in SpoolLine(line).map { ($0.seq, $0) } }) { line, place in
            let end = SpoolPlace(place)
            // The record begins at the latest where the one before it ended; of a segment's first one, at the segment's beginning.
            if start.segment != end.segment { start = SpoolPlace(seq: line.seq, segment: end.segment) }
            records.append(SpoolRecord(line, start: start, end: end))
            size += line.bytes
            start = end
            return records.count < count && size < bytes
        }
        place = SpoolPlace(reading)
        return records
    }

    package func bytes(behind place: SpoolPlace) -> Int { reader.bytes(behind: JournalReader.ReadingPlace(place)) }

    package func last() throws -> SpoolRecord? {
        try reader.last().flatMap { entry, start, end in SpoolLine(entry.line).map { SpoolRecord($0, start: SpoolPlace(start), end: SpoolPlace(end)) } }
    }
}

extension JournalReader.ReadingPlace {
    fileprivate init(_ place: SpoolPlace) {
        if let segment = place.segment { self.init(seq: place.seq, segment: segment, offset: place.offset) } else { self.init(seq: place.seq) }
    }
}

extension SpoolPlace {
    fileprivate init(_ place: JournalReader.ReadingPlace) { self.init(seq: place.seq, segment: place.segment, offset: place.offset) }
}
