/**
 * JSON texts as they are kept on the server: fragments that most records and events have become one or two characters that no JSON
 * text holds. Whatever the text, `expand(shorten(text))` is the text. The lists are part of the store's format: entries are only ever
 * added at their ends, and an older version refuses a text with one that it does not know.
 */

/** One character each: what grants and their events consist of. */
const SINGLE = [
  ',"sequence":', '","id":"', '{"approvals":[{"approver":"user:', '},{"approver":"user:', '","sequence":', '}],"bundleRevision":"', '{"approvals":[],"bundleRevision":"',
  '","chain":[],"conditions":{', '},"direct":false,"entitlement":"', '},"direct":true,"entitlement":"', '","epoch":"', '","expiresAt":', ',"id":"', '","issuedAt":', ',"issuedBy":"user:',
  '","justification":"', '","model":"time-boxed","notBefore":', '","model":"jit","notBefore":', ',"owners":["team:', '"],"realm":"default","', 'scopes":[{"actions":["', '"],"resource":{"id":"',
  '","type":"http"}}],"', 'task":"', '","tier":"standard","version":1,"workload":"', '"}},"type":"', '{"about":["grant/', '"],"at":', '","reference":"', '","',
] as const;

/** Two characters each. */
const DOUBLE = [
  ',"data":{"by":"user:', '","direct":false,"grant":', '","direct":true,"grant":', '"},"type":"grant.issued"}', '},"type":"', '","task/', ',"issuedBy":"', ',"owners":["user:', '"],"realm":"',
  '{"approvals":[{"approver":"', '},{"approver":"', '"],"recertifyBy":', ',"request":"', '","requestedBy":"user:', '","root":', ',"scopes":[{"actions":["', '"},"type":"', '{"actions":["', '"type":"http"', '"lineage":["',
  ',"uses":', '","tier":"', '","version":1,"workload":"', '","model":"break-glass","notBefore":', '"deadline":', '"heartbeat', '","kind":"', '","openedAt":', ',"openedBy":"', '","owner":"', '","state":"open"', '"version":1',
  '{"about":["', ',"data":{', '"revocation":"', '","selector":"', '","suspensions":[]', ',"endingSequence":', '"conditions":{', '"audience":["', '"chain":[', '"binding":{', 'spiffe://', '"pep":["', '"reason":"', '"by":"user:',
  '"at":', '"workload":"', '"grant":"', '"task":"', '"id":"', '"type":"', '":["', '":{"', '":"', '"},"', '"],"',
] as const;

const FIRST_SINGLE = 2;
const FIRST_SECOND = 33;
const ESCAPE = 1;

const CODES = new Map<string, string>([
  ...SINGLE.map((fragment, index) => [fragment, String.fromCharCode(FIRST_SINGLE + index)] as const),
  ...DOUBLE.map((fragment, index) => [fragment, String.fromCharCode(ESCAPE, FIRST_SECOND + index)] as const),
]);

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
/** The longest one first: what the others would leave is longer. */
const ANY_FRAGMENT = new RegExp([...CODES.keys()].sort((a, b) => b.length - a.length).map(escaped).join('|'), 'g');
/** What the commit script writes between an event's pieces, where those are short. */
export const SEQUENCE_CODE = CODES.get(',"sequence":') as string;

/** `text`: (a piece of) what `JSON.stringify` gives. */
export const shorten = (text: string): string => text.replace(ANY_FRAGMENT, (fragment) => CODES.get(fragment) as string);

/** Throws a `RangeError` for what this version does not know. */
export const expand = (text: string): string => {
  let whole = '';
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= FIRST_SINGLE + SINGLE.length) continue;
    whole += text.slice(from, at);
    if (code === ESCAPE) at += 1;
    const fragment = code === ESCAPE ? DOUBLE[text.charCodeAt(at) - FIRST_SECOND] : SINGLE[code - FIRST_SINGLE];
    if (fragment === undefined) throw new RangeError('store: a text of a later version');
    whole += fragment;
    from = at + 1;
  }
  return from === 0 ? text : whole + text.slice(from);
};
