/// Entries by pid. Pids are small and dense, so this is an array in pages that come and go with what is in them: finding one is two loads.
struct ProcessIndex {
    /// PID_MAX_LIMIT of 64-bit kernels.
    private static let limit = 1 << 22
    private static let pageBits = 8
    private static let pageSize = 1 << pageBits

    private final class Page {
        var count = 0
        var entries = [ProcessEntry?](repeating: nil, count: ProcessIndex.pageSize)
    }

    private var pages = [Page?](repeating: nil, count: 64)
    private(set) var count = 0

    subscript(pid: UInt32) -> ProcessEntry? {
        get {
            let page = Int(pid) >> Self.pageBits
            guard page < pages.count else { return nil }
            return pages[page]?.entries[Int(pid) & (Self.pageSize - 1)]
        }
        set {
            let (page, place) = (Int(pid) >> Self.pageBits, Int(pid) & (Self.pageSize - 1))
            guard let found = self.page(page, isNeeded: newValue != nil) else { return }
            let change = (newValue == nil ? 0 : 1) - (found.entries[place] == nil ? 0 : 1)
            found.entries[place] = newValue
            found.count += change
            count += change
            if found.count == 0 { pages[page] = nil }
        }
    }

    private mutating func page(_ index: Int, isNeeded: Bool) -> Page? {
        guard index < Self.limit >> Self.pageBits else { return nil }
        if index >= pages.count {
            guard isNeeded else { return nil }
            pages += [Page?](repeating: nil, count: max(index + 1, pages.count * 2) - pages.count)
        }
        if let page = pages[index] { return page }
        guard isNeeded else { return nil }
        let page = Page()
        pages[index] = page
        return page
    }

    /// In the order of their pids.
    var all: [ProcessEntry] {
        var all: [ProcessEntry] = []
        all.reserveCapacity(count)
        for case let page? in pages {
            for case let entry? in page.entries { all.append(entry) }
        }
        return all
    }
}
