# METADATA
# title: May this workload do this now?
# description: |
#   Curfew asks at every use, after it has verified the credential and looked up what ended. `input.curfew.grants` are the
#   grants that are live and cover the request, most specific first. This policy can only narrow: with no grant the answer
#   is a denial whatever is written here, and the grant it names must be one of those it was given.
#
#   Your own rules go into another file of this package (say `own.rego`), as more of
#
#       refusals contains reason if { ... }                                # nothing may do this now
#       objections contains {"grant": grant.id, "reason": reason} if { ... }  # this grant doesn't count here
# schemas:
#   - input: schema["policy-input"]
package curfew.access

decision := {"allow": true, "grant": usable[0].id} if {
	count(refusals) == 0
	count(usable) > 0
} else := {"allow": true} if {
	# The configuration lets this through without a grant, by the standing entry of this id.
	input.curfew.standing
	count(input.curfew.grants) == 0
	count(refusals) == 0
} else := {"allow": false, "reasons": sort(reasons)}

# The grants without an objection, in the order they came.
usable := [grant |
	some grant in input.curfew.grants
	not objected[grant.id]
]

objected contains objection.grant if some objection in objections

# An emergency leaves a trace: break-glass access counts only with the incident it is for.
objections contains {"grant": grant.id, "reason": "break-glass needs an incident reference"} if {
	some grant in input.curfew.grants
	grant.model == "break-glass"
	object.get(grant, "reference", null) in {null, ""}
}

# A change freeze of the bundle's data stops everything of its tiers but emergencies.
objections contains {"grant": grant.id, "reason": concat(": ", ["change freeze", freeze.reason])} if {
	some freeze in data.curfew.freezes
	freeze.from_ms <= input.curfew.now_ms
	input.curfew.now_ms < freeze.until_ms
	some grant in input.curfew.grants
	grant.tier in freeze.tiers
	grant.model != "break-glass"
}

# Resources that no workload may use, not even with a grant.
refusals contains entry.reason if {
	some entry in data.curfew.forbidden
	entry.type == input.curfew.resource.type
	startswith(input.curfew.resource.id, entry.prefix)
}

reasons contains "no grant covers this" if count(input.curfew.grants) == 0

reasons contains reason if some reason in refusals

reasons contains objection.reason if some objection in objections
