package import RiposteCore

/// Something that is wrong, or looks wrong, with rules files, in Falco's terms (falco: userspace/engine/falco_load_result).
package struct RulesFinding: Sendable, Equatable {
    package enum Code: String, CaseIterable, Sendable {
        case fileRead = "LOAD_ERR_FILE_READ"
        case yamlParse = "LOAD_ERR_YAML_PARSE"
        case yamlValidate = "LOAD_ERR_YAML_VALIDATE"
        case compileCondition = "LOAD_ERR_COMPILE_CONDITION"
        case compileOutput = "LOAD_ERR_COMPILE_OUTPUT"
        case validate = "LOAD_ERR_VALIDATE"

        case unknownSource = "LOAD_UNKNOWN_SOURCE"
        case unsafeNACheck = "LOAD_UNSAFE_NA_CHECK"
        case noEventType = "LOAD_NO_EVTTYPE"
        case unknownFilter = "LOAD_UNKNOWN_FILTER"
        case unusedMacro = "LOAD_UNUSED_MACRO"
        case unusedList = "LOAD_UNUSED_LIST"
        case unknownItem = "LOAD_UNKNOWN_ITEM"
        case unknownKey = "LOAD_UNKNOWN_KEY"
        case deprecatedItem = "LOAD_DEPRECATED_ITEM"
        case appendNoValues = "LOAD_APPEND_NO_VALUES"
        case exceptionNameNotUnique = "LOAD_EXCEPTION_NAME_NOT_UNIQUE"
        case invalidMacroName = "LOAD_INVALID_MACRO_NAME"
        case invalidListName = "LOAD_INVALID_LIST_NAME"
        case suspiciousCondition = "LOAD_COMPILE_CONDITION"
        /// Ours: a rule that no event can match.
        case neverTrue = "RIPOSTE_NEVER_TRUE"
        /// Ours: a macro with the name of a list, or of a field's family.
        case shadowedName = "RIPOSTE_SHADOWED_NAME"
        /// Ours: the name of a list in a quoted text.
        case listInText = "RIPOSTE_LIST_IN_TEXT"

        package var isError: Bool { rawValue.hasPrefix("LOAD_ERR_") }

        /// Falco's `codedesc`.
        package var meaning: String {
            switch self {
            case .fileRead: "A file could not be read"
            case .yamlParse: "The text is not YAML"
            case .yamlValidate: "The YAML does not have the shape of rules"
            case .compileCondition: "A condition does not parse or compile"
            case .compileOutput: "An output does not compile"
            case .validate: "The rules contradict themselves or ask for what is not there"
            case .unknownSource: "A rule for an event source that is not known; it is left out"
            case .unsafeNACheck: "A comparison with <NA>, which a missing value does not equal"
            case .noEventType: "A rule for very many event types, which costs time on each of them"
            case .unknownFilter: "An unknown field in a rule that asks to be left out then"
            case .unusedMacro: "A macro that nothing uses"
            case .unusedList: "A list that nothing uses"
            case .unknownItem: "An item that is no rule, macro, list or requirement"
            case .unknownKey: "A key that is not known; it is ignored"
            case .deprecatedItem: "Something that newer rules do otherwise"
            case .appendNoValues: "An exception is appended to without values"
            case .exceptionNameNotUnique: "Two exceptions of one rule have the same name"
            case .invalidMacroName: "A name that conditions cannot refer to"
            case .invalidListName: "A name that conditions cannot refer to"
            case .suspiciousCondition: "A condition that probably does not mean what it says"
            case .neverTrue: "A rule that no event can match"
            case .shadowedName: "Two things have one name"
            case .listInText: "The name of a list in a quoted text, where its items take its place too"
            }
        }
    }

    /// One step on the way from the file to the place.
    package struct Location: Sendable, Equatable {
        /// Falco's word: `rule`, `rule condition`, `list item` ….
        package var itemType: String
        package var itemName: String
        /// Lines and columns from 1; nil: the file as a whole.
        package var place: Diagnostic.Place?
        /// Bytes from the start of the file.
        package var offset: Int
    }

    package let code: Code
    package let message: String
    package let file: String
    package let locations: [Location]
    package let snippet: String?
    package let suggestion: String?

    package init(_ code: Code, _ message: String, file: String, locations: [Location] = [], snippet: String? = nil, suggestion: String? = nil) {
        self.code = code
        self.message = message
        self.file = file
        self.locations = locations
        self.snippet = snippet
        self.suggestion = suggestion
    }

    package var isError: Bool { code.isError }

    package var place: Diagnostic.Place? { locations.last?.place }

    /// For people.
    package var diagnostic: Diagnostic {
        Diagnostic(isError ? .error : .warning, code: code.rawValue, file: file, place: place, message: message, suggestion: suggestion, snippet: snippet)
    }

    /// One entry of Falco's `errors` and `warnings`; lines and columns count from 0 there.
    var json: JSON {
        var steps = [Location(itemType: "rules content", itemName: "", place: nil, offset: 0)]
        steps += locations
        let locations: [JSON] = steps.map { step in
            let position: JSONObject = [
                "name": .text(file), "line": .integer(Int64((step.place?.line ?? 1) - 1)), "column": .integer(Int64((step.place?.column ?? 1) - 1)),
                "offset": .integer(Int64(step.offset)),
            ]
            return .object(["item_type": .text(step.itemType), "item_name": .text(step.itemName), "position": .object(position)])
        }
        var text = message
        if let suggestion { text += "; did you mean \"\(suggestion)\"?" }
        let picture = zip(snippet, place).map { line, place in "\(line)\n\(String(repeating: " ", count: max(0, place.column - 1)))^\n" }
        let context: JSONObject = ["locations": .array(locations), "snippet": .text(picture ?? "")]
        return .object(["code": .text(code.rawValue), "codedesc": .text(code.meaning), "message": .text(text), "context": .object(context)])
    }
}

private func zip<First, Second>(_ first: First?, _ second: Second?) -> (First, Second)? {
    guard let first, let second else { return nil }
    return (first, second)
}

extension [RulesFinding] {
    package var hasErrors: Bool { contains(where: \.isError) }

    /// Falco's load-result document, with one entry for each of the files.
    package func falcoLoadResults(files: [String]) -> JSON {
        let results: [JSON] = files.map { file in
            let own = filter { $0.file == file }
            return .object([
                "name": .text(file), "successful": .bool(!own.hasErrors), "errors": .array(own.filter(\.isError).map(\.json)),
                "warnings": .array(own.filter { !$0.isError }.map(\.json)),
            ])
        }
        return .object(["falco_load_results": .array(results)])
    }
}
