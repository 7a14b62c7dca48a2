/**
 * Scope templates: a segment `{name}` of an entitlement's scope stands for a parameter. A request fills them in; what is issued without one
 * must lie within some filling.
 */
import { scopeCovers, scopesWithin, type ResourceRef, type Scope } from '../scope.ts';
import type { Fault } from './change.ts';
import { parameterValueFault, type Entitlement } from './entitlement.ts';

const NAME = /^\{(.+)\}$/;
const nameOf = (segment: string): string | undefined => NAME.exec(segment)?.[1];

const mapSegments = (scope: Scope, fill: (name: string) => string): Scope => ({
  ...scope,
  resource: { ...scope.resource, id: scope.resource.id.split('/').map((segment) => { const name = nameOf(segment); return name === undefined ? segment : fill(name); }).join('/') },
});

/** Every parameter stands for any one segment. */
export const openScope = (scope: Scope): Scope => mapSegments(scope, () => '*');

/** Do the segments of `id` that stand for parameters have values that these may have? `*` is one only where any value is. */
const valuesFit = (template: Scope, id: string, { parameters = {} }: Entitlement): boolean => {
  const given = id.split('/');
  const seen = new Map<string, string>();
  return template.resource.id.split('/').every((segment, index) => {
    const name = nameOf(segment);
    if (name === undefined) return true;
    const value = given[index] ?? '';
    const before = seen.get(name);
    seen.set(name, value);
    const { oneOf } = parameters[name] ?? { oneOf: [] };
    return (before === undefined || before === value) && (oneOf === undefined || oneOf.includes(value));
  });
};

/** Could a grant of this entitlement cover the action on the resource? */
export const entitlementCovers = (entitlement: Entitlement, action: string, resource: ResourceRef): boolean =>
  entitlement.scopes.some((template) => scopeCovers(openScope(template), action, resource) && valuesFit(template, resource.id, entitlement));

/** Does everything asked lie within the entitlement's scopes, for some values of its parameters? */
export const withinEntitlement = (scopes: readonly Scope[], entitlement: Entitlement): boolean =>
  scopes.length > 0 && scopes.every((scope) =>
    entitlement.scopes.some((template) => scopesWithin([scope], [openScope(template)]) && valuesFit(template, scope.resource.id, entitlement)));

export type Filled = { readonly scopes: readonly Scope[] } | { readonly faults: readonly Fault[] };

/** The entitlement's scopes with these values. Every parameter needs one, and no other may be given. */
export const fillScopes = ({ scopes, parameters = {} }: Entitlement, values: Readonly<Record<string, string>>): Filled => {
  const at = (name: string, message: string): Fault => ({ path: `/parameters/${name.slice(0, 64)}`, message });
  const faults = [
    ...Object.keys(values).filter((name) => !Object.hasOwn(parameters, name)).map((name) => at(name, 'is no parameter of this entitlement')),
    ...Object.entries(parameters).flatMap(([name, { oneOf }]) => {
      const value = Object.hasOwn(values, name) ? values[name] : undefined;
      if (value === undefined) return [at(name, 'is missing')];
      const wrong = parameterValueFault(value) ?? (oneOf === undefined || oneOf.includes(value) ? undefined : `must be one of ${oneOf.join(', ')}`);
      return wrong === undefined ? [] : [at(name, wrong)];
    }),
  ];
  return faults.length > 0 ? { faults } : { scopes: scopes.map((scope) => mapSegments(scope, (name) => values[name] ?? '')) };
};

/** How its conditions bound a grant's: absent ones are taken over, present ones may only be fewer. */
export const boundConditions = (entitlement: Entitlement, asked: { readonly [Name in 'audience' | 'pep' | 'source']?: readonly string[] | undefined }): { readonly conditions: Entitlement['conditions']; readonly faults: readonly Fault[] } => {
  const given = (['audience', 'pep', 'source'] as const).map((name) => ({ name, own: entitlement.conditions?.[name], wanted: asked[name] }));
  const faults = given.filter(({ own, wanted }) => own !== undefined && wanted !== undefined && !wanted.every((value) => own.includes(value)))
    .map(({ name }) => ({ path: `/conditions/${name}`, message: "must be among the entitlement's" }));
  const conditions = Object.fromEntries(given.flatMap(({ name, own, wanted }) => { const value = wanted ?? own; return value === undefined ? [] : [[name, value]]; }));
  return { conditions, faults };
};
