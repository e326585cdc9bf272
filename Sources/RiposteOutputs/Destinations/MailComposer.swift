internal import Foundation
internal import RiposteCore

/// Makes mails of messages: headers that nothing from outside can add a line to, a text part and an HTML part, both in Base64.
struct MailComposer: Sendable {
    private enum Format: String, CaseIterable { case html, text }

    private let subject: MessageTemplate?
    private let format: Format
    private let domain: String

    init(_ settings: DestinationSettings, _ context: DestinationContext) {
        subject = settings.template("subject", for: .line)
        format = settings.choice("format", Format.self) ?? .html
        domain = MailAddress.domain(context.host)
    }

    /// Complete, with CRLF line ends. The same messages give the same mail, whenever it is sent.
    func mail(of batch: [OutputMessage], from: MailAddress, to: [MailAddress]) -> [UInt8] {
        guard let first = batch.first, let last = batch.last else { return [] }
        let identity = batch.count == 1 ? first.uuid : "\(first.uuid).\(batch.count)"
        let boundary = "=_riposte-\(first.hash.prefix(32))"
        var lines = [
            "From: \(from.header)", "To: \(to.map(\.header).joined(separator: ",\r\n "))", "Subject: \(MailHeader.encoded(subject(of: batch)))",
            "Date: \(MailHeader.date(last.time))", "Message-ID: <\(identity)@\(domain)>",
        ]
        // What belongs to one alert is one thread.
        if let alert = first.thread, batch.allSatisfy({ $0.thread == alert }) { lines.append("References: <\(alert).alert@\(domain)>") }
        lines += ["Auto-Submitted: auto-generated", "X-Riposte-Host: \(domain)", "MIME-Version: 1.0"]
        let text = batch.map(MailText.text(of:)).joined(separator: "\r\n\r\n")
        switch format {
        case .text: lines += Self.part("text/plain", text)
        case .html:
            lines += ["Content-Type: multipart/alternative; boundary=\"\(boundary)\"", "", "--\(boundary)"]
            lines += Self.part("text/plain", text) + ["--\(boundary)"] + Self.part("text/html", MailText.page(of: batch)) + ["--\(boundary)--"]
        }
        return Array((lines.joined(separator: "\r\n") + "\r\n").utf8)
    }

    private func subject(of batch: [OutputMessage]) -> String {
        let gravest = batch.max { $0.priority < $1.priority } ?? batch[0]
        let words = subject?.text(for: gravest) ?? "[\(gravest.priority.name)] \(gravest.title.shown) on \(gravest.host.escapedForDisplay)"
        return batch.count == 1 ? words : "\(words) and \(batch.count - 1) more"
    }

    private static func part(_ type: String, _ text: String) -> [String] {
        ["Content-Type: \(type); charset=utf-8", "Content-Transfer-Encoding: base64", ""] + lines(Array(Array(text.utf8).base64.utf8))
    }

    private static func lines(_ base64: [UInt8]) -> [String] {
        stride(from: 0, to: base64.count, by: 76).map { String(decoding: base64[$0..<min($0 + 76, base64.count)], as: UTF8.self) }
    }
}

extension OutputMessage {
    fileprivate var thread: String? { (alert?.id ?? record?.alert).map { "\($0)" } }
}

/// What stands in headers.
enum MailHeader {
    private static let longest = 240

    /// One line as ASCII: as it is, or as encoded words (RFC 2047) of at most 75 characters, folded. `always`: also ASCII, where specials would need
    /// quotes.
    static func encoded(_ text: String, always: Bool = false) -> String {
        // By code units: one character may be as long as a book, and a server that refuses the mail for it would keep the alert from people.
        let line = text.escapedForDisplay.cut(to: longest)
        let isPlain = line.utf8.allSatisfy { 0x20...0x7E ~= $0 } && !line.contains("=?")
        if isPlain, !always || line.utf8.allSatisfy({ 0x30...0x39 ~= $0 || 0x41...0x5A ~= $0 || 0x61...0x7A ~= $0 || $0 == 0x20 || $0 == UInt8(ascii: "-") }) {
            return folded(line)
        }
        return words(line).joined(separator: "\r\n ")
    }

    /// 45 bytes are 60 characters of Base64; a character is never cut.
    private static func words(_ line: String) -> [String] {
        var pieces: [[UInt8]] = [[]]
        for scalar in line.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            if pieces[pieces.count - 1].count + bytes.count > 45 { pieces.append([]) }
            pieces[pieces.count - 1] += bytes
        }
        return pieces.map { "=?utf-8?B?\($0.base64)?=" }
    }

    /// Longer than 78 characters a line is broken at a blank that is already there.
    private static func folded(_ line: String) -> String {
        var (result, length) = ("", 10)
        for word in line.split(separator: " ", omittingEmptySubsequences: false) {
            if !result.isEmpty {
                let breaks = length + word.utf8.count + 1 > 78 && !word.isEmpty && result.last != " "
                result += breaks ? "\r\n " : " "
                length = breaks ? 1 : length + 1
            }
            result += word
            length += word.utf8.count
        }
        return result
    }

    /// RFC 5322, section 3.3.
    static func date(_ time: Timestamp) -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss '+0000'"
        return formatter.string(from: Date(timeIntervalSince1970: Double(time.nanoseconds) / 1e9))
    }
}
