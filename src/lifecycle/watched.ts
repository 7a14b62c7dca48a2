/** Enforcing a command, watched for traces: from the command over its commit to the instant from which it is enforced everywhere. */
import { isJsonObject } from '../domain/json.ts';
import { formatPosition } from '../domain/position.ts';
import type { createEnforce } from './enforce.ts';
import type { EnforcedBy, Executed } from './execute.ts';

export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** Watches one command; neither waits nor throws. */
export type WatchCommand = (name: string, traceparent: string | undefined) => {
  /** This step begins; the one before it is over. */
  step(name: 'commit' | 'enforce'): void;
  end(attributes: Attributes, failed: boolean): void;
};

/** Whose command it is, as far as it matters here. */
export interface Of {
  readonly realm: string;
  readonly command: string;
  readonly traceparent?: string | undefined;
}

/** What a trace says of an outcome: ids, by which the record has the rest. */
const told = (executed: Executed): Attributes => {
  if (!executed.ok) return { 'curfew.failure': executed.failure.code };
  const { position, enforced, reply, replayed } = executed;
  const [ending] = [reply['revocation'], reply['suspension']].filter(isJsonObject);
  const id = ending?.['id'];
  const by = (state: EnforcedBy['state']): number | undefined => enforced?.by.filter((one) => one.state === state).length;
  return {
    'curfew.position': formatPosition(position), 'curfew.replayed': replayed, 'curfew.ending': typeof id === 'string' ? id : undefined,
    'curfew.enforced_ms': enforced?.tookMs, 'curfew.acknowledged': by('acknowledged'), 'curfew.lapsed': by('lapsed'), 'curfew.pending': by('pending'),
  };
};

export const watchEnforced = (watch: WatchCommand | undefined, enforce: ReturnType<typeof createEnforce>) =>
  async ({ realm, command: name, traceparent }: Of, least: number, waits: boolean, command: () => Promise<Executed>): Promise<Executed> => {
    const watching = watch?.(name, traceparent);
    if (watching === undefined) return enforce(realm, least, waits, command);
    watching.step('commit');
    try {
      const executed = await enforce(realm, least, waits, async () => {
        const done = await command();
        if (done.ok && waits) watching.step('enforce');
        return done;
      });
      watching.end({ 'curfew.realm': realm, 'curfew.waited': waits, ...told(executed) }, !executed.ok);
      return executed;
    } catch (error) {
      watching.end({ 'curfew.realm': realm }, true);
      throw error;
    }
  };
