import type { DemandTest } from './demand-tests.mjs';

export interface Control {
  readonly control: string;
  readonly subject: string;
  readonly state: 'shown' | 'in part' | 'not yet' | 'outside';
  readonly by: readonly string[];
  readonly missing: readonly string[];
  readonly tests: number;
  readonly files: readonly string[];
  readonly limits?: string;
}
export interface Framework {
  readonly framework: string;
  readonly controls: readonly Control[];
}
export const controlsOf: (demands: readonly DemandTest[], marks: readonly { readonly mark: string; readonly file: string }[]) => readonly Framework[];
export const controlsJson: (frameworks: readonly Framework[]) => string;
export const renderControls: (frameworks: readonly Framework[]) => string;
