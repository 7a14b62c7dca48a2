/** What bundle sources tell, as lines of the log. */
import type { SourceEvent } from '../policy/source/bundle-source.ts';
import type { Log } from '../telemetry/log.ts';

const TEXTS: Readonly<Record<SourceEvent['kind'], string>> = {
  failed: 'a bundle can not be had; the active one stays',
  refused: 'the new bundle is refused; the active one stays',
  'kept.refused': 'the bundle kept on disk can not be used',
  'kept.failed': 'the last good bundle can not be kept on disk',
};

export const logSourceEvent = (log: Log) => ({ kind, source, detail }: SourceEvent): void => log[kind === 'refused' ? 'error' : 'warn'](TEXTS[kind], { source, detail });
