/** Samples the processor's work of this process and sums it up by where it was done. */
import { Session } from 'node:inspector/promises';
import { writeFileSync } from 'node:fs';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples?: readonly number[] | undefined;
  readonly timeDeltas?: readonly number[] | undefined;
}

export interface Share {
  readonly name: string;
  /** Of the time that was not idle. */
  readonly share: number;
}

export interface Profiled {
  readonly folders: readonly Share[];
  readonly functions: readonly Share[];
}

const IDLE = new Set(['(idle)', '(program)', '(root)']);

const folderOf = ({ url, functionName }: ProfileNode['callFrame']): string => {
  if (url.startsWith('wasm:')) return 'policy (WASM)';
  const own = /\/src\/(.+)\/[^/]+$/.exec(url);
  if (own !== null) return `src/${own[1]}`;
  const third = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url);
  if (third !== null) return third[1] as string;
  if (url.includes('/bench/')) return 'the bench itself';
  return functionName === '(garbage collector)' ? 'garbage collector' : url.startsWith('node:') ? 'node' : 'native';
};

const fileOf = ({ url, functionName, lineNumber }: ProfileNode['callFrame']): string =>
  `${functionName === '' ? '(anonymous)' : functionName} ${url.replace(/^.*\/(?=(?:src|node_modules|bench)\/)/, '')}${url === '' ? '' : `:${lineNumber + 1}`}`.trim();

const shares = (profile: Profile, nameOf: (frame: ProfileNode['callFrame']) => string): readonly Share[] => {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const sums = new Map<string, number>();
  let total = 0;
  profile.samples?.forEach((id, index) => {
    const frame = frames.get(id);
    if (frame === undefined || IDLE.has(frame.functionName)) return;
    const took = profile.timeDeltas?.[index] ?? 0;
    total += took;
    const name = nameOf(frame);
    sums.set(name, (sums.get(name) ?? 0) + took);
  });
  return [...sums].map(([name, sum]) => ({ name, share: sum / total })).toSorted((a, b) => b.share - a.share);
};

/** `file`: also writes a .cpuprofile that Chrome's tools open. */
export const profiled = async (body: () => Promise<void>, file?: string): Promise<Profiled> => {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 200 });
  await session.post('Profiler.start');
  await body();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  if (file !== undefined) writeFileSync(file, JSON.stringify(profile));
  return { folders: shares(profile, folderOf), functions: shares(profile, fileOf) };
};
