package curfew.lifecycle_test

import data.curfew.lifecycle

asked(entitlement, tier, model) := {"curfew": {
	"now": "2025-11-24T16:00:00.000Z",
	"now_ms": 1764000000000,
	"realm": "default",
	"question": "request",
	"actor": {"kind": "operator", "id": "user:ada", "names": ["user:ada", "team:data"]},
	"entitlement": entitlement,
	"asked": {"workload": "spiffe://dev.local/db/migrate", "model": model, "tier": tier},
}}

freezes := [{"reason": "year end", "tiers": ["sensitive", "critical"], "from_ms": 1764000000000, "until_ms": 1764000000001}]

test_the_entitlement_says_how_many_approve if {
	lifecycle.decision == {"allow": true, "reasons": [], "approvals": 2} with input as asked("db-migration", "sensitive", "time-boxed")
	lifecycle.decision.approvals == 0 with input as asked("kb-read", "standard", "jit")
}

test_an_unknown_entitlement_is_refused if {
	lifecycle.decision == {"allow": false, "reasons": ["the entitlement is not in the bundle"], "approvals": 1} with input as asked("none", "standard", "jit")
}

test_a_freeze_stops_requests_but_no_emergency if {
	lifecycle.decision.reasons == ["change freeze: year end"] with input as asked("db-migration", "sensitive", "time-boxed")
		with data.curfew.freezes as freezes
	lifecycle.decision.allow with input as asked("break-glass-prod", "critical", "break-glass")
		with data.curfew.freezes as freezes
	lifecycle.decision.allow with input as asked("kb-read", "standard", "jit") with data.curfew.freezes as freezes
}
