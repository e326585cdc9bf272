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
    static let longestTimeLimit = Duration.seconds(3600)

    private static let text: JSON = ["type": "string"]
    private static let duration: JSON = ["type": "string", "pattern": .text(durationPattern), "examples": ["30s", "5m", "2h"]]
    private static let mode: JSON = ["enum": .array(Mode.allCases.map { .text($0.rawValue) })]
    private static let oneOrMany: JSON = ["oneOf": [["type": "string"], ["type": "array", "items": ["type": "string"], "minItems": 1]]]

    static let file = [
        Key(name: "apiVersion", schema: ["const": .text(apiVersion)], summary: "The version of this format.", isRequired: true),
        Key(name: "defaults", schema: ["$ref": "#/$defs/defaults"], summary: "Values for every playbook of this file that does not give its own."),
        Key(name: "playbooks", schema: ["type": "array", "items": ["$ref": "#/$defs/playbook"]], summary: "The playbooks of this file.", isRequired: true),
    ]

    static let playbook = [
        Key(
            name: "name", schema: ["type": "string", "pattern": .text(namePattern)],
            summary: "Its name in the journal, in budgets and metrics; unique over all files.", isRequired: true),
        Key(name: "description", schema: text, summary: "For the person on call: what the alert means and what to look at."),
        Key(name: "owner", schema: text, summary: "Who answers for it: a team, an address."),
        Key(name: "links", schema: ["type": "array", "items": ["type": "string"]], summary: "What to look at: run books, dashboards."),
        Key(name: "enabled", schema: ["type": "boolean", "default": true], summary: "false: read and checked, never matched."),
        Key(name: "mode", schema: mode, summary: "observe plans and reports, ask waits for a person, enforce acts. The most careful of agent, playbook and step wins."),
        Key(
            name: "require",
            schema: ["oneOf": [["$ref": "#/$defs/ability"], ["type": "array", "items": ["$ref": "#/$defs/ability"], "minItems": 1]]],
            summary: "What the machine must be able to do; an agent whose machine is not does not take the file. Without it such a playbook is degraded."),
        Key(name: "rollout", schema: ["$ref": "#/$defs/rollout"], summary: "Lets it act by and by: stages, and what throws it back."),
        Key(
            name: "order", schema: ["type": "integer", "minimum": -1_000_000, "maximum": 1_000_000, "default": 0],
            summary: "Playbooks of a smaller order see an alert first; of equal ones, those of earlier files and places."),
        Key(name: "final", schema: ["type": "boolean", "default": false], summary: "true: no later playbook sees an alert that this one answers."),
        Key(
            name: "dedup", schema: ["oneOf": [["$ref": "#/$defs/dedup"], ["const": "off"]]],
            summary: "The same fact told again within a time makes no new run; off: each alert is answered. Default: {for: 60s, by: [rule, target]}."),
        Key(name: "match", schema: ["$ref": "#/$defs/match"], summary: "Which alerts it answers; all keys must hold.", isRequired: true),
        Key(name: "cooldown", schema: ["$ref": "#/$defs/cooldown"], summary: "After a run that acted, no other one for the same values within a time."),
        Key(name: "budget", schema: ["$ref": "#/$defs/budget"], summary: "How many actions it may carry out within a window of time."),
        Key(name: "approval", schema: ["$ref": "#/$defs/approval"], summary: "How people are asked wherever the mode is ask."),
        Key(
            name: "steps",
            schema: [
                "type": "array", "items": ["if": ["required": ["parallel"]], "then": ["$ref": "#/$defs/parallel"], "else": ["$ref": "#/$defs/step"]], "minItems": 1,
                "maxItems": .integer(Int64(stepLimit)),
            ], summary: "What is done, in this order.", isRequired: true),
        Key(
            name: "on_finish", schema: ["type": "array", "items": ["$ref": "#/$defs/finish"], "maxItems": .integer(Int64(finishLimit))],
            summary: "What is told when all steps have ended, however they ended; it changes nothing."),
    ]

    static let finishLimit = 8

    /// A step of `on_finish`.
    static let finish = [
        Key(name: "name", schema: ["type": "string", "pattern": .text(namePattern)], summary: "Unique within the playbook; default: finish- and its place."),
        Key(name: "action", schema: text, summary: "An action that only tells: notify.send.", isRequired: true),
        Key(name: "with", schema: ["type": "object"], summary: "The action's parameters; {{ steps.NAME.outcome }} and all that steps may ask."),
        Key(name: "when", schema: text, summary: "Only where this condition holds."),
        Key(name: "timeout", schema: duration, summary: "At most 1h; default 10s."),
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
        Key(name: "intake", schema: oneOrMany, summary: "Only alerts that came in here: \(intakes.joined(separator: ", "))."),
        Key(name: "threshold", schema: ["$ref": "#/$defs/threshold"], summary: "One run for so many alerts within a time."),
    ]

    static let intakes = Match.intakeNames

    static let threshold = [
        Key(name: "count", schema: ["type": "integer", "minimum": 2, "maximum": .integer(Int64(Threshold.countLimit))], summary: "How many alerts.", isRequired: true),
        Key(name: "within", schema: duration, summary: "Within this time, by the alerts' own clock.", isRequired: true),
        Key(name: "by", schema: oneOrMany, summary: "Only alerts that have the same values in these fields count together; none: all of them."),
    ]

    static let dedup = [
        Key(name: "for", schema: duration, summary: "How long after it was told first.", isRequired: true),
        Key(name: "by", schema: oneOrMany, summary: "What must be the same: rule, target (the process or container, and its file), and fields. Default: rule and target."),
    ]

    static let rollout = [
        Key(
            name: "stages", schema: ["type": "array", "items": ["$ref": "#/$defs/stage"], "minItems": 1, "maxItems": .integer(Int64(Rollout.stageLimit))],
            summary: "From careful to free.", isRequired: true),
        Key(
            name: "back_on", schema: ["type": "array", "items": ["type": "string"], "examples": [["denied > 2", "undone_by_hand > 1", "breaker"]]],
            summary: "More of this than that in one stage, and it goes back to the last stage that is more careful."),
    ]

    private static let percent: JSON = ["type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,2})?%$", "examples": ["5%", "10%"]]

    static let stage = [
        Key(name: "mode", schema: mode, summary: "The widest mode in this stage.", isRequired: true),
        Key(name: "for", schema: duration, summary: "It lasts at least so long."),
        Key(name: "min_runs", schema: ["type": "integer", "minimum": 1, "maximum": 1_000_000], summary: "It lasts until the playbook has run so often."),
        Key(name: "max_denied", schema: percent, summary: "It lasts while a person denies more than this share of its runs."),
        Key(name: "share", schema: percent, summary: "Only this share of targets, always the same ones; the others stay in the mode before."),
        Key(name: "after", schema: duration, summary: "Not before the stage before it has lasted so long."),
        Key(
            name: "auto", schema: ["type": "boolean", "default": false],
            summary: "true: entered without a person as soon as what is asked of the stage before holds; not for enforce."),
    ]

    static let defaults = [
        Key(name: "mode", schema: mode, summary: "The playbooks' mode."),
        Key(name: "owner", schema: text, summary: "Who answers for them."),
        Key(name: "cooldown", schema: ["$ref": "#/$defs/cooldown"], summary: "The playbooks' cool-down."),
        Key(name: "budget", schema: ["$ref": "#/$defs/budget"], summary: "Each playbook's budget."),
        Key(name: "dedup", schema: ["oneOf": [["$ref": "#/$defs/dedup"], ["const": "off"]]], summary: "When a fact that is told again counts as the same."),
    ]

    static let cooldown = [
        Key(name: "for", schema: duration, summary: "How long.", isRequired: true),
        Key(name: "by", schema: oneOrMany, summary: "Fields that tell one case from another; none: the playbook as a whole."),
    ]

    static let budget = [
        Key(name: "actions", schema: ["type": "integer", "minimum": 1, "maximum": .integer(Int64(Budget.actionLimit))], summary: "Actions that change something."),
        Key(name: "targets", schema: ["type": "integer", "minimum": 1, "maximum": .integer(Int64(Budget.actionLimit))], summary: "Different targets among them."),
        Key(
            name: "share",
            schema: .object([
                "type": "object",
                "properties": ["of": ["const": "workload"], "max": percent, "at_least_one": ["type": "boolean", "default": false]],
                "required": ["of", "max"], "additionalProperties": false,
            ]),
            summary: "At most this part of a workload's replicas at the same time, rounded down; held as long as what was done stands."),
        Key(name: "per", schema: duration, summary: "The window, at most 7d; needed for actions and targets."),
        Key(
            name: "over", schema: ["enum": .array(Budget.Overflow.allCases.map { .text($0.rawValue) }), "default": "observe"],
            summary: "What becomes of acts that are over: planned and reported, or put to a person."),
        Key(
            name: "reopen",
            schema: .object([
                "oneOf": [
                    ["const": "by hand"],
                    [
                        "type": "object", "properties": ["quiet": duration], "required": ["quiet"], "additionalProperties": false,
                    ],
                ]
            ]),
            summary: "How the breaker that it trips closes: by hand (the default where an action destroys), or after nothing has asked for a while (quiet: 30m)."),
    ]

    static let step = [
        Key(name: "name", schema: ["type": "string", "pattern": .text(namePattern)], summary: "Unique within the playbook; default: the action's name with a dash for the dot."),
        Key(name: "action", schema: text, summary: "What is done."),
        Key(name: "with", schema: ["type": "object"], summary: "The action's parameters; {{ field }} puts a field of the alert in as data."),
        Key(name: "when", schema: text, summary: "Only where this condition holds; else the step is skipped."),
        Key(name: "undo", schema: ["$ref": "#/$defs/undo"], summary: "When the action is taken back by itself."),
        onFailure,
        needs,
        Key(
            name: "timeout", schema: duration,
            summary: "For planning, the turn, the deed and retries together, at most 1h; default 10s and what the action waits for its target."),
        Key(name: "retry", schema: ["$ref": "#/$defs/retry"], summary: "How often it is tried again where that may help; default: by the class of the failure."),
        Key(name: "mode", schema: mode, summary: "More careful than the playbook's, for this step."),
        Key(name: "budget", schema: ["$ref": "#/$defs/budget"], summary: "How often this step may act within a window of time, within the playbook's budget."),
        Key(name: "approval", schema: ["$ref": "#/$defs/approval"], summary: "A person is asked before this step, whatever the mode; what is not said here is as in the playbook."),
        Key(
            name: "hold", schema: ["enum": .array(holds.map(JSON.text))],
            summary: "What is done at once while a person decides: taken back at a no, let go once the step is done."),
        Key(name: "escalate", schema: ["$ref": "#/$defs/escalate"], summary: "A stronger action on the same target, if nobody answers within a time."),
        Key(
            name: "reflex", schema: ["type": "boolean", "default": false],
            summary: "true: the own sensor answers in the kernel, before the program's next instruction, where the kernel alone can decide the rule."),
    ]

    private static let onFailure = Key(
        name: "on_failure",
        schema: [
            "oneOf": [["enum": .array(OnFailureWord.allCases.map { .text($0.rawValue) })], ["$ref": "#/$defs/goto"]], "default": "stop",
        ], summary: "After a failure or refusal: end, go on, take back what the run did, or go on at a later step.")
    private static let needs = Key(name: "needs", schema: oneOrMany, summary: "Earlier steps that must have ended done or already; else it is skipped.")

    /// Instead of a step.
    static let block = [
        Key(
            name: "parallel", schema: ["type": "array", "items": ["$ref": "#/$defs/step"], "minItems": 2, "maxItems": .integer(Int64(stepLimit))],
            summary: "Steps that run together; the block ends when all have, and its outcome is the worst of theirs.", isRequired: true),
        Key(name: "name", schema: ["type": "string", "pattern": .text(namePattern)], summary: "Unique within the playbook; default: parallel- and its place."),
        Key(name: "when", schema: text, summary: "Only where this condition holds; else all its steps are skipped."),
        Key(name: "needs", schema: oneOrMany, summary: "Earlier steps that must have ended done or already; else all its steps are skipped."),
        Key(name: "on_failure", schema: onFailure.schema, summary: "For those of its steps that do not say themselves."),
    ]

    static let jump = [Key(name: "goto", schema: ["type": "string", "pattern": .text(namePattern)], summary: "A later step that stands alone, or a block.", isRequired: true)]

    static let retry = [
        Key(name: "max", schema: ["type": "integer", "minimum": 0, "maximum": .integer(Int64(RetryPolicy.limit)), "default": 3], summary: "Further attempts; 0: none."),
        Key(name: "delay", schema: duration, summary: "Before the first of them, at most 30s; default 200ms."),
        Key(name: "factor", schema: ["type": "number", "minimum": 1, "maximum": 10, "default": 2], summary: "By which the delay grows."),
        Key(name: "jitter", schema: ["type": "boolean", "default": true], summary: "Leave out up to half of each delay, by chance."),
        Key(
            name: "on", schema: ["oneOf": [["$ref": "#/$defs/passing"], ["type": "array", "items": ["$ref": "#/$defs/passing"]]]],
            summary: "After failures of these classes; default busy, unavailable, conflict."),
    ]

    static let undo = [
        Key(name: "after", schema: duration, summary: "How long the action stays in force.", isRequired: true),
        Key(
            name: "extend", schema: ["type": "boolean", "default": false],
            summary: "true: another alert for a target on which the action stands already makes its time longer; it is never made shorter."),
        Key(name: "max", schema: duration, summary: "With extend: how long the action stands at most, from its beginning."),
    ]

    static let approval = [
        Key(name: "expires", schema: duration, summary: "How long the question stands, at most 7d; default 15m."),
        Key(
            name: "approvers", schema: ["oneOf": [approver, ["type": "array", "items": approver, "minItems": 1]]],
            summary: "Who decides: user:NAME, group:NAME. None: whoever may give the agent orders."),
        Key(name: "quorum", schema: ["type": "integer", "minimum": 1, "maximum": 2], summary: "How many different persons must say yes."),
        Key(
            name: "on_expiry", schema: ["enum": .array(ApprovalTerms.OnExpiry.allCases.map { .text($0.rawValue) }), "default": "drop"],
            summary: "When nobody answers: the step fails, is only planned, or, where it can be taken back, is performed."),
    ]

    private static let approver: JSON = ["type": "string", "pattern": "^(user|group):.+$", "examples": ["group:oncall", "user:ann"]]

    static let escalate = [
        Key(name: "after", schema: duration, summary: "How long a person has to answer.", isRequired: true),
        Key(name: "unless", schema: ["enum": ["answered"], "default": "answered"], summary: "What keeps it from happening: an answer, yes or no."),
        Key(name: "action", schema: text, summary: "What is done then, to the same target.", isRequired: true),
        Key(name: "with", schema: ["type": "object"], summary: "The action's parameters."),
    ]

    static let holds = ["process.suspend", "container.pause", "container.isolate"]
}
