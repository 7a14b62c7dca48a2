/**
 * The authority floor: which role may give which command at all. The bundle's policy can narrow it, except for revoking and
 * suspending by a responder, which must work with a broken or hostile bundle, and for accepting the clock. Commands that are not
 * listed don't exist.
 */
export const ROLES = ['issuer', 'approver', 'responder', 'configurer'] as const;
export type Role = (typeof ROLES)[number];

interface Floor {
  readonly roles: readonly Role[];
  /** Is the policy asked? Reading is not judged by it, so that a broken bundle can be looked into. */
  readonly policy: 'asked' | 'not-asked';
  /** Every operator, also one without a role: other rules say who may. */
  readonly anyone?: true;
}

const ANY: Floor = { roles: ROLES, policy: 'not-asked' };
const ISSUER: Floor = { roles: ['issuer'], policy: 'asked' };

const ANYONE: Floor = { roles: ROLES, policy: 'not-asked', anyone: true };

const floor = {
  'task.open': ISSUER,
  'task.beat': ISSUER,
  'task.pause': ISSUER,
  'task.resume': ISSUER,
  'task.close': ISSUER,
  'task.read': ANY,
  'grant.issue': ISSUER,
  'grant.read': ANY,
  'grant.recertify': ANYONE,
  'grant.grace': { roles: ['approver'], policy: 'not-asked' },
  revoke: { roles: ['responder'], policy: 'not-asked' },
  suspend: { roles: ['responder'], policy: 'not-asked' },
  lift: { roles: ['responder'], policy: 'asked' },
  'ending.read': ANY,
  'entitlement.read': ANY,
  explain: ANY,
  'decision.read': ANY,
  'record.read': ANY,
  'operators.read': { roles: ['configurer'], policy: 'not-asked' },
  'operators.set': { roles: ['configurer'], policy: 'asked' },
  'node.read': ANY,
  'bundle.refresh': { roles: ['configurer'], policy: 'not-asked' },
  'report.read': ANY,
  'manual.finish': { roles: ROLES, policy: 'not-asked' },
  'group.import': { roles: ['configurer'], policy: 'not-asked' },
  'review.read': ANY,
  'review.close': { roles: ['approver', 'responder'], policy: 'not-asked' },
  'alert.read': ANY,
  'alert.test': { roles: ['responder', 'configurer'], policy: 'not-asked' },
  'alert.redeliver': { roles: ['responder', 'configurer'], policy: 'not-asked' },
  'clock.reset': { roles: ['configurer'], policy: 'not-asked' },
  'request.create': ANYONE,
  'request.cancel': ANYONE,
  'request.read': ANYONE,
  'request.approve': { roles: ['approver'], policy: 'asked' },
  'request.deny': { roles: ['approver'], policy: 'asked' },
  'break-glass.open': ANYONE,
  'person.set': { roles: ['configurer'], policy: 'asked' },
  'workload.set': { roles: ['configurer'], policy: 'asked' },
  'directory.read': ANY,
} as const satisfies Record<string, Floor>;

export type Command = keyof typeof floor;
export const COMMANDS = Object.keys(floor) as readonly Command[];

export const rolesFor = (command: Command): readonly Role[] => floor[command].roles;
export const policyIsAsked = (command: Command): boolean => floor[command].policy === 'asked';
/** Commands for which an operator's token need not be known to be in time: they take access away, or are about the clock itself. */
const UNTIMED: ReadonlySet<Command> = new Set(['revoke', 'suspend', 'task.pause', 'task.close', 'clock.reset']);
export const worksUntimed = (command: Command): boolean => UNTIMED.has(command);
export const mayCommand = (roles: readonly Role[], command: Command): boolean => {
  const { anyone }: Floor = floor[command];
  return anyone === true || rolesFor(command).some((role) => roles.includes(role));
};
