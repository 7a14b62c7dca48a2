/** One thing that is wrong with a configuration: where it was written, which setting it is, and what to do about it. */
export interface ConfigFault {
  /** `curfew.yaml:12`, a variable, a flag. */
  readonly where: string;
  /** `http.port`; empty when it is about the whole. */
  readonly path: string;
  readonly message: string;
}

export const faultText = ({ where, path, message }: ConfigFault): string =>
  [where, path, message].filter((part) => part !== '').join(': ');
