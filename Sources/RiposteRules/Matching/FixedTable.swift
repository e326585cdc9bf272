/// Elements in memory of their own that never change and never move. The matchers read them by pointer: no bounds are checked in a release
/// build, no references are counted. Freed together with its one owner.
struct FixedTable<Element: BitwiseCopyable>: ~Copyable, @unchecked Sendable {
    // Any thread may read: nobody writes after init.
    let base: UnsafePointer<Element>
    let count: Int

    init(_ elements: some Collection<Element>) {
        count = elements.count
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, count))
        _ = UnsafeMutableBufferPointer(start: memory, count: count).initialize(from: elements)
        base = UnsafePointer(memory)
    }

    deinit { base.deallocate() }

    subscript(_ index: Int) -> Element {
        @inline(__always) get {
            assert(0 <= index && index < count)
            return base[index]
        }
    }
}
