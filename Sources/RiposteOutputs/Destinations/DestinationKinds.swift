/// The kinds of destinations there are. A new one adds its line here.
package enum DestinationKinds {
    package static let all: [any Destination.Type] = [
        FileDestination.self, HTTPDestination.self, MailDestination.self, NATSDestination.self, ProgramDestination.self, StandardOutputDestination.self,
        SyslogDestination.self,
        SlackDestination.self, ElasticsearchDestination.self, SplunkDestination.self, LokiDestination.self,
        AlertmanagerDestination.self, OTLPDestination.self, KubernetesDestination.self, DiscordDestination.self, TeamsDestination.self,
        GoogleChatDestination.self, PagerDutyDestination.self, OpsgenieDestination.self, TelegramDestination.self,
    ]

    package static func kind(_ name: String) -> (any Destination.Type)? { all.first { $0.kind == name } }

    package static var names: [String] { all.map { $0.kind } }
}
