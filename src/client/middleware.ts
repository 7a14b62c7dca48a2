/**
 * A client in front of an application's handlers. What is asked is method, host and path of the request, with its bearer token as the
 * subject's credential, unless `describe` says otherwise. A path that can be read in two ways is refused before it is asked about.
 */
import type { Answer, CurfewClient, Question } from './client.ts';

export interface HttpRequestLike {
  readonly method: string;
  /** Host with optional port. */
  readonly host: string;
  /** Path and query, undecoded, as the application's router gets it. */
  readonly target: string;
  readonly authorization: string | undefined;
}

export interface GuardOptions {
  /** `undefined`: it can't be asked about, which is a no. */
  readonly describe?: (request: HttpRequestLike) => Question | undefined;
}

const TOKEN = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i;

/** The id of `http:<host><path>`, or `undefined` when the path has more than one reading. */
export const httpResourceId = (host: string, target: string): string | undefined => {
  const path = target.split('?', 1)[0] as string;
  if (!path.startsWith('/') || host === '') return undefined;
  try {
    const segments = path.slice(1).split('/').map((raw) => {
      const segment = decodeURIComponent(raw);
      if (/[/\\%]/.test(segment)) throw new Error('two readings');
      return segment;
    });
    return `${host.toLowerCase()}/${segments.join('/')}`;
  } catch {
    return undefined;
  }
};

export const describeHttp = ({ method, host, target, authorization = '' }: HttpRequestLike): Question | undefined => {
  const id = httpResourceId(host, target);
  const credential = TOKEN.exec(authorization)?.[1];
  return id === undefined || credential === undefined ? undefined : { subject: { credential }, action: method, resource: { type: 'http', id } };
};

const judge = async (client: CurfewClient, request: HttpRequestLike, { describe = describeHttp }: GuardOptions): Promise<Answer & { readonly status: number }> => {
  const question = describe(request);
  if (question === undefined) return { allowed: false, reason: 'unauthenticated', status: request.authorization === undefined ? 401 : 403 };
  const answer = await client.evaluate(question);
  return { ...answer, status: answer.allowed ? 200 : answer.reason === 'unauthenticated' || answer.reason.startsWith('credential.') ? 401 : 403 };
};

const problem = ({ reason, status }: { readonly reason: string; readonly status: number }): string => JSON.stringify({ title: 'access denied', status, reason });
const HEADERS = { 'content-type': 'application/problem+json', 'cache-control': 'no-store' } as const;

/** For handlers of Request and Response, such as those of Deno, Bun and service workers. */
export const guardFetch = (client: CurfewClient, handler: (request: Request, answer: Answer) => Response | Promise<Response>, options: GuardOptions = {}) =>
  async (request: Request): Promise<Response> => {
    const { host, pathname, search } = new URL(request.url);
    const answer = await judge(client, { method: request.method, host, target: `${pathname}${search}`, authorization: request.headers.get('authorization') ?? undefined }, options);
    return answer.allowed && answer.holds() ? handler(request, answer) : new Response(problem({ reason: 'ended', ...answer }), { status: answer.allowed ? 403 : answer.status, headers: HEADERS });
  };

/** For hono: `app.use(curfewHono(client))`. */
export const curfewHono = (client: CurfewClient, options: GuardOptions = {}) =>
  async (context: { readonly req: { readonly raw: Request } }, next: () => Promise<void>): Promise<Response | void> => {
    const passed = new Response(null);
    const response = await guardFetch(client, () => passed, options)(context.req.raw);
    if (response !== passed) return response;
    await next();
  };

interface NodeRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  /** Express keeps the target here when a router took its part of `url`. */
  readonly originalUrl?: string | undefined;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

interface NodeResponse {
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  end(body: string): unknown;
}

const only = (value: string | readonly string[] | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

/** For Express and Connect: `app.use(curfewConnect(client))`. */
export const curfewConnect = (client: CurfewClient, options: GuardOptions = {}) =>
  (request: NodeRequest, response: NodeResponse, pass: () => void): void => {
    const { method = '', headers } = request;
    const asked = { method, host: only(headers['host']) ?? '', target: request.originalUrl ?? request.url ?? '', authorization: only(headers['authorization']) };
    const deny = (answer: { readonly reason: string; readonly status: number }): void => {
      response.writeHead(answer.status, HEADERS);
      response.end(problem(answer));
    };
    judge(client, asked, options).then(
      (answer) => {
        // Not in the promise: what a handler throws is not ours to swallow.
        if (answer.allowed && answer.holds()) queueMicrotask(pass);
        else deny(answer.allowed ? { reason: 'ended', status: 403 } : answer);
      },
      () => deny({ reason: 'unavailable', status: 403 }),
    );
  };
