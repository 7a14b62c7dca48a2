/** Answers of everything that is not a decision: JSON, and problems (RFC 9457). Never cached. */
const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

export const problem = (status: number, code: string, title: string, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify({ title, status, code, detail: title }), { status, headers: { ...HEADERS, 'content-type': 'application/problem+json', ...headers } });

export const json = (value: unknown, status = 200): Response =>
  new Response(JSON.stringify(value), { status, headers: { ...HEADERS, 'content-type': 'application/json' } });
