/** A policy's module, and how much memory it begins with: it asks for its memory as an import, and a smaller one than it names does not fit. */

export interface PolicyModule {
  readonly module: WebAssembly.Module;
  /** Of 64 KiB; at least what OPA's own programs give. More where a policy has much text of its own. */
  readonly memoryPages: number;
}

const PAGES_MIN = 5;
const MAGIC_BYTES = 8;
const IMPORT_SECTION = 2;
const [FUNCTION, TABLE, MEMORY, GLOBAL] = [0, 1, 2, 3];

/** Pages of the memory that a valid module imports; 0: it imports none. Source: WebAssembly Core Specification 5.5.5, binary format of the import section. */
export const importedPages = (wasm: Uint8Array): number => {
  let at = MAGIC_BYTES;
  const byte = (): number => wasm[at++] ?? 0;
  /** Unsigned LEB128 of 32 bits. */
  const number = (): number => {
    let value = 0;
    for (let weight = 1; ; weight *= 128) {
      const next = byte();
      value += (next % 128) * weight;
      if (next < 128) return value;
    }
  };
  const skipName = (): void => {
    const length = number();
    at += length;
  };
  /** Their least. */
  const limits = (): number => {
    const bounded = byte() % 2 === 1;
    const least = number();
    if (bounded) number();
    return least;
  };
  while (at < wasm.length) {
    const id = byte();
    const length = number();
    if (id !== IMPORT_SECTION) {
      at += length;
      continue;
    }
    for (let left = number(); left > 0; left -= 1) {
      skipName();
      skipName();
      const kind = byte();
      if (kind === MEMORY) return limits();
      if (kind === FUNCTION) number();
      else if (kind === TABLE) {
        byte();
        limits();
      } else if (kind === GLOBAL) at += 2;
      else throw new Error(`an import of a kind that is not known (${kind})`);
    }
    return 0;
  }
  return 0;
};

/** Rejects for what is no module. */
export const compileModule = async (wasm: Uint8Array): Promise<PolicyModule> => {
  // First: what it refuses need not be read.
  const module = await WebAssembly.compile(wasm);
  return { module, memoryPages: Math.max(PAGES_MIN, importedPages(wasm)) };
};
