/**
 * The closed catalogue of what the store's log tells: one event for every change, in the order in which they happened. `ending`
 * events take access away and have a place in the endings' sequence as well. Names and bytes are never changed, only added to.
 */
const catalogue = {
  'task.opened': { ending: false, text: 'a task was opened; `task` as it is then' },
  'task.beat': { ending: false, text: "a task's heartbeat came" },
  'task.paused': { ending: true, text: 'a task was paused: its grants do not hold' },
  'task.resumed': { ending: false, text: 'a paused task goes on' },
  'task.closed': { ending: true, text: 'a task was closed for good; `cause` says whether by somebody or by time' },
  'grant.issued': { ending: false, text: 'a grant was issued; `direct`: without a request' },
  'grant.delegated': { ending: false, text: 'a workload handed a part of its grant on to another; `from` is the grant it was cut out of' },
  'grant.recertified': { ending: false, text: 'an owner confirmed that a grant is still needed' },
  'grant.graced': { ending: false, text: 'another person gave a grant one short grace beyond the day on which its owner had to confirm it' },
  'grant.used': { ending: false, text: 'one of the limited uses of a grant was taken, by a `decision`' },
  'emergency.used': { ending: false, text: 'emergency access was used for the first time, by a `decision`; a review is open from now on' },
  'emergency.reviewed': { ending: false, text: 'the use of emergency access was reviewed: a drill, real, or misuse' },
  'emergency.overdue': { ending: false, text: 'the use of emergency access was not reviewed in time; suspensions of the same commit stop its persons and entitlement' },
  'emergency.known': { ending: false, text: 'an entitlement for emergencies was seen for the first time; from now on its drills are counted' },
  'credential.used': { ending: false, text: 'a one-time credential or a proof of possession was seen; it counts no more' },
  'credential.forgotten': { ending: false, text: 'housekeeping dropped the records of `count` one-time credentials and proofs whose time is long over' },
  'records.dropped': { ending: false, text: 'housekeeping dropped `count` records of one `kind` that were over long ago; their history stays' },
  'revocation.placed': { ending: true, text: 'access was ended by a selector, for good' },
  'suspension.placed': { ending: true, text: 'access was stopped by a selector, until it is lifted' },
  'suspension.lifted': { ending: false, text: 'a suspension was lifted, by another person than the one who placed it' },
  'person.set': { ending: false, text: 'the directory knows a person: accounts, teams; `leftTeams` are those it is no longer in' },
  'person.left': { ending: false, text: 'a person is gone; revocations of the same commit end what rested on it' },
  'feed.changed': { ending: false, text: 'a people source said something of a user or group of its own; what follows for the person is an event of the same commit' },
  'workload.registered': { ending: false, text: 'a workload was registered, changed owner, or is no more' },
  'request.created': { ending: false, text: 'somebody asked for access' },
  'request.approved': { ending: false, text: 'a person approved a request; `complete` when the grant was issued with it' },
  'request.denied': { ending: false, text: 'a request was denied, for good' },
  'request.cancelled': { ending: false, text: 'a request was withdrawn, or is covered by a revocation' },
  'request.expired': { ending: false, text: 'nobody decided a request in time' },
  'command.refused': { ending: false, text: 'somebody asked for access, or approved it, and was refused: `command`, `code` and `detail` say what and why; `skipped`: so many more within a minute, of the same actor, are not told one by one' },
  'operator.configured': { ending: false, text: 'the roles of an operator were set; `lostRoles` are those it had and has no more' },
  'bootstrap.made': { ending: false, text: 'the bootstrap credential of a new store was made' },
  'use.noted': { ending: false, text: 'housekeeping noted when `count` grants, workloads or standing entries were last used' },
  'canary.ran': { ending: false, text: 'a canary grant was used through a gateway and watched to its end; `canary` says what came of it' },
  'manual.opened': { ending: false, text: 'access ended that a system has to be told of by hand: `step` says whom and by when' },
  'manual.done': { ending: false, text: 'a system was told by hand; `step` has the proof' },
  'group.imported': { ending: false, text: 'what groups give was imported from a `source`' },
  'signal.forgotten': { ending: false, text: 'a source outside is no longer asked about a task that is over' },
  'alert.raised': { ending: false, text: 'something that somebody should hear of: `alerts` has the ids. Alerts of a change are named by the event of that change' },
  'alert.delivered': { ending: false, text: 'an alert is over for some of its channels: delivered, or never to be; `deliveries` says which' },
  'record.sealed': { ending: false, text: 'the events `from` to `through` were chained, and the chain was signed; see the guide on the record' },
  'store.restored': { ending: false, text: 'an operator said what had ended since the backup from which the store was restored, `upTo` where it is known, or accepted that it is not known' },
  'endings.healed': { ending: true, text: 'the store had lost endings; nodes that knew them have put them back, and go on from here' },
  'clock.reset': { ending: false, text: 'an operator accepted the wall clock; `behindMs` is by how much it lay behind time already used' },
} as const satisfies Record<string, { readonly ending: boolean; readonly text: string }>;

export type EventType = keyof typeof catalogue;
export const EVENT_TYPES = Object.keys(catalogue) as readonly EventType[];

export const isEnding = (type: EventType): boolean => catalogue[type].ending;
export const eventText = (type: EventType): string => catalogue[type].text;
