# The use-time check of Curfew as one writes it for a stock OPA server. Everything is looked up by key; what can be known before
# the request (which endings concern a grant or a workload) lies in the data, ready. Decisions come from
# POST /v1/data/bench/access/decision.
package bench.access

default decision := {"allow": false}

decision := {"allow": true, "grant": live[0].id, "valid_until_ms": valid_until_ms} if {
	not credential_ended
	count(live) > 0
}

now_ms := time.now_ns() / 1000000

# Signature, algorithm, audience, nbf and exp; OPA remembers the outcome a token and key in its io_jwt cache, as configured.
verified := io.jwt.decode_verify(input.token, {"cert": data.jwks, "alg": "ES256", "aud": data.audience})

claims := verified[2] if verified[0]

subject := data.workloads[claims.sub]

resource := concat("", [lower(input.host), input.path])

live := [grant |
	some grant in subject.grants
	grant.actions[input.method]
	startswith(resource, grant.prefix)
	grant.not_before_ms <= now_ms
	now_ms < grant.expires_at_ms
	task := data.tasks[grant.task]
	task.state == "open"
	now_ms < task.deadline_ms
	data.entitlements[grant.entitlement]
	not ended(grant)
]

valid_until_ms := min([live[0].expires_at_ms, data.tasks[live[0].task].deadline_ms, claims.exp * 1000])

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

credential_ended if {
	some key in subject.ends
	ending := data.endings[key]
	claims.iat * 1000 <= ending.at_ms + data.credential_skew_ms
}

credential_ended if data.endings[concat("", ["credential:jti:", json.marshal([data.issuer, claims.jti])])]
