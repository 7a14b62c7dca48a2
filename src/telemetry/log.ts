/**
 * What the process says about itself: JSON lines on standard error. A call takes one fixed sentence and flat fields, so that no
 * request object can get in; fields with secret names are left out; invisible characters leave escaped.
 */
import { pino } from 'pino';
import { escapeInvisible } from '../domain/invisible.ts';
import type { LogConfig } from './config.ts';

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const SECRET_NAME = /token|secret|password|authorization|cookie|credential|privatekey|apikey/i;
const FIELD_CHARS_MAX = 2_048;
/** Tokens that came along in an error's text. */
const TOKEN_LIKE = /eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|(?<=bearer )[^\s"',]+/gi;

const clean = (fields: LogFields): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (SECRET_NAME.test(name)) return [name, 'left out'];
      return [name, typeof value === 'string' ? value.slice(0, FIELD_CHARS_MAX).replace(TOKEN_LIKE, 'left out') : value];
    }),
  );

/** The text of an error for a log: its message, and of its causes, without stacks. */
export const errorText = (error: unknown): string => {
  const texts: string[] = [];
  for (let at: unknown = error; at !== undefined && texts.length < 4; at = at instanceof Error ? at.cause : undefined) {
    texts.push(at instanceof Error ? at.message : typeof at === 'string' ? at : 'an unknown failure');
  }
  return texts.join(': ');
};

/** `write` is for tests; without it lines go to standard error, at once. */
export const createLog = (config: LogConfig, context: LogFields = {}, write?: (line: string) => void): Log => {
  const destination = write === undefined ? pino.destination({ fd: 2, sync: true }) : { write };
  const logger = pino(
    {
      level: config.level,
      base: clean(context),
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: {
        streamWrite: escapeInvisible,
      },
    },
    destination,
  );
  return {
    debug: (message, fields = {}) => logger.debug(clean(fields), message),
    info: (message, fields = {}) => logger.info(clean(fields), message),
    warn: (message, fields = {}) => logger.warn(clean(fields), message),
    error: (message, fields = {}) => logger.error(clean(fields), message),
  };
};
