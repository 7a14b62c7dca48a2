# An app of somebody else's needs the grant and, in its own token, the scope: neither widens the other.
package curfew.access

refusals contains "the token has no scope orders.read" if {
	input.curfew.subject.kind == "oidc"
	not "orders.read" in split(object.get(input.curfew.credential.claims, "scope", ""), " ")
}
