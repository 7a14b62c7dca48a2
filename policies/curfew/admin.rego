# METADATA
# title: May this operator give this command now?
# description: |
#   Curfew asks before every command of the admin API. Who may do what at all is fixed by the roles in the configuration
#   (the floor); this policy can only narrow it. `input.curfew`: `now`, `realm`, `operator {id, roles, groups}`, `command`,
#   `target`.
#
#   Your own rules go into another file of this package, as more of
#
#       refusals contains reason if { ... }
# schemas:
#   - input: schema["admin-input"]
package curfew.admin

decision := {"allow": true} if {
	count(refusals) == 0
} else := {"allow": false, "reasons": sort(refusals)}

# What each role is for; `x.*` stands for every command of the family x.
commands := {
	"issuer": {"task.*", "grant.issue"},
	"approver": {"request.approve", "request.deny"},
	"responder": {"revoke", "suspend", "lift"},
	"configurer": {"operators", "operators.*", "person.set", "workload.set", "config", "config.*"},
}

refusals contains "no role of this operator is for this command" if not permitted

permitted if {
	some role in input.curfew.operator.roles
	some name in {input.curfew.command, family}
	name in commands[role]
}

# Every role may read: `grant.read`, `task.read`, `config.read`, ...
permitted if {
	some role in input.curfew.operator.roles
	commands[role]
	parts[count(parts) - 1] in {"read", "explain"}
}

parts := split(input.curfew.command, ".")

family := concat(".", [parts[0], "*"])
