/**
 * Scopes: which actions on which resources. A resource id is `/`-separated segments. In a pattern `*` stands for exactly one
 * non-empty segment, `**` (last only) for zero or more segments; there are no partial wildcards, and a trailing slash (an
 * empty last segment) is distinct. An action is a literal, or `*` for any one action. An empty set covers nothing.
 */
export interface ResourceRef {
  readonly type: string;
  readonly id: string;
}

export interface Scope {
  readonly actions: readonly string[];
  readonly resource: ResourceRef;
}

const STAR = 42;
export const SCOPES_MAX = 64;
export const ACTIONS_MAX = 64;
export const SEGMENTS_MAX = 128;
export const RESOURCE_ID_CHARS_MAX = 2048;

/** Why `pattern` is not a well-formed resource pattern, or `undefined` when it is. */
export const resourcePatternFault = (pattern: string): string | undefined => {
  if (pattern === '') return 'is empty';
  if (pattern.length > RESOURCE_ID_CHARS_MAX) return `is longer than ${RESOURCE_ID_CHARS_MAX} characters`;
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f\\]/.test(pattern)) return 'contains a control character or a backslash';
  const segments = pattern.split('/');
  if (segments.length > SEGMENTS_MAX) return `has more than ${SEGMENTS_MAX} segments`;
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    if (segment === '**') {
      if (!last) return '`**` may only be the last segment';
    } else if (segment.includes('*') && segment !== '*') return 'a wildcard must be a whole segment';
    else if (segment === '.' || segment === '..') return 'has a dot segment';
    else if (segment === '' && !last) return 'has an empty segment';
  }
  return undefined;
};

const resourceCovers = (pattern: string, id: string): boolean => {
  const star = pattern.indexOf('*');
  if (star === -1) return pattern === id;
  // The usual shape, without taking both texts apart: literal segments, then `/**`.
  if (star === pattern.length - 2 && pattern.endsWith('/**')) return id.startsWith(pattern.slice(0, star)) || (id.length === star - 1 && pattern.startsWith(id));
  const wanted = pattern.split('/');
  const given = id.split('/');
  const open = wanted[wanted.length - 1] === '**';
  const fixed = open ? wanted.length - 1 : wanted.length;
  if (open ? given.length < fixed : given.length !== fixed) return false;
  for (let index = 0; index < fixed; index += 1) {
    const pat = wanted[index] as string;
    const seg = given[index] as string;
    if (pat === '*' ? seg === '' : pat !== seg) return false;
  }
  return true;
};

const actionCovers = (actions: readonly string[], action: string): boolean =>
  action !== '' && (actions.includes(action) || actions.includes('*'));

/** Does `scope` cover this one action on this one resource? A `*` in `action` or `resource` is a literal character here. */
export const scopeCovers = (scope: Scope, action: string, resource: ResourceRef): boolean =>
  scope.resource.type === resource.type && actionCovers(scope.actions, action) && resourceCovers(scope.resource.id, resource.id);

export const scopesCover = (scopes: readonly Scope[], action: string, resource: ResourceRef): boolean =>
  scopes.some((scope) => scopeCovers(scope, action, resource));

/** Is every id that `child` matches also matched by `parent`? */
const patternWithin = (child: string, parent: string): boolean => {
  const inner = child.split('/');
  const outer = parent.split('/');
  const innerOpen = inner[inner.length - 1] === '**';
  const outerOpen = outer[outer.length - 1] === '**';
  const innerFixed = innerOpen ? inner.length - 1 : inner.length;
  const outerFixed = outerOpen ? outer.length - 1 : outer.length;
  if (innerOpen && !outerOpen) return false;
  if (outerOpen ? innerFixed < outerFixed : innerFixed !== outerFixed) return false;
  for (let index = 0; index < outerFixed; index += 1) {
    const pat = outer[index] as string;
    const seg = inner[index] as string;
    if (pat === '*' ? seg === '' : pat !== seg) return false;
  }
  return true;
};

const scopeWithin = (child: Scope, parent: Scope): boolean =>
  child.resource.type === parent.resource.type &&
  child.actions.length > 0 &&
  (parent.actions.includes('*') || child.actions.every((action) => parent.actions.includes(action))) &&
  patternWithin(child.resource.id, parent.resource.id);

/**
 * Is everything that `child` covers covered by `parent`? Each child scope must lie within one parent scope; a child spread
 * over several parent scopes is refused although their union would cover it: the safe side.
 */
export const scopesWithin = (child: readonly Scope[], parent: readonly Scope[]): boolean =>
  child.length > 0 && child.every((inner) => parent.some((outer) => scopeWithin(inner, outer)));

const patternScore = (pattern: string): number => {
  let score = 0;
  for (let from = 0; ; ) {
    const slash = pattern.indexOf('/', from);
    const end = slash === -1 ? pattern.length : slash;
    const star = pattern.charCodeAt(from) === STAR;
    if (star && end - from === 2 && pattern.charCodeAt(from + 1) === STAR) score += 1;
    else score += star && end - from === 1 ? 1_000 : 1_000_000;
    if (slash === -1) return score;
    from = slash + 1;
  }
};

const patternsMeet = (a: string, b: string): boolean => {
  const [left, right] = [a.split('/'), b.split('/')];
  for (let index = 0; ; index += 1) {
    const [one, other] = [left[index], right[index]];
    if (one === '**' || other === '**') return true;
    if (one === undefined || other === undefined) return one === other;
    if (one !== other && one !== '*' && other !== '*') return false;
  }
};

const actionsMeet = (a: readonly string[], b: readonly string[]): boolean => a.includes('*') || b.includes('*') || a.some((action) => b.includes(action));

/** Is there something that both cover? When in doubt, yes. */
export const scopesMeet = (a: readonly Scope[], b: readonly Scope[]): boolean =>
  a.some((one) => b.some((other) => one.resource.type === other.resource.type && actionsMeet(one.actions, other.actions) && patternsMeet(one.resource.id, other.resource.id)));

/**
 * How specific the best covering scope of a set is, as a sortable number: literal segments first, then `*`, then `**`;
 * a named action before `*`. -1 when nothing covers.
 */
export const specificity = (scopes: readonly Scope[], action: string, resource: ResourceRef): number => {
  let best = -1;
  for (const scope of scopes) {
    if (!scopeCovers(scope, action, resource)) continue;
    const score = patternScore(scope.resource.id) * 2 + (scope.actions.includes(action) ? 1 : 0);
    if (score > best) best = score;
  }
  return best;
};
