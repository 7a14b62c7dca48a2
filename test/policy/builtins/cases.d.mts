export interface Case {
  readonly call: string;
  readonly args: readonly string[];
}
export const cases: (scale?: number, seed?: number) => readonly Case[];
