internal import RiposteCore
internal import RipostePlaybooks

/// How a chain was left: by its table's handle and its own, which no other chain of that table ever gets, and by how many rules it had.
struct ChainPrint: Equatable {
    var name: String
    var table: UInt64
    var handle: UInt64
    var rules: Int

    init(_ chain: NetfilterReader.Chain) { (name, table, handle, rules) = (chain.name, chain.table, chain.handle, chain.rules) }

    var json: JSON { ["name": .text(name), "table": .integer(Int64(clamping: table)), "handle": .integer(Int64(clamping: handle)), "rules": .integer(Int64(rules))] }

    /// Nil also for what older journals have, which is a name only and proves nothing.
    init?(json: JSON) {
        guard let name = json["name"]?.string?.valid, let table = json["table"]?.integer.flatMap(UInt64.init(exactly:)),
            let handle = json["handle"]?.integer.flatMap(UInt64.init(exactly:)), let rules = json["rules"]?.integer
        else { return nil }
        (self.name, self.table, self.handle, self.rules) = (name, table, handle, Int(rules))
    }

    static func prints(in token: JSONObject?) -> [ChainPrint] { token?["chains"]?.array?.compactMap(ChainPrint.init(json:)) ?? [] }

    /// What is otherwise with the chains that were left, in words; nil: nothing. Whoever takes them away does not mind that one is gone already.
    static func change(_ left: [ChainPrint], now: [NetfilterReader.Chain], mindsMissing: Bool = true) -> String? {
        for print in left {
            guard let chain = now.first(where: { $0.name == print.name }) else {
                if mindsMissing { return "chain \(print.name) is not there any more" }
                continue
            }
            if chain.isDormant, mindsMissing { return "the table of chain \(print.name) is switched off" }
            if chain.table != print.table || chain.handle != print.handle { return "chain \(print.name) was made anew by somebody else" }
            if chain.rules != print.rules { return "chain \(print.name) has \(chain.rules) rules where we left \(print.rules)" }
        }
        return nil
    }
}

extension [NetfilterReader.Chain] {
    /// For the undo token.
    var prints: JSON { .array(map { ChainPrint($0).json }) }
}
