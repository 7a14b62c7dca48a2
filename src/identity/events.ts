/** What operators should hear of. Texts are fixed or name files, URLs and issuers of the configuration; never tokens or keys. */
export interface IdentityEvent {
  readonly kind: 'keys.loaded' | 'keys.failed' | 'review.failed';
  /** Trust domain as `spiffe://...`, or the OIDC issuer. */
  readonly issuer: string;
  readonly detail: string;
}

export type OnIdentityEvent = (event: IdentityEvent) => void;
