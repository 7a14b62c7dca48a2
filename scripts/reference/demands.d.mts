import type { DemandTest } from './demand-tests.mjs';

export declare const renderDemands: (tests: readonly DemandTest[]) => string;
export declare const demandStates: (tests: readonly DemandTest[]) => readonly ('shown' | 'in part' | 'not yet')[];
