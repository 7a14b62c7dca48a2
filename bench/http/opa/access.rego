# The use-time check of Curfew as one writes it for a stock OPA server: the same conditions, in the order that fails early.
# Everything is looked up by key; what can be known before the request (which endings concern a grant or a workload, how specific
# a scope is) lies in the data, ready. Decisions come from POST /v1/data/bench/access/decision.
# Not done here, though Curfew does: a record of each decision (one lane has the log of the server for it), a reason for each denial, the re-check before the answer.
package bench.access

default decision := {"allow": false}

decision := {"allow": true, "grant": relied.id, "valid_until_ms": valid_until_ms} if {
	not ambiguous
	credential_young
	not credential_ended
	count(ranked) > 0
	not refused
}

now_ms := time.now_ns() / 1000000

# --- the request: a path with one reading, a host in one spelling

ambiguous if regex.match(`//|/\.{1,2}(/|$)|%2[eEfF]|%5[cC]|%00|%25|[;\\#]`, input.path)

ambiguous if not regex.match(`^[a-z0-9.-]+(:[0-9]+)?$`, host)

host := lower(input.host)

resource := concat("", [host, split(input.path, "?")[0]])

# --- the credential: signature, algorithm, audience, nbf and exp; OPA remembers the outcome by token and key in its io_jwt cache, if configured

verified := io.jwt.decode_verify(input.token, {"cert": data.jwks, "alg": "ES256", "aud": data.audience})

claims := verified[2] if verified[0]

credential_young if {
	claims.iat * 1000 <= now_ms + data.credential_skew_ms
	(claims.exp - claims.iat) * 1000 <= data.max_credential_age_ms
}

subject := data.workloads[claims.sub]

credential_keys := [
	concat("", ["credential:jti:", json.marshal([data.issuer, claims.jti])]),
	concat("", ["credential:sha256:", crypto.sha256(substring(input.token, 0, indexof_n(input.token, ".")[1]))]),
]

credential_ended if {
	some key in credential_keys
	data.endings[key]
}

credential_ended if {
	some key in subject.ends
	ending := data.endings[key]
	covers_credential(ending)
}

covers_credential(ending) if ending.suspended

covers_credential(ending) if claims.iat * 1000 <= ending.at_ms + data.credential_skew_ms

# --- the grants: live, covering, with every ancestor

ranked := sort([[0 - rank, 0 - grant.expires_at_ms, grant.id] |
	some grant in subject.grants
	rank := max([scope.rank |
		some scope in grant.scopes
		scope.type == "http"
		action_covered(scope)
		resource_covered(scope)
	])
	use_fits(grant)
	holds(grant)
	not uses_exhausted(grant)
	every ancestor in grant.chain {
		use_fits(ancestor)
		holds(ancestor)
	}
])

relied := grant if {
	some grant in subject.grants
	grant.id == ranked[0][2]
}

action_covered(scope) if scope.actions[input.method]

action_covered(scope) if scope.actions["*"]

resource_covered(scope) if startswith(resource, scope.prefix)

resource_covered(scope) if glob.match(scope.glob, ["/"], resource)

use_fits(grant) if {
	condition_met(grant.conditions, "audience", data.audience)
	condition_met(grant.conditions, "pep", input.pep)
	source_met(grant.conditions)
	binding_met(grant)
}

condition_met(conditions, name, _) if not conditions[name]

condition_met(conditions, name, value) if value in conditions[name]

source_met(conditions) if not conditions.source

source_met(conditions) if {
	some block in conditions.source
	net.cidr_contains(block, input.source)
}

binding_met(grant) if not grant.binding

binding_met(grant) if grant.binding.x5t == claims.cnf["x5t#S256"]

holds(grant) if {
	grant.not_before_ms <= now_ms
	now_ms < grant.expires_at_ms
	task_holds(grant)
	data.entitlements[grant.entitlement]
	not recertification_overdue(grant)
	not ended(grant)
}

task_holds(grant) if not grant.task

task_holds(grant) if {
	task := data.tasks[grant.task]
	task.state == "open"
	now_ms < task.deadline_ms
	not heartbeat_missed(task)
}

heartbeat_missed(task) if task.last_beat_at_ms + task.heartbeat_ms <= now_ms

recertification_overdue(grant) if grant.recertify_by_ms <= now_ms

uses_exhausted(grant) if data.uses[grant.id] >= grant.uses

ended(grant) if {
	some key in grant.ends
	covers(data.endings[key], grant)
}

ended(grant) if {
	some key in subject.ends
	covers(data.endings[key], grant)
}

covers(ending, _) if ending.suspended

covers(ending, grant) if grant.sequence <= ending.sequence

valid_until_ms := min([relied.expires_at_ms, data.tasks[relied.task].deadline_ms, claims.exp * 1000])

# --- the rule of the default pack

refused if {
	some entry in data.forbidden
	startswith(resource, entry.prefix)
}

refused if {
	some freeze in data.freezes
	freeze.from_ms <= now_ms
	now_ms < freeze.until_ms
	relied.tier in freeze.tiers
	relied.model != "break-glass"
}

refused if {
	relied.model == "break-glass"
	object.get(relied, "reference", null) in {null, ""}
}
