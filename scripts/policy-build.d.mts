export const compile: (opa: string, folders: readonly string[], entrypoints: readonly string[]) => ReadonlyMap<string, Buffer>;
export const pack: (files: ReadonlyMap<string, Buffer>, name: string) => { readonly revision: string; readonly archive: Buffer };
export const buildPack: (opa?: string) => { readonly revision: string; readonly archive: Buffer };
