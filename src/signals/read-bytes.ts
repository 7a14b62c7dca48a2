/** The body of a request, to a cap. `undefined`: it is larger; the rest is not read. */
export const readBytes = async (request: Request, bytesMax: number): Promise<Buffer | undefined> => {
  if (Number(request.headers.get('content-length') ?? 0) > bytesMax) return undefined;
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = (request.body as ReadableStream<Uint8Array> | null)?.getReader();
  for (;;) {
    const part = await reader?.read();
    if (part === undefined || part.done) return Buffer.concat(chunks);
    size += part.value.byteLength;
    if (size > bytesMax) {
      await reader?.cancel();
      return undefined;
    }
    chunks.push(part.value);
  }
};
