/** What policies written for opa-envoy-plugin are tried with, unchanged: a node that lets them decide under a standing entry, asked by one mesh. */

/** How the mesh proves who it is. */
export const MESH_TOKEN = 'envoy-token-0123456789';

export interface StockConfig {
  readonly entrypoint: string;
  /** That routes may name. */
  readonly rules: readonly string[];
}

export const stockConfig = ({ entrypoint, rules }: StockConfig): string => `
peps: [{ id: mesh, token: { env: MESH_TOKEN }, subject: peer, hosts: ["*"] }]
policy: { bundle: { directory: policy }, entrypoint: ${entrypoint} }
grpc: { policies: [${rules.join(', ')}] }
standing:
  - id: stock
    match: { peps: [mesh], scopes: [{ actions: ["*"], resource: { type: http, id: "**" } }] }
    identity: optional
    owner: team:mesh
    reason: policies of the OPA plugin, until they know grants
    end: 2099-01-01T00:00:00Z
`;

/** Of a route of Envoy's: asks by this rule. */
export const askingBy = (rule: string): object => ({
  'envoy.filters.http.ext_authz': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute', check_settings: { context_extensions: { 'curfew.policy': rule } } },
});
