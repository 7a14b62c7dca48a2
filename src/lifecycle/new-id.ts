/** Ids of grants, tasks, revocations and suspensions: UUID version 7 (RFC 9562), so that lists in key order are in order of time. */
import { randomBytes } from 'node:crypto';
import type { Instant } from '../domain/instant.ts';

export const newId = (now: Instant): string => {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(now, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] as number) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
};
