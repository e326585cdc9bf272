/// Texts one behind the other, each ended by NUL, as the kernel has arguments and environments. The last one may lack its NUL where the block
/// was cut.
package struct TextBlock {
    /// More than this is not kept of a block (spec: fields.md 2).
    package static let limit = 4096

    package let bytes: UnsafeRawBufferPointer

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes.keeping(Self.limit) }

    package var count: Int {
        var (texts, count) = (makeIterator(), 0)
        while texts.next() != nil { count += 1 }
        return count
    }

    /// Nil past the end.
    package subscript(index: Int) -> UnsafeRawBufferPointer? {
        var (texts, left) = (makeIterator(), index)
        while let text = texts.next() {
            if left == 0 { return text }
            left -= 1
        }
        return nil
    }

    /// The value of `NAME=value`, without the blanks around it; nil where there is no such text.
    package func value(of name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var texts = makeIterator()
        while let text = texts.next() {
            guard text.count > name.count, text[name.count] == UInt8(ascii: "="), text.keeping(name.count).isSame(as: name) else { continue }
            return text.dropping(name.count + 1).trimmingBlanks
        }
        return nil
    }

    /// Writes the texts joined by blanks and gives the number of bytes: one less than the block has, where its last text is whole.
    package func join(into memory: UnsafeMutableRawBufferPointer) -> Int {
        memory.copyMemory(from: bytes)
        var (texts, place) = (makeIterator(), 0)
        while let text = texts.next() {
            place += text.count
            if place < bytes.count { memory[place] = UInt8(ascii: " ") }
            place += 1
        }
        return bytes.last == 0 ? bytes.count - 1 : bytes.count
    }
}

extension TextBlock: Sequence {
    package struct Iterator: IteratorProtocol {
        fileprivate var rest: UnsafeRawBufferPointer

        package mutating func next() -> UnsafeRawBufferPointer? {
            guard !rest.isEmpty else { return nil }
            let end = rest.firstNUL ?? rest.count
            defer { rest = rest.dropping(end + 1) }
            return rest.keeping(end)
        }
    }

    package func makeIterator() -> Iterator { Iterator(rest: bytes) }
}
