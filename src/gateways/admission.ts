/**
 * Whether a worker takes one more question on. What it can't answer in time is refused at once, cheaply and explicitly, never allowed: a line that grows costs every
 * question in it its deadline. Bounded are the questions under way (`full`), and how long a turn of the event loop may already have lasted when a question is read in
 * it (`late`): whatever is read then has waited that long. `expired`: its asker has gone, or its own deadline passed, before it was looked at. Shed questions are counted, not decided, and have no record.
 */
export type ShedCause = 'full' | 'late' | 'expired';

export interface Admission {
  /** Takes it on, until `leave` is called; false: shed, and counted. */
  enter(protocol: string): boolean;
  leave(): void;
  /** Is there room? Takes nothing on: for questions whose body is still to come, which nobody may hold a place with. */
  room(protocol: string): boolean;
  /** Counts it as under way until it is settled, room or not. */
  during<T>(decision: Promise<T>): Promise<T>;
  /** It was taken on, and nobody waits for it any more. */
  expired(protocol: string): void;
}

export interface AdmissionOptions {
  readonly underWayMax: number;
  readonly turnMsMax: number;
  readonly monotonicMs: () => number;
  readonly onShed: (protocol: string, cause: ShedCause) => void;
}

export const createAdmission = ({ underWayMax, turnMsMax, monotonicMs, onShed }: AdmissionOptions): Admission => {
  let underWay = 0;
  let turnSinceMs: number | undefined;
  /** Of the present turn, since its first question. */
  const turnMs = (): number => {
    const now = monotonicMs();
    if (turnSinceMs === undefined) {
      turnSinceMs = now;
      setImmediate(() => { turnSinceMs = undefined; });
    }
    return now - turnSinceMs;
  };
  const room = (protocol: string): boolean => {
    const inTime = turnMs() < turnMsMax;
    if (inTime && underWay < underWayMax) return true;
    onShed(protocol, inTime ? 'full' : 'late');
    return false;
  };
  const leave = (): void => { underWay -= 1; };
  return {
    room, leave,
    enter: (protocol) => {
      if (!room(protocol)) return false;
      underWay += 1;
      return true;
    },
    during: (decision) => {
      underWay += 1;
      return decision.finally(leave);
    },
    expired: (protocol) => onShed(protocol, 'expired'),
  };
};

/** Takes everything on; for a gateway by itself. */
export const ADMITS_ALL: Admission = { enter: () => true, room: () => true, leave: () => undefined, during: (decision) => decision, expired: () => undefined };

/** When to ask again, in seconds: the line is shorter than that. */
export const RETRY_AFTER_S = '1';
