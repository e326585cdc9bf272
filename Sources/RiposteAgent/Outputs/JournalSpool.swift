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
        _ = try reader.read(&reading) { entry, place in
            let end = SpoolPlace(place)
            // The record begins at the latest where the one before it ended; of a segment's first one, at the segment's beginning.
            if start.segment != end.segment { start = SpoolPlace(seq: entry.seq, segment: end.segment) }
            records.append(SpoolRecord(seq: entry.seq, hash: entry.hash, bytes: entry.line.count + 1, record: entry.record, start: start, end: end))
            size += entry.line.count + 1
            start = end
            return records.count < count && size < bytes
        }
        place = SpoolPlace(reading)
        return records
    }

    package func bytes(behind place: SpoolPlace) -> Int { reader.bytes(behind: JournalReader.ReadingPlace(place)) }

    package func last() throws -> SpoolRecord? {
        try reader.last().map { entry, start, end in
            SpoolRecord(
                seq: entry.seq, hash: entry.hash, bytes: entry.line.count + 1, record: entry.record, start: SpoolPlace(start), end: SpoolPlace(end))
        }
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
