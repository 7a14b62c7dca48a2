export interface DemandTest {
  readonly demand: number;
  readonly file: string;
  readonly name: string;
}
export declare const demandTests: (root: string) => readonly DemandTest[];
export declare const markTests: (root: string) => readonly { readonly mark: string; readonly file: string }[];
