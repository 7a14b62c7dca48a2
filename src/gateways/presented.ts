/** The credential that came with an HTTP request, unbelieved. Exactly one `Authorization` line of a known scheme, or it is malformed. */
import type { Presented, ProofOfPossession } from '../decision/evaluation.ts';

const CREDENTIAL = /^(bearer|dpop) +([A-Za-z0-9\-._~+/]+=*)$/i;

export interface PossessionContext {
  /** Of the request that the client made, for DPoP's `htm` and `htu`. */
  readonly method: string;
  /** Scheme, canonical authority and the path as sent, without query; absent when the request could not be read. */
  readonly url: string | undefined;
  /** SHA-256 of the client's certificate, base64url, from somebody who has verified it. */
  readonly x5t?: string | undefined;
}

export const readPresented = (headers: ReadonlyMap<string, readonly string[]>, context: PossessionContext): Presented => {
  const lines = headers.get('authorization');
  if (lines === undefined) return { kind: 'none' };
  const match = lines.length === 1 ? CREDENTIAL.exec(lines[0] as string) : null;
  if (match === null) return { kind: 'malformed' };
  const { method, url, x5t } = context;
  const proofs = headers.get('dpop') ?? [];
  // The scheme DPoP promises a proof; none is then a wrong number of proofs.
  const wantsProof = proofs.length > 0 || (match[1] as string).toLowerCase() === 'dpop';
  if (wantsProof && url === undefined) return { kind: 'malformed' };
  const token = match[2] as string;
  if (!wantsProof && x5t === undefined) return { kind: 'bearer', token };
  const proof: ProofOfPossession = {
    ...(wantsProof && url !== undefined ? { dpop: { proofs, method, url } } : {}),
    ...(x5t === undefined ? {} : { x5t }),
  };
  return { kind: 'bearer', token, proof };
};
