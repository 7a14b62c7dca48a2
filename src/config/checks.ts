/** What no single section can know: rules that span the configuration. */
import { isTrustDomain } from '../domain/spiffe-id.ts';
import { isLoopback } from '../domain/loopback.ts';
import { redisConfigFault } from '../store/redis/config-fault.ts';
import { isGiven } from '../policy/config.ts';
import type { Config } from './schema.ts';
import type { ConfigFault } from './fault.ts';

type SpanFault = Omit<ConfigFault, 'where'>;

const listenerFaults = (config: Config): readonly SpanFault[] => {
  const faults: SpanFault[] = [];
  const provable = config.peps.some(({ token, certificate }) => token !== undefined || certificate !== undefined);
  const check = (section: 'http' | 'grpc', host: string, open: boolean): void => {
    const { pep } = config[section];
    if (open && !isLoopback(host) && pep !== 'anonymous' && !provable) {
      faults.push({
        path: `${section}.host`,
        message: `${host} is reachable from other machines, and no enforcement point proves who it is: configure \`peps\`, or write \`pep: anonymous\` here`,
      });
    }
  };
  check('http', config.http.host, config.http.port !== false);
  check('grpc', config.grpc.host, config.grpc.port !== false);
  return faults;
};

const duplicates = (path: string, ids: readonly string[]): readonly SpanFault[] =>
  ids.flatMap((id, index) => (ids.indexOf(id) === index ? [] : [{ path: `${path}.${index}.id`, message: `\`${id}\` is there twice` }]));

const referenceFaults = (config: Config): readonly SpanFault[] => {
  const realms = new Set(config.realms);
  const peps = new Set(config.peps.map(({ id }) => id));
  const unix = new Set([...(config.http.unix === undefined ? [] : [config.http.id]), ...(config.grpc.unix === undefined ? [] : [config.grpc.id])]);
  const faults: SpanFault[] = [];
  const realmAt = (path: string, realm: string | undefined): void => {
    if (realm !== undefined && !realms.has(realm)) faults.push({ path, message: `\`${realm}\` is not one of \`realms\`` });
  };
  realmAt('http.realm', config.http.realm);
  realmAt('grpc.realm', config.grpc.realm);
  config.peps.forEach((pep, index) => {
    pep.realms.forEach((realm) => realmAt(`peps.${index}.realms`, realm));
    if (pep.unixListener !== undefined && !unix.has(pep.unixListener)) {
      faults.push({ path: `peps.${index}.unixListener`, message: `no listener \`${pep.unixListener}\` has a Unix socket` });
    }
  });
  config.standing.forEach(({ match }, index) => {
    match.realms?.forEach((realm) => realmAt(`standing.${index}.match.realms`, realm));
    match.peps?.forEach((pep) => {
      if (!peps.has(pep)) faults.push({ path: `standing.${index}.match.peps`, message: `\`${pep}\` is not one of \`peps\`` });
    });
  });
  config.identity.issuers.forEach((issuer, index) => issuer.realms?.forEach((realm) => realmAt(`identity.issuers.${index}.realms`, realm)));
  config.accessLogs.systems.forEach(({ realm }, index) => realmAt(`accessLogs.systems.${index}.realm`, realm));
  config.canaries.forEach(({ realm, pep }, index) => {
    realmAt(`canaries.${index}.realm`, realm);
    if (config.peps.find(({ id }) => id === pep)?.realms.includes(realm) !== true) faults.push({ path: `canaries.${index}.pep`, message: `\`${pep}\` is not one of \`peps\` that may ask about \`${realm}\`` });
  });
  for (const [name, { peps: by }] of Object.entries(config.lifecycle.systems)) {
    by.forEach((pep) => {
      if (!peps.has(pep)) faults.push({ path: `lifecycle.systems.${name}.peps`, message: `\`${pep}\` is not one of \`peps\`` });
    });
  }
  if (config.accessLogs.systems.length > 0 && config.decisionLog.format !== 'curfew') faults.push({ path: 'decisionLog.format', message: 'must be `curfew` with `accessLogs`, which are held against records' });
  if (config.accessLogs.systems.length > 0 && config.decisionLog.to !== 'file') faults.push({ path: 'accessLogs.systems', message: 'need `decisionLog.to: file`: they are held against it' });
  if (config.http.id === config.grpc.id) faults.push({ path: 'grpc.id', message: 'is the id of the HTTP listener too' });
  return faults;
};

const workloadApiFaults = (config: Config): readonly SpanFault[] =>
  (['http', 'grpc', 'admin'] as const).flatMap((section) => {
    const tls: { readonly workloadApi?: true | undefined; readonly clientTrustDomain?: string | undefined } | undefined = config[section].tls;
    if (tls?.workloadApi !== true) return [];
    const { clientTrustDomain } = tls;
    return [
      ...(config.identity.workloadApi === undefined ? [{ path: `${section}.tls.workloadApi`, message: 'needs `identity.workloadApi`' }] : []),
      ...(clientTrustDomain === undefined || isTrustDomain(clientTrustDomain) ? [] : [{ path: `${section}.tls.clientTrustDomain`, message: 'must be a trust domain name' }]),
    ];
  });

const timeFaults = ({ limits, lifecycle: _lifecycle }: Config): readonly SpanFault[] =>
  limits.evaluationBudgetMs > limits.decisionDeadlineMs
    ? [{ path: 'limits.evaluationBudgetMs', message: 'must not be longer than limits.decisionDeadlineMs' }]
    : [];

const storeFaults = ({ store }: Config): readonly SpanFault[] => {
  const fault = store.kind === 'redis' ? redisConfigFault(store.redis) : undefined;
  return fault === undefined ? [] : [{ path: 'store.redis', message: fault }];
};

/**
 * Beyond development: bundles that come from elsewhere decide who gets access, so it must be said who may sign them, or that
 * nobody needs to.
 */
export const productionFaults = ({ policy: { bundle, bundles, signing } }: Config): readonly ConfigFault[] => {
  const said = signing.required !== undefined || Object.keys(signing.keys).length > 0;
  return said || ![bundle, ...bundles].some(isGiven)
    ? []
    : [{ where: '', path: 'policy.signing', message: 'is not there, and bundles that come from elsewhere decide who gets access: name the `keys` that may sign them, or write `required: false`' }];
};

export const spanFaults = (config: Config): readonly SpanFault[] => [
  ...listenerFaults(config),
  ...referenceFaults(config),
  ...timeFaults(config),
  ...workloadApiFaults(config),
  ...storeFaults(config),
  ...duplicates('peps', config.peps.map(({ id }) => id)),
  ...duplicates('canaries', config.canaries.map(({ id }) => id)),
  ...duplicates('routes', config.routes.map(({ id }) => id)),
  ...duplicates('exceptions', config.exceptions.map(({ id }) => id)),
  ...duplicates('standing', config.standing.map(({ id }) => id)),
];
