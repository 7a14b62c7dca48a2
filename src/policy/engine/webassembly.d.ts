/** The part of the platform that Node has and neither TypeScript's `es2023` library nor `@types/node` 20 declares. */
declare namespace WebAssembly {
  class Module {
    private readonly brand: undefined;
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    readonly buffer: ArrayBuffer;
  }
  class RuntimeError extends Error {
    private readonly brand: undefined;
  }
  interface Global {
    readonly value: unknown;
  }
  /** Named by opa-wasm's own types only. */
  interface WebAssemblyInstantiatedSource {
    readonly instance: Instance;
  }
  const compile: (bytes: Uint8Array) => Promise<Module>;
}
