/**
 * A SubjectAccessReview (authorization.k8s.io/v1) to what it asks. A resource of the API is `ns/<namespace>/<group>/<resource>[/<name>[/<subresource>]]`
 * or `cluster/<group>/...`, type `kubernetes`; the core group is `core`, and `~` stands for a name that is not given before a subresource. Other paths
 * are type `kubernetes-path`, without their leading slash.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../domain/json.ts';
import type { ResourceRef } from '../../domain/scope.ts';
import type { KubernetesConfig } from './config.ts';

export interface Review {
  readonly user: string;
  readonly groups: readonly string[];
  readonly namespace: string | undefined;
  readonly action: string;
  readonly resource: ResourceRef;
  readonly spec: JsonObject;
}

const text = (value: JsonValue | undefined): string | undefined => (value === undefined ? '' : typeof value === 'string' ? value : undefined);

const own = (object: JsonObject, name: string): JsonValue | undefined => (Object.hasOwn(object, name) ? object[name] : undefined);

const ofResource = (attributes: JsonObject): Pick<Review, 'namespace' | 'action' | 'resource'> | undefined => {
  const given = ['namespace', 'verb', 'group', 'resource', 'subresource', 'name'].map((name) => text(own(attributes, name)));
  if (given.some((part) => part === undefined || part.includes('/'))) return undefined;
  const [namespace = '', action = '', group = '', resource = '', subresource = '', name = ''] = given as string[];
  // `~` and `core` are ours to write.
  if (action === '' || resource === '' || group === 'core' || name === '~') return undefined;
  const parts = [...(namespace === '' ? ['cluster'] : ['ns', namespace]), group === '' ? 'core' : group, resource];
  if (name !== '' || subresource !== '') parts.push(name === '' ? '~' : name);
  if (subresource !== '') parts.push(subresource);
  return { namespace: namespace === '' ? undefined : namespace, action, resource: { type: 'kubernetes', id: parts.join('/') } };
};

const ofPath = (attributes: JsonObject): Pick<Review, 'namespace' | 'action' | 'resource'> | undefined => {
  const [path, action] = ['path', 'verb'].map((name) => text(own(attributes, name)));
  if (path === undefined || action === undefined || action === '' || !/^\/[^/]/.test(path)) return undefined;
  return { namespace: undefined, action, resource: { type: 'kubernetes-path', id: path.slice(1) } };
};

/** `undefined`: it is no review, or one that can be read in two ways. */
export const readReview = (body: JsonValue): Review | undefined => {
  if (!isJsonObject(body) || body['apiVersion'] !== 'authorization.k8s.io/v1' || body['kind'] !== 'SubjectAccessReview') return undefined;
  const spec = own(body, 'spec');
  if (!isJsonObject(spec)) return undefined;
  const [user, groups = [], resource, path] = ['user', 'groups', 'resourceAttributes', 'nonResourceAttributes'].map((name) => own(spec, name) ?? undefined);
  if (typeof user !== 'string' || user === '' || !Array.isArray(groups) || !groups.every((group) => typeof group === 'string')) return undefined;
  if ((resource === undefined) === (path === undefined)) return undefined;
  const asked = isJsonObject(resource) ? ofResource(resource) : isJsonObject(path) ? ofPath(path) : undefined;
  return asked === undefined ? undefined : { user, groups, spec, ...asked };
};

const fits = (names: readonly string[] | undefined, given: readonly string[]): boolean =>
  names === undefined || names.some((name) => given.some((one) => (name.endsWith('*') ? one.startsWith(name.slice(0, -1)) : one === name)));

export const hasOpinion = ({ user, groups, namespace }: Review, { opinions }: KubernetesConfig): boolean =>
  opinions.some((entry) => fits(entry.users, [user]) && fits(entry.groups, groups) && fits(entry.namespaces, namespace === undefined ? [] : [namespace]));

const SERVICE_ACCOUNT = /^system:serviceaccount:([a-z0-9.-]+):([a-z0-9.-]+)$/;

/** `undefined`: no workload goes by this name. */
export const workloadOf = (user: string, { serviceAccount, user: other }: KubernetesConfig): string | undefined => {
  const match = SERVICE_ACCOUNT.exec(user);
  if (match !== null) return serviceAccount?.replaceAll('{namespace}', match[1] as string).replaceAll('{name}', match[2] as string);
  return user.startsWith('system:') ? undefined : other?.replaceAll('{user}', () => encodeURIComponent(user));
};
