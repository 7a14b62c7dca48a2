export const sha256: (bytes: Uint8Array) => string;
export const buildWasm: (folder: string, out: string, env?: Readonly<Record<string, string>>) => void;
export const buildToolchain: () => string;
