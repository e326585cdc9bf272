internal import RiposteCore

extension JSON {
    /// As text over many lines, two blanks a level: `jevt.obj`.
    var indented: [UInt8] {
        var result: [UInt8] = []
        writeIndented(level: 0, to: &result)
        return result
    }

    private func writeIndented(level: Int, to result: inout [UInt8]) {
        switch self {
        case .array(let elements) where !elements.isEmpty:
            result.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                Self.startLine(index == 0, level + 1, &result)
                element.writeIndented(level: level + 1, to: &result)
            }
            Self.startLine(true, level, &result)
            result.append(UInt8(ascii: "]"))
        case .object(let object) where !object.isEmpty:
            result.append(UInt8(ascii: "{"))
            for (index, member) in object.members.enumerated() {
                Self.startLine(index == 0, level + 1, &result)
                JSON.string(member.key).write(to: &result)
                result += ": ".utf8
                member.value.writeIndented(level: level + 1, to: &result)
            }
            Self.startLine(true, level, &result)
            result.append(UInt8(ascii: "}"))
        default: write(to: &result)
        }
    }

    private static func startLine(_ isFirst: Bool, _ level: Int, _ result: inout [UInt8]) {
        if !isFirst { result.append(UInt8(ascii: ",")) }
        result.append(UInt8(ascii: "\n"))
        result.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * level))
    }
}
