/**
 * The text of a record whose policy input ends as Curfew writes it: in subject, credential, grants and tasks. These are the same objects from decision
 * to decision while nothing about them changes (`decision/input.ts`), and nobody changes them: they are searched for secrets and written once.
 * What comes out is what searching and writing the whole record anew would give.
 */
import type { DecisionRecord } from '../decision/record.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';

/** Of parts that are remembered; the memory begins anew when full. A part is some 300 characters. */
const PARTS_MAX = 8_192;
const PART_CHARS_MAX = 4_096;
/** What never comes again would fill the memory and keep the collector busy: one of so many parts that are not known is learnt. */
const LEARNT_OF = 8;

/** The last members of `curfew`, in this order. */
const [SUBJECT, CREDENTIAL, GRANTS, TASKS] = ['subject', 'credential', 'grants', 'tasks'] as const;
const CURFEW = 'curfew';

type Members = Record<string, unknown>;
type Redact = (value: JsonObject, masked: string[], depth?: number) => JsonObject;

/** `undefined`: there is a secret in it. `depth`: how many levels down it stands. */
type PartText = (part: JsonObject, depth: number) => string | undefined;

const createPartText = (redact: Redact): PartText => {
  let parts = new WeakMap<JsonObject, string>();
  let learnt = 0;
  let met = 0;
  return (part, depth) => {
    const known = parts.get(part);
    if (known !== undefined) return known;
    if (redact(part, [], depth) !== part) return undefined;
    const text = JSON.stringify(part);
    met += 1;
    if (met % LEARNT_OF !== 0 || text.length > PART_CHARS_MAX) return text;
    if (learnt >= PARTS_MAX) {
      parts = new WeakMap();
      learnt = 0;
    }
    learnt += 1;
    parts.set(part, text);
    return text;
  };
};

/** `undefined`: it is no record of this kind, or there is a secret in what repeats. */
export const createRepeatedParts = (redact: Redact, isSecret: (name: string) => boolean): ((record: DecisionRecord) => string | undefined) => {
  // Whoever calls one of these a secret gets it masked as a whole, the other way.
  if ([CURFEW, SUBJECT, CREDENTIAL, GRANTS, TASKS].some(isSecret)) return () => undefined;
  const partText = createPartText(redact);

  const listOf = (items: unknown): string | undefined => {
    if (!Array.isArray(items)) return undefined;
    let text = '';
    for (const item of items as readonly unknown[]) {
      const part = isJsonObject(item) ? partText(item, 3) : undefined;
      if (part === undefined) return undefined;
      text += text === '' ? part : `,${part}`;
    }
    return `[${text}]`;
  };

  /** What repeats, and a copy of what does not. */
  const split = (curfew: JsonObject): { readonly fresh: Members; readonly repeated: string } | undefined => {
    const fresh: Members = {};
    let repeated = '';
    for (const name in curfew) {
      const value = curfew[name];
      let text: string | undefined;
      if (name === SUBJECT || name === CREDENTIAL) text = isJsonObject(value) ? partText(value, 2) : undefined;
      else if (name === GRANTS || name === TASKS) text = listOf(value);
      else if (repeated === '') {
        fresh[name] = value;
        continue;
      }
      if (text === undefined) return undefined;
      repeated += `,"${name}":${text}`;
    }
    return { fresh, repeated };
  };

  return (record) => {
    const { input } = record;
    const curfew = input?.[CURFEW];
    // Beside a `key` that names a secret, the other members are its value.
    if (input === undefined || !isJsonObject(curfew) || curfew['now_ms'] === undefined || input['key'] !== undefined || curfew['key'] !== undefined || Object.hasOwn(input, '__proto__')) return undefined;
    const parts = split(curfew);
    if (parts === undefined) return undefined;
    const asked: Members = {};
    let ends = false;
    for (const name in input) {
      if (ends) return undefined;
      if (name === CURFEW) ends = true;
      asked[name] = ends ? parts.fresh : input[name];
    }
    const [before, after]: [Members, Members] = [{}, {}];
    let rest = before;
    for (const name in record) {
      if (name === 'input') rest = after;
      else rest[name] = (record as unknown as Members)[name];
    }
    const masked: string[] = [];
    const clean = JSON.stringify(redact(asked as JsonObject, masked));
    const { result } = record.policy;
    if (result !== undefined) {
      const cleanResult = redact({ result }, [])['result'];
      if (cleanResult !== result) after['policy'] = { ...record.policy, result: cleanResult };
    }
    if (masked.length > 0) after['masked'] = masked;
    // `clean` ends in the end of `curfew` and its own.
    return `${JSON.stringify(before).slice(0, -1)},"input":${clean.slice(0, -2)}${parts.repeated}}},${JSON.stringify(after).slice(1)}`;
  };
};
