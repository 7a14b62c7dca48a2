/**
 * What is known of well-known OIDC issuers. Ids are built from claims that name things by number, where there are such: names
 * can be taken over. A job without an environment has no `environment` claim and is refused by the id template; configure
 * another `id` for such jobs.
 */
import type { Algorithm } from './config.ts';

interface Preset {
  readonly issuer?: string;
  readonly id: string;
  readonly algorithms: Algorithm[];
  readonly maxCredentialAgeMs: number;
  /** An issuer that serves everyone, so that a token of it says little without a matcher on one of `ownerClaims`. */
  readonly shared?: string;
  readonly ownerClaims: readonly string[];
}

const GITHUB = 'https://token.actions.githubusercontent.com';
const GITLAB = 'https://gitlab.com';

export const presets: Readonly<Record<'github' | 'gitlab' | 'kubernetes', Preset>> = {
  github: {
    issuer: GITHUB,
    id: 'oidc:{issuer}/repo/{repository_id}/env/{environment}',
    algorithms: ['RS256'],
    maxCredentialAgeMs: 3_600_000,
    shared: GITHUB,
    ownerClaims: ['repository_id', 'repository_owner_id', 'enterprise_id'],
  },
  gitlab: {
    issuer: GITLAB,
    id: 'oidc:{issuer}/project/{project_id}/env/{environment}',
    algorithms: ['RS256'],
    maxCredentialAgeMs: 3_600_000,
    shared: GITLAB,
    ownerClaims: ['project_id', 'namespace_id'],
  },
  kubernetes: {
    id: 'oidc:{issuer}/ns/{kubernetes.io/namespace}/sa/{kubernetes.io/serviceaccount/name}',
    algorithms: ['RS256', 'ES256'],
    // Projected tokens are issued for 3,607 s.
    maxCredentialAgeMs: 3_607_000,
    ownerClaims: [],
  },
};
