export const root: string;
export const OPA_VERSION: string;
export const findOpa: () => string;
export const runOpa: (opa: string, args: readonly string[], cwd?: string) => string;
