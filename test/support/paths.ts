/**
 * Raw request targets that try to be read in two ways (THREATS B1): to look like something under `/public` to one reader and like
 * `/admin` to the next. Meant to be sent over a socket as they are, one byte a character (latin1).
 */
const SEPARATORS = [
  '/', '//', '///', '/./', '/.//', '/%2e/', '/%2E/', '%2f', '%2F', '%2f%2f', '%5c', '%5C', '\\', '/\\', '%252f', '%255c', '/;/', '/;x=1/', '/%3b/',
  '/%00/', '/%09/', '/%20/', '/ /', '%c0%af', '%e0%80%af', '%EF%BC%8F', '%u2215', '/%0d%0a/', '/%7f/', '/%25%32%66',
] as const;

const CLIMBS = [
  '..', '.%2e', '%2e.', '%2e%2e', '%2E%2E', '%252e%252e', '..;', '..;x=1', '..%3b', '..%00', '..%20', '...', '....', '..%5c', '..\\',
  '%c0%ae%c0%ae', '%EF%BC%8E%EF%BC%8E', '%u002e%u002e', '.%00.', '..%09', '..%2f', '.;.', '%2e%2e%2f..',
] as const;

const GOALS = [
  'admin', '%61dmin', 'a%64min', '%41dmin', '%2561dmin', 'admin.', 'admin..', 'admin%20', 'admin%2e', 'admin%00', 'admin%00.png', 'admin\0', 'admin;x=1',
  'admin;', 'admin%3bx', 'admin#x', 'admin%23x', 'admin%3fx', 'admin//', 'admin/.', 'admin/..', 'admin/./', 'admin%2f', 'admin%2fx', 'admin\\', 'admin%5c',
  'admin%0a', 'admin\t', 'admin\x7f', 'admin\xe9', 'admin%ff', 'admin%c3', 'admin%ed%a0%80', 'admin%', 'admin%2', 'admin%zz', 'admin%25', 'admin%c2%85',
  'adm%EF%BD%89n', 'a%CC%81dmin', 'admin/%2e%2e/admin', 'admin/..;/admin', 'admin/%252e%252e/x', 'admin/.%2e/x', 'admin~', 'admin%7e',
] as const;

const ODD = [
  '*', 'admin', 'public/../admin', '?admin', '#/admin', '\\admin', '/\\admin', '//admin', '///admin', '//public/admin', '/public//', '/.', '/..', '/%2e', '/;',
  '/public/%E2%80%AE', 'http://public/admin', 'http://127.0.0.1/admin', 'HTTP://shop.local//admin', 'https://shop.local/../admin', 'http:/admin', 'http:admin', 'ftp://shop.local/admin',
  'http://user@shop.local/admin', '//shop.local/admin', '@shop.local/admin', ':80/admin', 'shop.local:80', 'shop.local:443/admin',
  '/public?/../admin', '/public?x=/../../admin', '/public?%2e%2e/admin', '/public/?#/admin', '/public#/../admin', '/public?x#y', '/public?a b', '/public?\xe9',
  '/public/%', '/public/%%', '/public/%2', '/public/%u0061', '/public/\x01', '/public/\x1f', '/public/\x80', '/public/"', '/public/<a>', '/public/{a}', '/public/a|b',
  '/public/a^b', '/public/a`b', '/public/[a]', '/public/a%0d%0aX-Admin:%201', '/public/%F0%80%80%AF', '/public/%F8%88%80%80%AF',
] as const;

/** At least 500, each once. Clean ones are among them: for those, what the backend sees must be what was judged. */
export const hostilePaths = (): readonly string[] => {
  const targets = new Set<string>(ODD);
  for (const separator of SEPARATORS) {
    for (const climb of CLIMBS) targets.add(`/public${separator}${climb}${separator}admin`);
    targets.add(`/public${separator}admin`);
    targets.add(`${separator}admin`);
    targets.add(`/admin${separator}`);
  }
  for (const goal of GOALS) {
    for (const folder of ['', '/public', '/public/a', '/public/..']) targets.add(`${folder}/${goal}`);
    targets.add(`/${goal}?x=1`);
  }
  return [...targets];
};
