/** Does a compact JWS verify with this key and this one algorithm? Never throws. */
import type { KeyObject } from 'node:crypto';
import { compactVerify } from 'jose';

export const signatureHolds = async (token: string, key: KeyObject, algorithm: string): Promise<boolean> => {
  try {
    await compactVerify(token, key, { algorithms: [algorithm] });
    return true;
  } catch {
    return false;
  }
};
