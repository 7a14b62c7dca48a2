/** B1, through a real gateway: for every hostile target, what the service saw is what was judged, or it saw nothing. */
import { expect } from 'vitest';
import type { Evaluation } from '../../../src/decision/evaluation.ts';
import type { TestGateway } from '../../support/http-gateway.ts';
import { hostilePaths } from '../../support/paths.ts';
import type { Service } from '../../support/service.ts';

/** That the check below is one: with a judge who takes down another target than he was asked about, it fails through this very gateway. */
export const expectPlantedFound = async (gateway: Pick<TestGateway, 'evaluations'>, service: Pick<Service, 'hits'>, ask: (target: string) => Promise<unknown>): Promise<void> => {
  const misread: Pick<TestGateway, 'evaluations'> = {
    evaluations: new Proxy(gateway.evaluations, {
      get: (evaluations, name) => {
        const found: unknown = Reflect.get(evaluations, name);
        if (name !== '0' || found === undefined) return found;
        const { question, ...rest } = found as Evaluation;
        return { ...rest, question: { ...question, resource: { type: 'http', id: `${question?.resource.id}/elsewhere` } } };
      },
    }),
  };
  await expect(expectOneReading(misread, service, ask)).rejects.toThrow('/elsewhere');
};

/** Asks for each of them, one at a time, of a gateway that allows everything; more than 500 must be refused. */
export const expectOneReading = async ({ evaluations }: Pick<TestGateway, 'evaluations'>, { hits }: Pick<Service, 'hits'>, ask: (target: string) => Promise<unknown>): Promise<void> => {
  let refused = 0;
  for (const target of hostilePaths()) {
    evaluations.length = 0;
    hits.length = 0;
    await ask(target);
    if (hits.length === 0) {
      refused += 1;
      continue;
    }
    expect(hits, target).toHaveLength(1);
    const [seen = ''] = (hits[0]?.target ?? '').split('?', 1);
    expect(evaluations[0]?.question?.resource.id, target).toBe(`${hits[0]?.headers.host}${decodeURIComponent(seen)}`);
    expect(new URL(seen, 'http://h').pathname, target).toBe(seen);
  }
  expect(refused).toBeGreaterThan(500);
};
