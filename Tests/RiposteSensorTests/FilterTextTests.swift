import CRiposte
import RiposteCore
import RiposteRules
import Testing

@testable import RiposteSensor

@Suite("texts of a filter on their way into the kernel's tables")
struct FilterTextTests {
    private func atoms(_ texts: FilterTexts) -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        for (key, atoms) in texts.prefixEntries() {
            let bytes = withUnsafeBytes(of: key.text) { Array($0.prefix((Int(key.bits) - 24 + 7) / 8)) }
            found["\(key.subject):\(bytes.map { $0 == 0 ? "$" : String(UnicodeScalar($0)) }.joined())/\(key.bits - 24)"] = atoms
        }
        return found
    }

    @Test("of the longest beginning, the only one that the trie gives, the atoms of all shorter ones are part; a whole text is no beginning of another one")
    func beginnings() {
        var texts = FilterTexts(generation: 1, filter: 2)
        texts.add([.init(Array("/e".utf8), isWhole: false)], RIPOSTE_SUBJECT_PATH, 1)
        texts.add([.init(Array("/etc/".utf8), isWhole: false), .init(Array("/x".utf8), isWhole: true)], RIPOSTE_SUBJECT_PATH, 2)
        texts.add([.init(Array("/etc/a".utf8), isWhole: true), .init(Array("/x".utf8), isWhole: true)], RIPOSTE_SUBJECT_PATH, 4)
        texts.add([.init(Array("/etc/ab".utf8), isWhole: false)], RIPOSTE_SUBJECT_EXE, 8)
        let (path, exe) = (RIPOSTE_SUBJECT_PATH.rawValue, RIPOSTE_SUBJECT_EXE.rawValue)
        #expect(atoms(texts) == ["\(path):/e/16": 1, "\(path):/etc//40": 3, "\(path):/x$/24": 6, "\(path):/etc/a$/56": 7, "\(exe):/etc/ab/56": 8])
    }

    @Test("networks lie within each other to the bit")
    func networks() throws {
        var texts = FilterTexts(generation: 0, filter: 1)
        for (text, atom) in [("0.0.0.0/0", 1), ("10.0.0.0/7", 2), ("11.0.0.0/8", 4), ("12.0.0.0/8", 8)] as [(String, UInt64)] { texts.add([try #require(IPNetwork(text))], atom) }
        let found = Dictionary(uniqueKeysWithValues: texts.prefixEntries().map { (Int($0.0.bits) - 24, $0.1) }.filter { $0.0 < 8 })
        #expect(found == [0: 1, 7: 3])
        #expect(texts.prefixEntries().filter { $0.0.bits == 32 }.map(\.1).sorted() == [7, 9])
    }
}
