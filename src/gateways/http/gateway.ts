/**
 * The HTTP gateway: forward-auth, Envoy's HTTP `ext_authz`, self-service and health on one listener.
 *
 * Decision endpoints are served straight from node's request: what they judge is the target as it was received. Everything else
 * goes through hono, and only when its target is clean, so that router and handlers can't see different paths (THREATS B5).
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Decision, Evaluation } from '../../decision/evaluation.ts';
import { judgeTarget } from '../../domain/http-target.ts';
import type { Route } from '../../domain/route.ts';
import { EXT_AUTHZ_PREFIX } from '../ext-authz-http/original.ts';
import { httpRules } from '../http-question.ts';
import { pepCertificateOf } from '../pep-certificate.ts';
import { tlsFromFiles, type ListenerTls, type TlsSetting } from '../../grpc/secure-context.ts';
import { spreadOver, type SpreadListeners } from '../spread-over.ts';
import { reachOf, type ListenerBinding, type PepAuthenticator, type PepCertificate } from '../pep.ts';
import { ADMITS_ALL, type Admission } from '../admission.ts';
import { writeDecision, writeFailure, writeShed } from './answer.ts';
import type { HttpApi } from './api.ts';
import { createApp } from './app.ts';
import type { Emission } from './emission.ts';
import { takesBody } from '../self-service/routes.ts';
import type { AppDeps } from './app.ts';
import type { HttpListenerConfig } from './config.ts';
import { httpEvaluation } from './evaluation.ts';
import type { HttpContext, HttpProtocol } from './evaluation.ts';
import { extAuthzHttp, forwardAuth } from './protocols.ts';
import { once, readRequest } from './request.ts';
import type { HttpRequest } from './request.ts';
import { startHttpServer } from './server.ts';
import type { HttpHandler, HttpServer, HttpTls } from './server.ts';

export interface HttpGatewayDeps extends AppDeps {
  /** Calls `write` in the breath of its re-check, and resolves to the same decision. */
  readonly decide: (evaluation: Evaluation, write: (decision: Decision) => void) => Promise<Decision>;
  /** Is there room for one more question? Absent: always. */
  readonly admission?: Admission;
  /** Told of every answer; absent: nobody wants to know. */
  readonly emitted?: Emission;
  readonly config: HttpListenerConfig;
  readonly peps: PepAuthenticator;
  /** What `config.tls` stands for at present; throws when it can't be had. Absent: what the files say. */
  readonly tls?: ((tls: TlsSetting) => ListenerTls) | undefined;
  readonly routes: readonly Route[];
  /** Development: the fine reason and the grant are on the wire. */
  readonly fineReasons: boolean;
  /** Protocols that ask in JSON. */
  readonly apis?: readonly HttpApi[] | undefined;
}

export interface HttpGateway {
  /** Serves requests of a server that was not started here; `reach` says who can connect to it. */
  handler(reach: ListenerBinding['reach']): HttpHandler;
  /** Listens as configured, on TCP and on the Unix socket. Rejects when it can't. */
  listen(): Promise<RunningHttpGateway>;
}

export interface RunningHttpGateway extends SpreadListeners {
  /** TCP first: `host:port`, `unix:` and the path. */
  readonly addresses: readonly string[];
  /** The TCP port, 0 without one. */
  readonly port: number;
  /** Reads again what TLS is made of, for new connections. Throws, and changes nothing, when it can't be read. `cut` ends the open ones. */
  reloadTls(cut?: boolean): void;
  close(): Promise<void>;
}

/** Fits no enforcement point: a certificate that was shown but did not verify. */
const UNVERIFIED: PepCertificate = { sans: [], sha256: '' };

/** Once a connection: what its client certificate says. */
const certificates = new WeakMap<Socket, PepCertificate | 'none'>();

const certificateOf = (socket: Socket): PepCertificate | undefined => {
  if (!(socket instanceof TLSSocket)) return undefined;
  let known = certificates.get(socket);
  if (known === undefined) {
    const certificate = socket.getPeerX509Certificate();
    known = certificate === undefined ? 'none' : socket.authorized ? pepCertificateOf(certificate) : UNVERIFIED;
    certificates.set(socket, known);
  }
  return known === 'none' ? undefined : known;
};

const NGINX_HEADER = 'x-original-uri';

const startsPath = (target: string, path: string): boolean => target === path || target.startsWith(`${path}?`);

const protocolOf = (target: string): HttpProtocol | undefined => {
  if (startsPath(target, '/forward-auth')) return forwardAuth;
  return target.startsWith(`${EXT_AUTHZ_PREFIX}/`) ? extAuthzHttp : undefined;
};

