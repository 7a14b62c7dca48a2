export interface ReasonCatalogue<Reason extends string> {
  readonly REASONS: readonly Reason[];
  readonly reasonText: (reason: Reason) => string;
  readonly wireReason: (reason: Reason) => string;
}
export declare const renderReasons: <Reason extends string>(catalogue: ReasonCatalogue<Reason>) => string;
