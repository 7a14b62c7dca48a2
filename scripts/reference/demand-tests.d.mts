export interface DemandTest {
  readonly demand: number;
  readonly file: string;
  readonly name: string;
}
export declare const demandTests: (root: string) => readonly DemandTest[];
