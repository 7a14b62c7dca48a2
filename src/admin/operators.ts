/** Operators over HTTP: who holds which role in the realm, beside what groups of the identity provider give. */
import type { JsonObject } from '../domain/json.ts';
import { readOperatorRoles } from '../domain/lifecycle/operator-rules.ts';
import { formatPosition, type Position } from '../domain/position.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { pageView } from '../lifecycle/view.ts';
import type { Store } from '../store/port.ts';
import { done } from './answers.ts';
import { endpoint, type Endpoint } from './endpoint.ts';
import { operatorAnswer, operatorBody, pageAnswer, pageQuery } from './schemas.ts';

const tag = 'operators';

const view = (value: JsonObject, position: Position): JsonObject => ({
  id: value['id'], roles: readOperatorRoles(value), setBy: value['setBy'], position: formatPosition(position),
});

export const operatorEndpoints = (lifecycle: Lifecycle, store: Pick<Store, 'list' | 'epoch'>): readonly Endpoint[] => [
  endpoint({
    method: 'put', path: '/operators/{id}', command: 'operators.set', summary: 'Set the roles of an operator', tag, body: operatorBody,
    answers: { 200: { description: 'The operator', schema: operatorAnswer } },
    handle: async ({ call, params, body }) =>
      done(await lifecycle.setOperator(call, params['id'] ?? '', body.roles), 200, (reply, { position }) => view(reply['operator'] as JsonObject, position)),
  }),
  endpoint({
    method: 'get', path: '/operators', command: 'operators.read', summary: 'List operators that were set here', tag, query: pageQuery,
    answers: { 200: { description: 'A page of operators', schema: pageAnswer(operatorAnswer) } },
    handle: async ({ realm, query }) => {
      const { items, next } = await store.list(realm, { kind: 'operator', limit: query.limit, ...(query.after === undefined ? {} : { after: query.after }) });
      return { status: 200, body: pageView({ items: items.map(({ value, modified }) => view(value, { epoch: store.epoch, sequence: modified.sequence })), ...(next === undefined ? {} : { next }) }) };
    },
  }),
];
