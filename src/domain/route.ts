/**
 * Routes: how HTTP requests become actions on resources. Templates are whole segments, so that different requests never
 * compose the same id: `{name}` takes exactly one non-empty segment, `**` (last only) the rest, zero or more.
 */
import type { TargetOptions } from './http-target.ts';
import { judgeTarget } from './http-target.ts';
import type { CleanTarget } from './http-target.ts';
import type { DurationMs } from './instant.ts';
import type { ResourceRef } from './scope.ts';

export interface Template {
  readonly segments: readonly ({ readonly literal: string } | { readonly name: string })[];
  /** Ends in `**` (paths) or `{rest}` (resource ids). */
  readonly open: boolean;
}

export interface Route {
  readonly id: string;
  /** Absent: any. */
  readonly methods?: ReadonlySet<string> | undefined;
  /** Canonical authorities; absent: any. */
  readonly hosts?: ReadonlySet<string> | undefined;
  readonly path: Template;
  /** Absent: the method. */
  readonly action?: string | undefined;
  /** Absent: `http`, host and path. */
  readonly resource?: { readonly type: string; readonly id: Template } | undefined;
  readonly target: TargetOptions;
  /** `ignore`: the backend is known not to read method-override headers. */
  readonly methodOverride?: 'ignore' | undefined;
  /** Streams, upgrades and gRPC are allowed and end no later than this. */
  readonly maxStreamMs?: DurationMs | undefined;
  /** Protocols, lower case, that an `Upgrade` may name. */
  readonly upgrade: ReadonlySet<string>;
}

const NAME = /^\{([a-z][A-Za-z0-9_]{0,31})\}$/;
/** Names that every resource id template may use; a path template may not take them. */
export const BUILT_IN_NAMES: readonly string[] = ['host', 'method', 'rest'];

const parseSegments = (texts: readonly string[]): Template['segments'] | string => {
  const segments: ({ literal: string } | { name: string })[] = [];
  for (const text of texts) {
    const name = NAME.exec(text)?.[1];
    if (name === undefined && /[{}*]/.test(text)) return `\`${text}\`: a placeholder must be a whole segment, \`**\` the last one`;
    segments.push(name === undefined ? { literal: text } : { name });
  }
  return segments;
};

export const templateNames = (template: Template): readonly string[] =>
  template.segments.flatMap((segment) => ('name' in segment ? [segment.name] : []));

/** `/orders/{id}/**`, literals decoded. A text is the fault. */
export const parsePathTemplate = (text: string): Template | string => {
  if (!text.startsWith('/')) return 'must begin with `/`';
  const texts = text.slice(1).split('/');
  const open = texts[texts.length - 1] === '**';
  if (open) texts.pop();
  if (texts.slice(0, -1).includes('') || (open && texts.includes(''))) return 'has an empty segment';
  if (texts.some((segment) => /^\.+$/.test(segment))) return 'has a dot segment';
  const segments = parseSegments(texts);
  if (typeof segments === 'string') return segments;
  const template = { segments, open };
  const names = templateNames(template);
  if (new Set(names).size !== names.length) return 'uses a name twice';
  const taken = names.find((name) => BUILT_IN_NAMES.includes(name));
  return taken === undefined ? template : `\`{${taken}}\` is taken`;
};

/** `orders/{id}` or `{host}/docs/{rest}`; `names` are those that the path template provides. A text is the fault. */
export const parseIdTemplate = (text: string, path: Template): Template | string => {
  const texts = text.split('/');
  const open = texts[texts.length - 1] === '{rest}';
  if (open) texts.pop();
  if (text === '' || texts.includes('')) return 'is empty or has an empty segment';
  if (open !== path.open) return '`{rest}` must be last, and goes with a path that ends in `**`';
  const segments = parseSegments(texts);
  if (typeof segments === 'string') return segments;
  const known = [...templateNames(path), 'host', 'method'];
  const unknown = templateNames({ segments, open }).find((name) => !known.includes(name));
  return unknown === undefined ? { segments, open } : `\`{${unknown}}\` is not a name of the path`;
};

const matchPath = (path: Template, segments: readonly string[]): Map<string, string> | undefined => {
  const fixed = path.segments.length;
  if (path.open ? segments.length < fixed : segments.length !== fixed) return undefined;
  const names = new Map<string, string>();
  for (let index = 0; index < fixed; index += 1) {
    const wanted = path.segments[index] as Template['segments'][number];
    const given = segments[index] as string;
    if ('literal' in wanted) {
      if (wanted.literal !== given) return undefined;
    } else if (given === '') return undefined;
    else names.set(wanted.name, given);
  }
  return names;
};

export interface Routed {
  readonly target: CleanTarget;
  readonly route: Route | undefined;
  readonly action: string;
  readonly resource: ResourceRef;
}

const resourceOf = (route: Route, names: Map<string, string>, method: string, host: string, target: CleanTarget): ResourceRef => {
  if (route.resource === undefined) return { type: 'http', id: host + target.path };
  names.set('method', method).set('host', host);
  const { type, id } = route.resource;
  const segments = id.segments.map((segment) => ('literal' in segment ? segment.literal : (names.get(segment.name) ?? '')));
  if (id.open) segments.push(...target.segments.slice(route.path.segments.length));
  return { type, id: segments.join('/') };
};

/**
 * The first route that matches, each judging the target with its own options; else method and `http:<host><path>` of a target
 * that is clean without any option.
 */
export const routeRequest = (
  routes: readonly Route[],
  request: { readonly method: string; readonly host: string; readonly target: string },
): Routed | Extract<ReturnType<typeof judgeTarget>, { ok: false }> => {
  const { method, host, target } = request;
  const strict = judgeTarget(target);
  for (const route of routes) {
    if (route.methods?.has(method) === false || route.hosts?.has(host) === false) continue;
    const judged = strict.ok ? strict : judgeTarget(target, route.target);
    if (!judged.ok) continue;
    const names = matchPath(route.path, judged.segments);
    if (names === undefined) continue;
    return { target: judged, route, action: route.action ?? method, resource: resourceOf(route, names, method, host, judged) };
  }
  return strict.ok ? { target: strict, route: undefined, action: method, resource: { type: 'http', id: host + strict.path } } : strict;
};