const notHere = (response: ServerResponse): void => {
  const body = '{"title":"there is nothing here","status":404}';
  response.writeHead(404, ['content-type', 'application/problem+json', 'cache-control', 'no-store', 'content-length', String(body.length)]);
  response.end(body);
};

export const createHttpGateway = (deps: HttpGatewayDeps): HttpGateway => {
  const { config, decide, fineReasons, admission = ADMITS_ALL } = deps;
  const context: HttpContext = { authenticatePep: deps.peps, rulesFor: httpRules(deps.routes), realm: config.realm, subject: config.subject };
  const app = getRequestListener(createApp(deps).fetch, { overrideGlobalObjects: false });

  const apiOf = (target: string): HttpApi | undefined => deps.apis?.find((api) => api.serves(target));
  const readsBody = ({ method, url: target = '' }: IncomingMessage): boolean =>
    protocolOf(target) === undefined && (apiOf(target) !== undefined || (deps.selfService !== undefined && takesBody(method, target)));

  const decideOn = (request: HttpRequest, protocol: HttpProtocol, response: ServerResponse): void => {
    let evaluation: Evaluation;
    try {
      evaluation = httpEvaluation(randomUUID(), request, protocol, context);
    } catch (error) {
      admission.leave();
      throw error;
    }
    // nginx answers 500 to its client for any other denial.
    const plainDenials = request.headers.has(NGINX_HEADER);
    const removeByEnvoy = protocol.name === 'ext-authz-http';
    // A second call finds the answer written.
    const write = (decision: Decision): void => writeDecision(response, decision, { fineReasons, plainDenials, removeByEnvoy });
    decide(evaluation, write)
      .then((decision) => {
        write(decision);
        deps.emitted?.(response, decision.id);
      })
      .catch(() => writeFailure(response))
      .finally(admission.leave);
  };

  const readTls = (): HttpTls | undefined => {
    const { tls: setting } = config;
    return setting && { ...(deps.tls ?? tlsFromFiles)(setting), clientCertificate: setting.clientCertificate };
  };

  /** Connections are kept, or many would be opened anew when there is least time for it; unless a body follows that nobody should wait for. */
  const shedApi = (api: HttpApi, request: HttpRequest, response: ServerResponse): boolean => {
    if (!(Number(once(request.headers, 'content-length') ?? 0) <= config.limits.bodyBytesMax) || request.headers.has('transfer-encoding')) response.shouldKeepAlive = false;
    return api.shed(request, response);
  };

  const handler = (reach: ListenerBinding['reach']): HttpHandler => {
    const listener: ListenerBinding = { id: config.id, reach, pep: config.pep };
    return (incoming, response, bodyTooLarge) => {
      try {
        const evidence = { listener, certificate: certificateOf(incoming.socket) };
        const request = readRequest(incoming, evidence, { headerLinesMax: config.limits.headerLinesMax, bodyTooLarge });
        const protocol = protocolOf(request.target);
        const api = protocol === undefined ? apiOf(request.target) : undefined;
        if (protocol !== undefined) {
          if (admission.enter(protocol.name)) decideOn(request, protocol, response);
          else writeShed(response, request.headers.has(NGINX_HEADER));
        } else if (api !== undefined) {
          if (admission.room('api') || !shedApi(api, request, response)) api.handle(request, incoming, response).catch(() => writeFailure(response));
        }
        else if (!request.tooLarge && judgeTarget(request.target).ok) void app(incoming, response);
        else notHere(response);
      } catch {
        writeFailure(response);
      }
    };
  };

  const listen = async (): Promise<RunningHttpGateway> => {
    const { host, port, unix, limits } = config;
    const servers: HttpServer[] = [];
    try {
      if (port !== false) {
        servers.push(await startHttpServer({ listen: { host, port }, tls: readTls(), limits, readsBody, handle: handler(reachOf(host)) }));
      }
      if (unix !== undefined) servers.push(await startHttpServer({ listen: unix, limits, readsBody, handle: handler('unix') }));
    } catch (error) {
      await Promise.all(servers.map((server) => server.close()));
      throw error;
    }
    return {
      addresses: servers.map((server) => server.address),
      port: port === false ? 0 : (servers[0]?.port ?? 0),
      ...spreadOver(servers),
      reloadTls: (cut) => {
        const tls = readTls();
        if (tls !== undefined && port !== false) servers[0]?.reloadTls(tls, cut);
      },
      close: async () => {
        await Promise.all(servers.map((server) => server.close()));
      },
    };
  };

  return { handler, listen };
};
