import type { DemandTest } from './demand-tests.mjs';

export declare const renderDemands: (tests: readonly DemandTest[]) => string;
