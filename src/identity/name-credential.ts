/** How to name a leaked credential in a revocation, given the credential itself. Nothing is verified here. */
import { credentialByHash, credentialByJti } from '../domain/selector.ts';
import { readToken } from './token.ts';

/** Values of selectors of kind `credential` that name this JWT: by its signing input always, by `(iss, jti)` where it has both. */
export const nameToken = (token: string): { readonly byHash: string; readonly byJti?: string } | undefined => {
  const read = readToken(token);
  if (read === undefined) return undefined;
  const { iss, jti } = read.claims;
  const byJti = typeof iss === 'string' && typeof jti === 'string' ? credentialByJti(iss, jti) : undefined;
  return { byHash: credentialByHash(read.signingInputSha256), ...(byJti === undefined ? {} : { byJti }) };
};
