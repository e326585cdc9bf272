internal import Foundation
internal import RiposteCore

extension RuleSet {
    /// Reads rules files in the order in which they are named; a folder stands for its `*.yaml` and `*.yml` in byte order, not for those in
    /// folders below it, nor for `*.test.yaml`. What cannot be read is a finding.
    package static func read(paths: [String]) -> (files: [File], findings: [RulesFinding]) {
        var files: [File] = []
        var findings: [RulesFinding] = []
        for path in paths {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                findings.append(RulesFinding(.fileRead, "there is no such file", file: path))
                continue
            }
            guard isFolder.boolValue else {
                read(path, &files, &findings)
                continue
            }
            do {
                let names = try FileManager.default.contentsOfDirectory(atPath: path).filter(isRulesFile).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
                for name in names { read(path.hasSuffix("/") ? path + name : "\(path)/\(name)", &files, &findings) }
            } catch {
                findings.append(RulesFinding(.fileRead, "the folder cannot be read: \(error.localizedDescription)", file: path))
            }
        }
        return (files, findings)
    }

    /// Reads and loads in one go.
    package static func load(paths: [String], _ settings: RulesSettings = RulesSettings()) -> (ruleSet: RuleSet?, findings: [RulesFinding], files: [String]) {
        let (files, unreadable) = read(paths: paths)
        let (ruleSet, findings) = load(files, settings)
        return (unreadable.isEmpty ? ruleSet : nil, unreadable + findings, unreadable.map(\.file) + files.map(\.name))
    }

    private static func isRulesFile(_ name: String) -> Bool {
        (name.hasSuffix(".yaml") || name.hasSuffix(".yml")) && !name.hasPrefix(".") && !name.hasSuffix(".test.yaml") && !name.hasSuffix(".test.yml")
    }

    private static func read(_ path: String, _ files: inout [File], _ findings: inout [RulesFinding]) {
        do {
            let facts = try FileManager.default.attributesOfItem(atPath: URL(fileURLWithPath: path).resolvingSymlinksInPath().path)
            guard facts[.type] as? FileAttributeType == .typeRegular else {
                return findings.append(RulesFinding(.fileRead, "this is no regular file", file: path))
            }
            guard (facts[.size] as? Int ?? 0) <= YAMLReader.sizeLimit else {
                return findings.append(RulesFinding(.fileRead, "the file is larger than \(YAMLReader.sizeLimit >> 20) MiB", file: path))
            }
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            guard let text = String(validating: data, as: UTF8.self) else {
                return findings.append(RulesFinding(.yamlParse, "the file is not UTF-8", file: path))
            }
            files.append(File(name: path, text: text))
        } catch {
            findings.append(RulesFinding(.fileRead, "the file cannot be read: \((error as? CocoaError)?.reason ?? error.localizedDescription)", file: path))
        }
    }
}

extension CocoaError {
    /// The kernel's word for it, where it has one.
    fileprivate var reason: String? { (userInfo[NSUnderlyingErrorKey] as? POSIXError).map { String(cString: strerror($0.code.rawValue)) } }
}
