import RiposteCore
import Testing

/// What is looked through and not taken apart is the same as what is taken apart.
struct JSONOutlineTests {
    private static func outline(_ text: String) -> JSONOutline? { JSONOutline(Array(text.utf8)) }

    @Test(
        "what JSON is written as has an outline, with each member in its place",
        arguments: [
            JSON.object([:]), ["a": 1], ["a": ["b": ["c": nil, "d": [["e": true], -7]]], "f": "x"], ["a\"\\": "\u{1}\u{7F}\n\"\\é", "": 1],
            ["n": .number("1.50"), "m": .number("-0.1e+9"), "o": .number("18446744073709551615"), "i": .integer(.min)],
            .object(JSONObject((0..<200).map { .init(key: ByteText("k\($0)"), value: .integer($0)) })),
            ["not a text": .string(ByteText([0xFF, 0x22]))],
        ])
    func written(_ value: JSON) throws {
        let outline = try #require(JSONOutline(value.bytes))
        #expect(try JSON(parsing: outline.bytes) == JSON(parsing: value.bytes))
        try check(outline, nil, try JSON(parsing: value.bytes))
    }

    private func check(_ outline: JSONOutline, _ parent: JSONOutline.Member?, _ value: JSON) throws {
        let members = value.object?.members ?? []
        var found: [JSONOutline.Member] = []
        outline.forEach(in: parent) { found.append($0) }
        try #require(found.count == members.count)
        for (place, member) in zip(found, members) {
            #expect(outline.json(place.key.lowerBound - 1..<place.key.upperBound + 1) == .string(member.key))
            #expect(outline.json(place.value) == member.value)
            if outline.isObject(place.value) { try check(outline, place, member.value) }
        }
    }

    @Test(
        "what is no JSON has none, nor what we would write otherwise",
        arguments: [
            "", "1", "[]", "{", "{}x", "{} ", " {}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{"a":1"#, #"{"a":1}}"#, #"{"a": 1}"#, #"{"a":01}"#, #"{"a":-}"#, #"{"a":1.}"#,
            #"{"a":1e}"#, #"{"a":+1}"#, #"{"a":nul}"#, #"{"a":tru"#, #"{"a":"\x"}"#, #"{"a":"\u12"}"#, #"{"a":"\u12g4"}"#, #"{"a":"\ud800"}"#, #"{"a":"x}"#, #"{"a":"\"}"#,
            #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, #"{"b":{"a":1,"a":1}}"#, "{\"a\":\"\u{7F}\"}", "{\"a\":\"\n\"}", #"{"a":[1,]}"#, #"{"a":[}"#,
            "{\"a\":" + String(repeating: "[", count: 64) + String(repeating: "]", count: 64) + "}",
        ])
    func unreadable(_ text: String) { #expect(Self.outline(text) == nil) }

    @Test func bytesThatAreNotUTF8HaveNone() { #expect(JSONOutline(Array("{\"a\":\"".utf8) + [0xFF] + Array("\"}".utf8)) == nil) }

    @Test func manyKeysOfWhichTwoAreOneHaveNone() {
        let members = (0..<100).map { "\"k\($0)\":1" } + ["\"k50\":1"]
        #expect(Self.outline("{\(members.joined(separator: ","))}") == nil)
    }

    /// Whatever happens to a byte: what has an outline can be parsed, and the other way round where it is written anew.
    @Test func whatHasAnOutlineCanBeParsed() throws {
        let text = JSON.object(["rule": "Shell \"x\"\n", "tags": ["a", 1, nil, true], "output_fields": ["proc.pid": -10, "f": .number("1.5e3"), "é": [:]]]).bytes
        for place in text.indices {
            for byte: UInt8 in [0, 0x20, 0x22, 0x2C, 0x30, 0x3A, 0x5B, 0x5C, 0x5D, 0x61, 0x65, 0x75, 0x7B, 0x7D, 0x7F, 0xC3, 0xFF] {
                var changed = text
                changed[place] = byte
                let parsed = try? JSON(parsing: changed)
                if let outline = JSONOutline(changed) { try check(outline, nil, try #require(parsed)) }
                if let parsed, parsed.object != nil, let again = try? JSON(parsing: parsed.bytes) { try check(try #require(JSONOutline(parsed.bytes)), nil, again) }
            }
        }
    }

    @Test(
        "texts of every length around eight bytes are written and read alike", arguments: [UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x00, 0x1F, 0x20, 0x7E, 0x7F, 0x80, 0xC3, 0xFF])
    func everyPlace(_ byte: UInt8) throws {
        for length in 1...34 {
            for place in 0..<length {
                var bytes = [UInt8](repeating: UInt8(ascii: "a"), count: length)
                bytes[place] = byte
                let text = ByteText(bytes)
                #expect(try JSON(parsing: JSON.string(text).bytes) == .string(ByteText(text.repaired)))
            }
        }
    }

    @Test("integers are written as they are read", arguments: [0, 1, -1, 9, 10, 99, 100, 999_999_999_999_999_999, 1_000_000_000_000_000_000, Int64.max, Int64.min])
    func integers(_ value: Int64) throws {
        #expect(JSON.integer(value).line == String(value))
        #expect(try JSON(parsing: JSON.integer(value).bytes) == .integer(value))
    }
}
