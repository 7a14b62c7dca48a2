/** What OPA's parser, checker, compiler or evaluator has against sources. */
export interface ToolchainFault {
  /** OPA's own code, such as `rego_parse_error`. */
  readonly code: string;
  /** May have several lines: OPA shows the place in the source. */
  readonly message: string;
  /** Relative to the folder of the sources. */
  readonly file?: string;
  /** From 1. */
  readonly row?: number;
  readonly col?: number;
}

/** `file:row:col: message`, as editors understand it. */
export const faultLine = ({ file, row, col, message }: ToolchainFault): string =>
  `${file === undefined ? '' : `${file}:${row ?? 1}:${col ?? 1}: `}${message}`;

/** The sources are not right; nothing is wrong with the toolchain. */
export class SourcesRefused extends Error {
  readonly faults: readonly ToolchainFault[];

  constructor(faults: readonly ToolchainFault[]) {
    super(faults.map(faultLine).join('\n'));
    this.name = 'SourcesRefused';
    this.faults = faults;
  }
}

/** There is no toolchain, or it broke; the message says what to do. */
export class ToolchainMissing extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'ToolchainMissing';
  }
}
