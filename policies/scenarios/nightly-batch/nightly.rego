# Grants of nightly entitlements count at night alone: an objection of its own beside those of the default pack.
package curfew.access

objections contains {"grant": grant.id, "reason": sprintf("only from %d to %d o'clock, UTC", [hours.from, hours.until])} if {
	some grant in input.curfew.grants
	hours := data.curfew.entitlements[grant.entitlement].extra.hours
	[hour, _, _] := time.clock([input.curfew.now_ms * 1000000, "UTC"])
	not within(hour, hours)
}

within(hour, hours) if {
	hours.from <= hour
	hour < hours.until
}
