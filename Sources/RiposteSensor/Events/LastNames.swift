/// The names of flags as text, remembered for the last number: most files are opened in the same few ways, one like the other.
final class LastNames {
    private let names: ValueNames
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1024, alignment: 8)
    private var number: UInt32?
    private var count = 0

    init(_ names: ValueNames) { self.names = names }

    deinit { memory.deallocate() }

    /// As ``ValueNames/write(_:to:)``.
    func write(_ number: UInt32, to text: inout ArenaText) {
        if self.number == number { return text.append(UnsafeRawBufferPointer(rebasing: memory[..<count])) }
        let start = text.count
        names.write(number, to: &text)
        let written = text.bytes.bytes(from: start)
        guard written.count < memory.count else { return }
        memory.copyMemory(from: written)
        (self.number, count) = (number, written.count)
    }
}
