/** Issuers that may stand behind a workload's id, as far as the id tells: a suspended one must not get new grants. */
const SEGMENTS_MAX = 8;

/** For `oidc:host/a/b`: `https://host`, `https://host/a`, ... each with and without a trailing slash. Nothing for SPIFFE IDs, whose trust domain says it. */
export const workloadIssuers = (workload: string): readonly string[] => {
  if (!workload.startsWith('oidc:')) return [];
  const [host = '', ...segments] = workload.slice('oidc:'.length).split('/');
  const issuers: string[] = [];
  for (let count = 0; count <= Math.min(segments.length, SEGMENTS_MAX); count += 1) {
    const path = [host, ...segments.slice(0, count)].join('/');
    for (const scheme of ['https', 'http']) issuers.push(`${scheme}://${path}`, `${scheme}://${path}/`);
  }
  return issuers;
};
