# The bare rule of the peers bench: a role of the caller permits the method below a prefix. No identity is verified, no fact is looked up but this data.
package bench.bare

default allow := false

allow if {
	some role in data.bench.roles[input.attributes.request.http.headers["x-user"]]
	some permission in data.bench.permissions[role]
	permission.method == input.attributes.request.http.method
	startswith(input.attributes.request.http.path, permission.prefix)
}
