/** The ACL that the guide gives, as the tests' servers use it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../parts.ts';

export const ACL_PASSWORD = 'a-password-of-the-tests';

export const guideAcl = (): string => {
  const guide = readFileSync(join(repositoryRoot, 'docs/guides/redis.md'), 'utf8');
  const line = /```text acl\n(user curfew .+)\n```/.exec(guide)?.[1];
  if (line === undefined) throw new Error('docs/guides/redis.md gives no ACL');
  return line.replace('PASSWORD', ACL_PASSWORD);
};

/** Writes a file of users in which nobody but `curfew` and, for the tests themselves, `tests` may do anything; returns its path. */
export const writeAclFile = (directory: string, acl = guideAcl()): string => {
  const path = join(directory, 'users.acl');
  writeFileSync(path, `user default off\n${acl}\nuser tests on >${ACL_PASSWORD} ~* &* +@all\n`);
  return path;
};
