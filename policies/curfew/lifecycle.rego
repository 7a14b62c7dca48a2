# METADATA
# title: May this access be asked for, by how many is it approved, and how long may it be?
# description: |
#   Curfew asks before it takes a request, and again before it takes an approval. What the configuration's floor, the entitlement and
#   Curfew's own rules refuse stays refused whatever is written here: this policy can ask for more approvals and for less time.
#   `input.curfew`: `now`, `now_ms`, `realm`, `question` (`request`, `approve`, `delegate`), `actor {kind, id, names}`, `entitlement`
#   (its name) and `asked` (workload, model, scopes, tier, reference, justification).
#
#   Your own rules go into another file of this package, as more of
#
#       refusals contains reason if { ... }
package curfew.lifecycle

decision := {
	"allow": count(refusals) == 0,
	"reasons": sort(refusals),
	"approvals": approvals,
}

entitlement := data.curfew.entitlements[input.curfew.entitlement]

refusals contains "the entitlement is not in the bundle" if not entitlement

# What starts in a change freeze is not even asked for.
refusals contains concat(": ", ["change freeze", freeze.reason]) if {
	some freeze in data.curfew.freezes
	freeze.from_ms <= input.curfew.now_ms
	input.curfew.now_ms < freeze.until_ms
	input.curfew.asked.tier in freeze.tiers
	input.curfew.asked.model != "break-glass"
}

default approvals := 1

approvals := entitlement.approval.count
