/** B1, through a real gateway: for every hostile target, what the service saw is what was judged, or it saw nothing. */
import { expect } from 'vitest';
import type { TestGateway } from '../../support/http-gateway.ts';
import { hostilePaths } from '../../support/paths.ts';
import type { Service } from '../../support/service.ts';

/** How the service reads a target: decoded after it was split, as routers do; `undefined` where a part of it may be read as several. */
const asServiceReads = (host: string | undefined, target: string): string | undefined => {
  if (!target.startsWith('/') || new URL(target, 'http://h').pathname !== target) return undefined;
  try {
    const parts = target.slice(1).split('/').map(decodeURIComponent);
    return parts.some((part) => part.includes('/')) ? undefined : `${host}/${parts.join('/')}`;
  } catch {
    return undefined;
  }
};

export interface Readings {
  readonly refused: number;
  /** Those that reached the service otherwise than they were judged. */
  readonly wrong: readonly string[];
}

/** Asks for each of them, one at a time, of a gateway that allows everything. `enough`: ends when so many are wrong. */
export const readHostile = async ({ evaluations }: Pick<TestGateway, 'evaluations'>, { hits }: Pick<Service, 'hits'>, ask: (target: string) => Promise<unknown>, enough = Infinity): Promise<Readings> => {
  let refused = 0;
  const wrong: string[] = [];
  for (const target of hostilePaths()) {
    if (wrong.length >= enough) break;
    evaluations.length = 0;
    hits.length = 0;
    await ask(target);
    const [hit] = hits;
    if (hit === undefined) {
      refused += 1;
      continue;
    }
    const seen = hit.target.split('?', 1)[0] as string;
    const judged = evaluations.map(({ question }) => question?.resource.id);
    if (hits.length !== 1 || judged.length !== 1 || judged[0] !== asServiceReads(hit.headers.host, seen)) wrong.push(`${JSON.stringify(target)} reached as ${hit.target}, judged ${judged.join()}`);
  }
  return { refused, wrong };
};

/** Nothing but what was judged; more than 500 are refused. */
export const expectOneReading = async (gateway: Pick<TestGateway, 'evaluations'>, service: Pick<Service, 'hits'>, ask: (target: string) => Promise<unknown>): Promise<void> => {
  const { refused, wrong } = await readHostile(gateway, service, ask);
  expect(wrong).toEqual([]);
  expect(refused).toBeGreaterThan(500);
};

/** Of a gateway that is configured wrongly, so that the check above is one. */
export const PLANTED_FOUND = 5;
