/** The Dockerfile as its instructions, and a replay of them in a folder, for machines without a container engine. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, delimiter, isAbsolute, join } from 'node:path';
import { repositoryRoot } from '../parts.ts';

export interface Instruction {
  readonly name: string;
  /** `--from=build` and the like. */
  readonly flags: Readonly<Record<string, string>>;
  /** The rest of the line; for HEALTHCHECK without `CMD`. */
  readonly text: string;
  /** The arguments of an exec form. */
  readonly exec?: readonly string[];
}

const execForm = (text: string): readonly string[] | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
};

export const parseDockerfile = (text: string): readonly Instruction[] =>
  text.replaceAll(/\\\n/g, ' ').split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#')).map((line) => {
    const [, name = '', rest = ''] = /^([A-Z]+) +(.*)$/.exec(line) ?? [];
    const flags: Record<string, string> = {};
    const own = rest.replaceAll(/(?:^|(?<= ))--([a-z-]+)=(\S+) +/g, (_, flag: string, value: string) => {
      flags[flag] = value;
      return '';
    });
    const body = name === 'HEALTHCHECK' ? own.replace(/^CMD +/, '') : own;
    const exec = execForm(body);
    return { name, flags, text: body, ...(exec === undefined ? {} : { exec }) };
  });

/** Instructions by stage; each begins with its FROM. */
export const stagesOf = (instructions: readonly Instruction[]): readonly (readonly Instruction[])[] => {
  const stages: Instruction[][] = [];
  for (const instruction of instructions) {
    if (instruction.name === 'FROM') stages.push([]);
    stages[stages.length - 1]?.push(instruction);
  }
  return stages;
};

/** What `.dockerignore` lets through: names at the top of the repository, and single files. It is an allow-list: `*`, then `!name` each. */
export const readIgnore = (text: string): { readonly all: boolean; readonly kept: ReadonlySet<string> } => {
  const lines = text.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  return { all: lines[0] === '*', kept: new Set(lines.slice(1).map((line) => line.replace(/^!/, ''))) };
};

export interface Image {
  /** Where a path of the image lies. */
  readonly at: (path: string) => string;
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
}

/** Absolute paths of the image are below `root/<stage>`; programs run from this machine. */
export const replay = (instructions: readonly Instruction[], root: string): Image => {
  const kept = readIgnore(readFileSync(join(repositoryRoot, '.dockerignore'), 'utf8')).kept;
  const names = new Map<string, string>();
  let image: Image | undefined;
  for (const [index, stage] of stagesOf(instructions).entries()) {
    const base = join(root, String(index));
    const at = (path: string): string => join(base, path);
    const environment: Record<string, string> = {};
    let workdir = '/';
    const target = (path: string): string => (isAbsolute(path) ? at(path) : join(at(workdir), path));
    for (const { name, flags, text, exec } of stage) {
      if (name === 'FROM') names.set(/ AS (\S+)$/.exec(text)?.[1] ?? String(index), base);
      else if (name === 'ENV') for (const pair of text.split(' ')) environment[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1);
      else if (name === 'WORKDIR') mkdirSync(at((workdir = text)), { recursive: true });
      else if (name === 'COPY') {
        // Of another image: this machine has its own of what is in there.
        if (flags['from'] !== undefined && !names.has(flags['from'])) continue;
        const words = text.split(' ');
        const to = words.pop() ?? '';
        for (const from of words) {
          const stageFolder = flags['from'] === undefined ? undefined : names.get(flags['from']);
          if (stageFolder === undefined && !kept.has(from) && !kept.has(from.split('/')[0] ?? '')) throw new Error(`${from} is not in the build's context`);
          cpSync(join(stageFolder ?? repositoryRoot, from), to.endsWith('/') ? join(target(to), basename(from)) : target(to), { recursive: true, verbatimSymlinks: true });
        }
      } else if (name === 'RUN') {
        const [program = '', ...args] = exec ?? [];
        // Owners are the tests' matter: who runs them may not give files away.
        const mapped = args.filter((arg, at1) => !(program === 'install' && (/^-[og]$/.test(arg) || /^-[og]$/.test(args[at1 - 1] ?? '')))).map((arg) => (isAbsolute(arg) ? at(arg) : arg));
        if (!existsSync(at(workdir))) mkdirSync(at(workdir), { recursive: true });
        const clean = Object.fromEntries(Object.entries(process.env).filter(([variable]) => !/^(?:npm_|CURFEW_|NODE_ENV|NODE_OPTIONS|VITEST)/.test(variable)));
        execFileSync(program, mapped, { cwd: at(workdir), stdio: ['ignore', 'pipe', 'pipe'], env: { ...clean, ...environment, PATH: [environment['PATH'], process.env['PATH']].filter(Boolean).join(delimiter), npm_config_prefer_offline: 'true', npm_config_update_notifier: 'false' } });
      }
    }
    image = { at, environment, workdir };
  }
  if (image === undefined) throw new Error('no stage');
  return image;
};
