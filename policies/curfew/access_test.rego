package curfew.access_test

import data.curfew.access

grant := {
	"id": "g1",
	"model": "jit",
	"scopes": [{"actions": ["GET"], "resource": {"type": "http", "id": "shop.local/**"}}],
	"expires_at_ms": 1764000060000,
	"task": "t1",
	"reference": null,
	"entitlement": "shop-deploy",
	"owner": "team:shop",
	"tier": "standard",
	"uses_left": null,
	"justification": "deploys release 42",
}

emergency := object.union(grant, {"id": "g9", "model": "break-glass", "tier": "critical", "reference": "INC-7"})

asked(grants) := {"curfew": {
	"now": "2025-11-24T16:00:00.000Z",
	"now_ms": 1764000000000,
	"realm": "default",
	"subject": {"id": "spiffe://dev.local/ci/deployer", "kind": "jwt-svid", "trust_domain": "dev.local"},
	"action": "GET",
	"resource": {"type": "http", "id": "shop.local/orders/1"},
	"grants": grants,
	"tasks": [],
}}

test_most_specific_grant_is_relied_on if {
	access.decision == {"allow": true, "grant": "g1"} with input as asked([grant, emergency])
}

test_no_grant_no_access if {
	access.decision == {"allow": false, "reasons": ["no grant covers this"]} with input as asked([])
}

test_break_glass_needs_a_reference if {
	denial := {"allow": false, "reasons": ["break-glass needs an incident reference"]}
	every reference in [null, ""] {
		careless := object.union(emergency, {"reference": reference})
		access.decision == denial with input as asked([careless])
	}
}

test_break_glass_without_the_member_reference_is_denied if {
	careless := object.remove(emergency, ["reference"])
	not access.decision.allow with input as asked([careless])
}

test_break_glass_with_a_reference_counts if {
	access.decision == {"allow": true, "grant": "g9"} with input as asked([emergency])
}

test_a_grant_with_an_objection_leaves_the_next_one if {
	careless := object.remove(emergency, ["reference"])
	access.decision == {"allow": true, "grant": "g1"} with input as asked([careless, grant])
}

standing(grants) := object.union(asked(grants), {"curfew": {"standing": "health"}})

test_a_standing_entry_needs_no_grant if {
	access.decision == {"allow": true} with input as standing([])
	access.decision == {"allow": true, "grant": "g1"} with input as standing([grant])
}

test_a_standing_entry_opens_nothing_that_is_forbidden if {
	forbidden := [{"type": "http", "prefix": "shop.local/", "reason": "closed"}]
	not access.decision.allow with input as standing([]) with data.curfew.forbidden as forbidden
}

test_a_standing_entry_does_not_excuse_a_grant_with_an_objection if {
	not access.decision.allow with input as standing([object.remove(emergency, ["reference"])])
}

freezes := [{"reason": "year end", "tiers": ["standard", "critical"], "from_ms": 1764000000000, "until_ms": 1764000000001}]

test_freeze_stops_all_but_emergencies if {
	access.decision == {"allow": false, "reasons": ["change freeze: year end"]} with input as asked([grant])
		with data.curfew.freezes as freezes
	access.decision.grant == "g9" with input as asked([grant, emergency])
		with data.curfew.freezes as freezes
}

test_freeze_ends_on_its_instant if {
	over := [object.union(freezes[0], {"from_ms": 0, "until_ms": 1764000000000})]
	access.decision.allow with input as asked([grant]) with data.curfew.freezes as over
}

test_forbidden_resources_stay_shut if {
	forbidden := [{"type": "http", "prefix": "shop.local/orders/", "reason": "moved to the new shop"}]
	access.decision == {"allow": false, "reasons": ["moved to the new shop"]} with input as asked([grant])
		with data.curfew.forbidden as forbidden
	access.decision.allow with input as asked([grant])
		with data.curfew.forbidden as [object.union(forbidden[0], {"type": "db"})]
}
