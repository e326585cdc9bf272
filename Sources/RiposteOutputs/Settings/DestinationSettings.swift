internal import Foundation
package import RiposteCore

/// The keys of one section of the configuration, read one by one. Each reading makes its key known; wrong values are reported with their place and
/// give nil, and what nobody has read is reported as unknown at the end.
///
/// A reader reads all its keys first and looks at what is missing then, so that a person is told everything in one go.
package final class DestinationSettings {
    /// Collected for the whole file, shared by nested sections.
    private final class Report {
        var diagnostics: [Diagnostic] = []
        var secrets: [Secret] = []
        /// What was read beside the configuration file: secrets, certificates.
        var inputs: [[UInt8]] = []
    }

    /// What the section is called in messages: `output "siem"`.
    package let title: String
    package let file: String
    package let language: OutputLanguage
    private let value: SettingsValue
    private let secretSource: SecretSource
    private let report: Report
    private var read: [String] = []
    private var nested: [DestinationSettings] = []

    /// `folder` of `file`: what relative paths are as seen from.
    package convenience init(_ value: SettingsValue, title: String, file: String, language: OutputLanguage, secrets: SecretSource = .process) {
        self.init(value, title, file, language, secrets, Report())
    }

    private init(_ value: SettingsValue, _ title: String, _ file: String, _ language: OutputLanguage, _ secretSource: SecretSource, _ report: Report) {
        self.value = value
        self.title = title
        self.file = file
        self.language = language
        self.secretSource = secretSource
        self.report = report
    }

    /// All secrets that were read, for the mask.
    package var secrets: [Secret] { report.secrets }

    /// The same where a section, and all that was read because of it, is the same as before; call when all is read. Made of secrets too: for comparing,
    /// not for writing down.
    package var fingerprint: String {
        OutputMessage.digest(of: JSON.array([value.json] + report.inputs.map { .string(ByteText($0)) }).bytes)
    }

    /// All scalars of the section.
    var allTexts: [String] { value.texts }

    /// Something beside the configuration file was read, on which the output depends.
    func note(input bytes: [UInt8]) { report.inputs.append(bytes) }

    /// Everything that is wrong, unknown keys included; call when all is read.
    package func problems() -> [Diagnostic] {
        reportUnknownKeys()
        return report.diagnostics
    }

    package var hasProblems: Bool { !report.diagnostics.isEmpty }

    private func reportUnknownKeys() {
        for section in nested { section.reportUnknownKeys() }
        guard case .mapping(let members) = value.shape else { return }
        var seen: Set<String> = []
        for member in members {
            if !seen.insert(member.key).inserted { problem(at: member.place, "the key \"\(member.key)\" stands twice in \(title)", code: "C002") }
            guard !read.contains(member.key) else { continue }
            problem(at: member.place, "unknown key \"\(member.key)\" in \(title)", code: "C002", suggestion: nearMiss(to: member.key, among: read))
        }
    }

    // MARK: - Reporting

    /// Something is wrong with the value of a key, or, where it is not set, with the section.
    package func report(_ key: String, _ message: String, suggestion: String? = nil) {
        problem(at: (value[key] ?? value).place, message, suggestion: suggestion)
    }

    /// Without the line that it stands on: there may be a secret on it, and this goes into the log and the journal.
    private func problem(at place: Diagnostic.Place?, _ message: String, code: String = "C003", suggestion: String? = nil) {
        report.diagnostics.append(Diagnostic(code: code, file: file, place: place ?? value.place, message: message, suggestion: suggestion))
    }

    private func expected(_ key: String, _ what: String, suggestion: String? = nil) {
        report(key, "expected \(what) for \(key) of \(title)", suggestion: suggestion)
    }

    // MARK: - Reading

    /// The value of a key; nil where it is not set or null.
    package func member(_ key: String) -> SettingsValue? {
        if !read.contains(key) { read.append(key) }
        guard let member = value[key], member.shape != .null else { return nil }
        return member
    }

    package func isSet(_ key: String) -> Bool { member(key) != nil }

    /// Reads a key that must be set: `settings.required("url", settings.secret)`.
    package func required<Value>(_ key: String, _ read: (String) -> Value?) -> Value? {
        guard isSet(key) else {
            report(key, "\(title) needs \(key)")
            return nil
        }
        return read(key)
    }

    /// A text that is not empty.
    package func text(_ key: String) -> String? {
        guard let member = member(key) else { return nil }
        guard let text = member.text, !text.isEmpty, !text.contains("\0") else {
            expected(key, "a text")
            return nil
        }
        return text
    }

    /// A text on one line that must be `name`-like: for headers, users, labels of our own.
    package func word(_ key: String, isAllowed: (Unicode.Scalar) -> Bool, expecting what: String) -> String? {
        guard let text = text(key) else { return nil }
        if text.unicodeScalars.allSatisfy(isAllowed) { return text }
        expected(key, what)
        return nil
    }

    /// A list of texts; a single text counts as a list of one.
    package func texts(_ key: String) -> [String]? {
        guard let member = member(key) else { return nil }
        let elements: [SettingsValue]
        if case .list(let list) = member.shape { elements = list } else { elements = [member] }
        var texts: [String] = []
        for element in elements {
            guard let text = element.text, !text.isEmpty else {
                problem(at: element.place, "expected a text or a list of texts for \(key) of \(title)")
                continue
            }
            texts.append(text)
        }
        return texts
    }

    /// Texts that must each be one of `names`.
    package func choices(_ key: String, among names: [String]) -> [String]? {
        guard let texts = texts(key) else { return nil }
        for text in texts where !names.contains(text) {
            expected(key, "some of \(names.joined(separator: ", "))", suggestion: nearMiss(to: text, among: names))
        }
        return texts.filter(names.contains)
    }

    package func choice<Value: RawRepresentable & CaseIterable>(_ key: String, _ type: Value.Type) -> Value? where Value.RawValue == String {
        guard let member = member(key) else { return nil }
        let names = type.allCases.map(\.rawValue)
        if let value = member.text.flatMap(type.init(rawValue:)) { return value }
        expected(key, "one of \(names.joined(separator: ", "))", suggestion: member.text.flatMap { nearMiss(to: $0, among: names) })
        return nil
    }

    package func bool(_ key: String) -> Bool? {
        guard let member = member(key) else { return nil }
        switch member.plainText {
        case "true": return true
        case "false": return false
        default:
            expected(key, "true or false")
            return nil
        }
    }

    package func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let member = member(key) else { return nil }
        if let value = member.plainText.flatMap({ Int($0) }), range.contains(value) { return value }
        expected(key, "a whole number from \(range.lowerBound) to \(range.upperBound)")
        return nil
    }

    package func duration(_ key: String, in range: ClosedRange<Duration> = .milliseconds(1) ... .seconds(366 * 86400)) -> Duration? {
        guard let member = member(key) else { return nil }
        if let value = member.text.flatMap({ Duration(text: $0) }), range.contains(value) { return value }
        expected(key, "a duration such as 30s, 5m or 2h, from \(range.lowerBound.text) to \(range.upperBound.text)")
        return nil
    }

    /// Bytes: `64MiB`, `1GiB`, `512KiB`, or a number.
    package func size(_ key: String, in range: ClosedRange<Int> = 1...(1 << 42)) -> Int? {
        guard let member = member(key) else { return nil }
        let units: [(String, Int)] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)]
        if let text = member.text, let unit = units.first(where: { text.hasSuffix($0.0) }), let count = Int(text.dropLast(unit.0.count)), count >= 0,
            case let (bytes, overflowed) = count.multipliedReportingOverflow(by: unit.1), !overflowed, range.contains(bytes)
        {
            return bytes
        }
        expected(key, "a size such as 64MiB, from \(range.lowerBound) to \(range.upperBound) bytes")
        return nil
    }

    /// A path; a relative one is as seen from the configuration file.
    package func path(_ key: String) -> String? { text(key).map(resolved) }

    private func resolved(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent().path
        return URL(fileURLWithPath: "\(folder)/\(path)").standardizedFileURL.path
    }

    /// Any value as JSON: plain scalars by YAML's core schema, quoted ones as text.
    package func json(_ key: String) -> JSON? { member(key).map(\.json) }

    /// A nested section; its keys are read from what is given. An empty one where the key is not set, so that defaults need no second spelling.
    package func section(_ key: String) -> DestinationSettings {
        let member = member(key) ?? SettingsValue(.mapping([]), place: value.place)
        if case .mapping = member.shape { return nest(member, "\(key) of \(title)") }
        expected(key, "a mapping of keys to values")
        return nest(SettingsValue(.mapping([]), place: member.place), "\(key) of \(title)")
    }

    /// A list of sections.
    package func sections(_ key: String) -> [DestinationSettings] {
        guard let member = member(key) else { return [] }
        guard case .list(let elements) = member.shape else {
            expected(key, "a list")
            return []
        }
        return elements.enumerated().compactMap { index, element in
            if case .mapping = element.shape { return nest(element, "entry \(index + 1) of \(key) of \(title)") }
            problem(at: element.place, "expected a mapping of keys to values for entry \(index + 1) of \(key) of \(title)")
            return nil
        }
    }

    private func nest(_ value: SettingsValue, _ title: String) -> DestinationSettings {
        let section = DestinationSettings(value, title, file, language, secretSource, report)
        nested.append(section)
        return section
    }

    /// The names in a section whose names are the user's own, such as headers and labels, each with the settings to read it from.
    package func names(of key: String) -> (names: [String], section: DestinationSettings) {
        let section = section(key)
        guard case .mapping(let members) = section.value.shape else { return ([], section) }
        return (members.map(\.key), section)
    }

    // MARK: - Secrets, templates, conditions

    /// A literal text, `{ file: PATH }`, `{ env: NAME }` or `{ credential: NAME }`. From now on no text of this output shows it.
    package func secret(_ key: String) -> Secret? { unmaskedSecret(key).map { derived($0.revealed) } }

    /// The same where only a part of it is to be hidden, which the caller then says with ``derived(_:)``.
    package func unmaskedSecret(_ key: String) -> Secret? {
        guard let secret = readSecret(key) else { return nil }
        note(input: Array(secret.revealed.utf8))
        return secret
    }

    private func readSecret(_ key: String) -> Secret? {
        guard let member = member(key) else { return nil }
        guard case .mapping = member.shape else {
            guard let text = text(key) else { return nil }
            return Secret(text)
        }
        let section = nest(member, "\(key) of \(title)")
        let (file, environment, credential) = (section.path("file"), section.text("env"), section.text("credential"))
        guard [file, environment, credential].count(where: { $0 != nil }) == 1 else {
            expected(key, "a text or exactly one of { file: PATH }, { env: NAME }, { credential: NAME }")
            return nil
        }
        do throws(SecretSource.Unusable) {
            if let file { return try secretSource.fromFile(file) }
            if let environment { return try secretSource.fromEnvironment(environment) }
            return try secretSource.fromCredential(credential ?? "")
        } catch {
            report(key, "\(key) of \(title): \(error.problem)")
            return nil
        }
    }

    /// Makes a text a secret, such as one that was put together from others: no text of this output shows it.
    @discardableResult
    package func derived(_ text: String) -> Secret {
        let secret = Secret(text)
        report.secrets.append(secret)
        return secret
    }

    /// A template for one format.
    package func template(_ key: String, for format: TextFormat) -> MessageTemplate? {
        guard let text = text(key) else { return nil }
        do throws(OutputLanguage.Problem) { return try MessageTemplate(text, for: format, language) } catch {
            report(key, "\(key) of \(title): \(error.message)\(at(error.offset, in: text))", suggestion: error.suggestion)
            return nil
        }
    }

    /// A template for one line. One that begins as a JSON object does is one: its values are escaped for JSON's strings.
    package func lineTemplate(_ key: String) -> MessageTemplate? {
        let begin = member(key)?.text.map { $0.drop { $0 == " " }.prefix(2) } ?? ""
        return template(key, for: begin.hasPrefix("{") && begin != "{{" ? .jsonString : .line)
    }

    /// A condition on the fields of an alert.
    package func condition(_ key: String) -> OutputLanguage.Condition? {
        guard let text = text(key) else { return nil }
        do throws(OutputLanguage.Problem) { return try language.condition(text) } catch {
            report(key, "\(key) of \(title): \(error.message)\(at(error.offset, in: text))", suggestion: error.suggestion)
            return nil
        }
    }

    /// The words where it went wrong: YAML may fold lines, so a byte's place in the text is not its place in the file.
    private func at(_ offset: Int, in text: String) -> String {
        guard offset > 0 else { return "" }
        let rest = String(decoding: Array(text.utf8.dropFirst(offset).prefix(40)), as: UTF8.self)
        return rest.isEmpty ? ", at its end" : ", at \"\(rest)\""
    }
}

extension SettingsValue {
    /// Plain scalars by YAML's core schema (true, null, numbers), quoted ones as text.
    package var json: JSON {
        switch shape {
        case .null: return .null
        case .list(let elements): return .array(elements.map(\.json))
        case .mapping(let members): return .object(JSONObject(members.map { JSONObject.Member(key: ByteText($0.key), value: $0.value.json) }))
        case .scalar(let text, false): return .text(text)
        case .scalar("true", true): return true
        case .scalar("false", true): return false
        case .scalar(let text, true): return (try? JSON(parsing: Array(text.utf8))).flatMap { $0.integer.map(JSON.integer) } ?? .text(text)
        }
    }
}
