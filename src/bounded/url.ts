/** Which URLs may be fetched: https without credentials; http only to this machine and only where the configuration says so. */
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

export const urlFault = (value: string, insecureLoopback: boolean): string | undefined => {
  if (!URL.canParse(value)) return 'must be an absolute URL';
  const url = new URL(value);
  if (url.username !== '' || url.password !== '') return 'must not contain credentials';
  if (url.hash !== '') return 'must not have a fragment';
  if (url.protocol === 'https:') return undefined;
  if (url.protocol === 'http:' && insecureLoopback && LOOPBACK.has(url.hostname)) return undefined;
  return 'must be https (http only on loopback with insecureLoopback: true)';
};
