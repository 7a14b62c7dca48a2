export declare const readTar: (archive: Buffer) => Map<string, Buffer>;
export declare const writeBundle: (entries: Iterable<readonly [string, Buffer]>) => Buffer;
