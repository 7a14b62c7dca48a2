package curfew.admin_test

import data.curfew.admin

given(roles, command) := {"curfew": {
	"now": "2025-11-24T16:00:00.000Z",
	"realm": "default",
	"operator": {"id": "user:ada", "roles": roles, "groups": []},
	"command": command,
	"target": {},
}}

may(roles, command) if admin.decision.allow with input as given(roles, command)

test_issuers_run_tasks_and_issue_grants if {
	every command in ["task.open", "task.close", "grant.issue", "grant.read"] { may(["issuer"], command) }
	every command in ["revoke", "suspend", "operators.add", "config"] { not may(["issuer"], command) }
}

test_responders_end_access_and_give_none if {
	every command in ["revoke", "suspend", "lift"] { may(["responder"], command) }
	every command in ["grant.issue", "task.open", "config.change"] { not may(["responder"], command) }
}

test_configurers_configure if {
	every command in ["operators", "operators.add", "config", "config.change"] { may(["configurer"], command) }
	not may(["configurer"], "grant.issue")
}

test_every_role_reads_and_explains if {
	every role in ["issuer", "approver", "responder", "configurer"] {
		every command in ["read", "grant.read", "decision.explain"] { may([role], command) }
	}
}

test_nobody_without_a_known_role_does_anything if {
	every roles in [[], ["owner"]] {
		every command in ["grant.read", "grant.issue", "revoke"] { not may(roles, command) }
	}
}

test_a_denial_says_why if {
	reasons := ["no role of this operator is for this command"]
	admin.decision == {"allow": false, "reasons": reasons} with input as given(["approver"], "grant.issue")
}
