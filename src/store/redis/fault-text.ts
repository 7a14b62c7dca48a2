/** What went wrong at the server, in words that a person can act on, and without anything that was sent. */

/** Answers of the server that a person can act on; the rest of a message may hold what was sent. */
const KNOWN = /^(?:NOSCRIPT|OOM|READONLY|NOAUTH|WRONGPASS|NOPERM|MISCONF|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|BUSY|UNKILLABLE|WRONGTYPE|MOVED|ASK|TRYAGAIN|CROSSSLOT)\b/;
const CURFEW = /CURFEW [a-z ]+/;

const ADVICE = new Map<string, string>([
  ['OOM', 'the server is at its maxmemory: give it more; what was acknowledged is safe'],
  ['READONLY', 'this server is a replica: configure the primary, or Sentinel or Cluster'],
  ['NOAUTH', 'the server wants a password: configure store.redis.password'],
  ['WRONGPASS', 'user name or password are not right'],
  ['NOPERM', "the server's ACL lets this user not do what Curfew needs: see docs/guides/redis.md for the commands"],
  ['MISCONF', 'the server can not persist: look at its log and its disk'],
  ['NOREPLICAS', 'too few replicas follow the primary'],
  ['LOADING', 'the server still reads its data'],
  ['WRONGTYPE', 'a key beginning with cf: is not Curfew’s: use another database'],
]);

/** What went wrong, without anything that was sent. */
export const faultText = (error: unknown): string => {
  const { message = '', code } = error as { readonly message?: string; readonly code?: string };
  const own = CURFEW.exec(message)?.[0];
  if (own !== undefined) return own.slice('CURFEW '.length);
  const known = KNOWN.exec(message)?.[0] ?? [...ADVICE.keys()].find((name) => message.includes(`${name} `));
  if (known !== undefined) return `${known}${ADVICE.has(known) ? ` (${ADVICE.get(known)})` : ''}`;
  if (message.includes('DB index is out of range')) return 'there is no such database: see store.redis.database and the server’s `databases`';
  if (/timed out|ETIMEDOUT/i.test(message)) return 'no answer in time';
  if (/enableOfflineQueue|Connection is closed|max retries|Stream/i.test(message)) return 'no connection';
  if (typeof code === 'string' && /^[A-Z_]+$/.test(code)) return code;
  return 'the server refused';
};
