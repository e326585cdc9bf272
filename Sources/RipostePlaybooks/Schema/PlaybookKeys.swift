internal import RiposteCore

/// The keys of a playbook file, declared once: the reader refuses all others, and the JSON Schema is made from them.
enum PlaybookKeys {
    struct Key {
        let name: String
        /// The value's JSON Schema.
        let schema: JSON
        let summary: String
        var isRequired = false
    }

    static let apiVersion = "riposte/v1"
    static let namePattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
    static let durationPattern = "^([0-9]+(d|h|m|s|ms|us|ns))+$"
    static let stepLimit = 32

    private static let text: JSON = ["type": "string"]
    private static let duration: JSON = ["type": "string", "pattern": .text(durationPattern), "examples": ["30s", "5m", "2h"]]
    private static let mode: JSON = ["enum": .array(Mode.allCases.map { .text($0.rawValue) })]
    private static let oneOrMany: JSON = ["oneOf": [["type": "string"], ["type": "array", "items": ["type": "string"], "minItems": 1]]]

    static let file = [
        Key(name: "apiVersion", schema: ["const": .text(apiVersion)], summary: "The version of this format.", isRequired: true),
        Key(name: "playbooks", schema: ["type": "array", "items": ["$ref": "#/$defs/playbook"]], summary: "The playbooks of this file.", isRequired: true),
    ]

    static let playbook = [
        Key(
            name: "name", schema: ["type": "string", "pattern": .text(namePattern)],
            summary: "Its name in the journal, in budgets and metrics; unique over all files.", isRequired: true),
        Key(name: "description", schema: text, summary: "For the person on call: what the alert means and what to look at."),
        Key(name: "enabled", schema: ["type": "boolean", "default": true], summary: "false: read and checked, never matched."),
        Key(name: "mode", schema: mode, summary: "observe plans and reports, ask waits for a person, enforce acts. The most careful of agent, playbook and step wins."),
        Key(name: "match", schema: ["$ref": "#/$defs/match"], summary: "Which alerts it answers; all keys must hold.", isRequired: true),
        Key(name: "cooldown", schema: ["$ref": "#/$defs/cooldown"], summary: "After a run that acted, no other one for the same values within a time."),
        Key(name: "budget", schema: ["$ref": "#/$defs/budget"], summary: "How many actions it may carry out within a window of time."),
        Key(
            name: "steps", schema: ["type": "array", "items": ["$ref": "#/$defs/step"], "minItems": 1, "maxItems": .integer(Int64(stepLimit))],
            summary: "What is done, in this order.", isRequired: true),
    ]

    static let match = [
        Key(name: "any", schema: ["const": true], summary: "Every alert; for a playbook without other keys."),
        Key(name: "rules", schema: oneOrMany, summary: "Names of rules, exact or with * and ?; a leading ! excludes."),
        Key(
            name: "priority", schema: ["type": "string", "pattern": "^(>=|>|<=|<|=) ?[A-Za-z]+$", "examples": [">= notice", "= critical"]],
            summary: "An operator and one of Falco's priorities."),
        Key(
            name: "tags", schema: ["type": "array", "items": .object(["oneOf": [["type": "string"], ["type": "array", "items": ["type": "string"]]]]), "minItems": 1],
            summary: "Any of these tags; an inner list means all of its tags."),
        Key(name: "sources", schema: oneOrMany, summary: "Falco's event sources, such as syscall or k8s_audit; alerts about Falco itself (internal) match only where named."),
        Key(name: "when", schema: text, summary: "A condition in Falco's language over the alert's fields."),
    ]

    static let cooldown = [
        Key(name: "for", schema: duration, summary: "How long.", isRequired: true),
        Key(name: "by", schema: oneOrMany, summary: "Fields that tell one case from another; none: the playbook as a whole."),
    ]

    static let budget = [
        Key(name: "actions", schema: ["type": "integer", "minimum": 1, "maximum": 100_000], summary: "Actions that change something.", isRequired: true),
        Key(name: "per", schema: duration, summary: "The window, at most 7d.", isRequired: true),
    ]

    static let step = [
        Key(name: "name", schema: ["type": "string", "pattern": .text(namePattern)], summary: "Unique within the playbook; default: the action's name with a dash for the dot."),
        Key(name: "action", schema: text, summary: "What is done.", isRequired: true),
        Key(name: "with", schema: ["type": "object"], summary: "The action's parameters; {{ field }} puts a field of the alert in as data."),
        Key(name: "when", schema: text, summary: "Only where this condition holds; else the step is skipped."),
        Key(name: "undo", schema: ["$ref": "#/$defs/undo"], summary: "When the action is taken back by itself."),
        Key(
            name: "on_failure", schema: ["enum": .array(Step.OnFailure.allCases.map { .text($0.rawValue) }), "default": "stop"],
            summary: "After a failure or refusal: end, go on, or take back what the run did."),
        Key(name: "mode", schema: mode, summary: "More careful than the playbook's, for this step."),
        Key(
            name: "reflex", schema: ["type": "boolean", "default": false],
            summary: "true: the own sensor answers in the kernel, before the program's next instruction, where the kernel alone can decide the rule."),
    ]

    static let undo = [
        Key(name: "after", schema: duration, summary: "How long the action stays in force.", isRequired: true),
        Key(
            name: "extend", schema: ["type": "boolean", "default": false],
            summary: "true: another alert for a target on which the action stands already makes its time longer; it is never made shorter."),
        Key(name: "max", schema: duration, summary: "With extend: how long the action stands at most, from its beginning."),
    ]

    /// Keys that people will look for because the format is to have them.
    static let planned = [
        "rollout", "approval", "dedup", "final", "order", "owner", "links", "defaults", "intake", "threshold", "needs", "target", "timeout", "retry",
        "evidence", "hold", "parallel", "on_finish",
    ]
}
