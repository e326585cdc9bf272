import Testing

@testable import RipostePlaybooks

@Suite("the newest of what came in")
struct RecentTests {
    @Test("memory follows what is there, not what has come: a million times the same few keys, with lives that overlap", arguments: [true, false])
    func stays(_ forgets: Bool) {
        var recent = Recent<Int, Int>(limit: 1000)
        var most = 0
        for turn in 0..<1_000_000 {
            // The oldest is never over when somebody looks, as in steady traffic.
            if forgets { recent.removeOldest(while: { $0 + 100 <= turn }) { _, _ in } }
            recent.insert(turn, for: turn % 7)
            most = max(most, recent.places - 2 * recent.count)
        }
        #expect(recent.count == 7 && most <= 64)
        #expect(recent.entries.map(\.value) == Array(999_993..<1_000_000))
    }

    @Test("what makes room is the oldest, and what came again is not")
    func room() {
        var recent = Recent<String, Int>(limit: 2)
        #expect(recent.insert(1, for: "a") == nil && recent.insert(2, for: "b") == nil && recent.insert(3, for: "a") == nil)
        let removed = recent.insert(4, for: "c")
        #expect(removed?.key == "b" && removed?.value == 2 && recent.entries.map(\.key) == ["a", "c"])
    }
}
