/** What must not grow over a long run, and how surely it does not: least squares over what every window gave, and how far noise alone may have moved the slope. */
import type { Goal } from '../harness/results.ts';

export interface Used {
  readonly name: string;
  readonly megabytes: number;
  /** Open file descriptors, sockets among them. */
  readonly files: number;
}

export interface Sample {
  readonly minute: number;
  /** The supervisor and each worker, in the same order in every sample. */
  readonly processes: readonly Used[];
  /** Milliseconds. */
  readonly p99: number;
  readonly answered: number;
  /** Denied because the decision came too late. */
  readonly unavailable: number;
}

export interface Slope {
  /** An hour. */
  readonly slope: number;
  /** Half of what covers the true slope nine times of ten; infinite where too few points say nothing. */
  readonly error: number;
}

const SLOPE_GOAL_MB = 5;
/** A shorter run says whether the bench works, not whether anything grows. */
const MINUTES_THAT_SAY = 30;
/** Standard errors on each side of 90 %: so one side is passed one time of twenty. */
const SURE = 1.645;
/** What windows share with the one before them makes them worth less; beyond this they are worth next to nothing. */
const SHARED_MAX = 0.95;

/** `minute` and value. Windows beside each other are alike, so the error counts as many points as they are worth. */
export const slopeOf = (points: readonly (readonly [minute: number, value: number])[]): Slope => {
  const mean = (index: 0 | 1): number => points.reduce((sum, point) => sum + point[index], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const spread = points.reduce((sum, [minute]) => sum + (minute - x) ** 2, 0);
  if (points.length < 3 || spread === 0) return { slope: 0, error: Number.POSITIVE_INFINITY };
  const slope = points.reduce((sum, [minute, value]) => sum + (minute - x) * (value - y), 0) / spread;
  const rest = points.map(([minute, value]) => value - y - slope * (minute - x));
  const squares = rest.reduce((sum, value) => sum + value ** 2, 0);
  const together = rest.slice(1).reduce((sum, value, index) => sum + value * (rest[index] as number), 0);
  const shared = squares === 0 ? 0 : Math.min(SHARED_MAX, Math.max(0, together / squares));
  const error = SURE * Math.sqrt((squares / (points.length - 2) / spread) * ((1 + shared) / (1 - shared)));
  return { slope: slope * 60, error: error * 60 };
};

/** Over the last two thirds: the first third fills what is remembered. A goal is met when noise does not leave it open. */
export const soakGoals = (samples: readonly Sample[], minutes: number): readonly Goal[] => {
  const settled = samples.slice(Math.floor(samples.length / 3));
  const whole = minutes >= MINUTES_THAT_SAY;
  const goalOf = (goal: string, value: (sample: Sample) => number, below: number, text: (slope: number) => string): Goal => {
    const { slope, error } = slopeOf(settled.map((sample) => [sample.minute, value(sample)]));
    return {
      goal, measured: `${text(slope)} +- ${text(error)} an hour${whole ? '' : ', too short to say'}`, met: whole && slope + error < below,
      limit: !whole ? 'the run was too short' : slope - error < below ? 'the noise of the run leaves it open' : 'not known',
    };
  };
  const megabytes = (value: number): string => `${value.toFixed(1)} MB`;
  return [
    ...(samples[0]?.processes ?? []).map(({ name }, index) =>
      goalOf(`slope of RssAnon of ${name} over the last two thirds < ${SLOPE_GOAL_MB} MB an hour`, ({ processes }) => processes[index]?.megabytes ?? Number.NaN, SLOPE_GOAL_MB, megabytes)),
    goalOf('slope of open files of all of them < 1 an hour', ({ processes }) => processes.reduce((sum, { files }) => sum + files, 0), 1, (value) => value.toFixed(1)),
    goalOf('slope of p99 < 1 ms an hour', ({ p99 }) => p99, 1, (value) => `${value.toFixed(2)} ms`),
  ];
};
