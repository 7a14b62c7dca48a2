/**
 * Where in a realm's history something happened. Within one epoch sequences are gapless and start at 1; a restored or new
 * store is a new epoch, and positions of different epochs don't compare. Opaque on the wire.
 */
export interface Position {
  readonly epoch: string;
  readonly sequence: number;
}

export const formatPosition = (position: Position): string => `${position.epoch}.${position.sequence}`;

export const parsePosition = (text: string): Position | undefined => {
  const match = /^([A-Za-z0-9_-]{1,64})\.(\d{1,15})$/.exec(text);
  return match === null ? undefined : { epoch: match[1] as string, sequence: Number(match[2]) };
};
