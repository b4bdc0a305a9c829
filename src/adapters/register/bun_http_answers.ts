/**
 * Rules of HTTP/1 that Node's server keeps, and the server in JavaScript by which Bun serves the
 * connections of this library does not:
 *
 *   a request of HTTP/1.1 without "Host" ----> 400, unless `requireHostHeader` is false
 *   an error in the middle of an answer -----> the end, and no 400 among the bytes of the answer
 *   heads -----------------------------------> Latin-1, one byte for each character
 *   addTrailers -----------------------------> chunks, with the trailers behind the last one
 *
 * @module
 */
import { type Exports, type NetSocket, replaceFunction } from "./node_modules.ts";

export interface HttpRequest {
  readonly httpVersionMajor: number;
  readonly httpVersionMinor: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly socket: NetSocket;
}

export interface HttpResponse {
  readonly req: HttpRequest;
  readonly headersSent: boolean;
  _trailer?: string;
  writeHead(status: number, headers: object): void;
  end(): void;
}

type Method = (...args: unknown[]) => unknown;

/** Bun writes a response by such an object. All bytes of the body are passed to `end` or before. */
interface ResponseHandle {
  end: Method;
  flushHeaders(): void;
}

const LAST_CHUNK = "0\r\n\r\n";

/** Responses whose trailers are written. */
const trailing = new WeakSet<object>();

function isAtLeast11({ httpVersionMajor, httpVersionMinor }: HttpRequest): boolean {
  return httpVersionMajor === 1 && httpVersionMinor >= 1;
}

/** Answers a request that names no host. True when it did. */
function refusesHostless(
  server: object,
  request: HttpRequest,
  response: HttpResponse,
): boolean {
  if (request.headers.host !== undefined || !isAtLeast11(request)) return false;
  if (!(server as { requireHostHeader?: boolean }).requireHostHeader) return false;
  response.writeHead(400, { Connection: "close" });
  response.end();
  return true;
}

/** Ends a connection with an error whose answer has begun. True when it did. */
function endsInAnswer(error: Error, socket: NetSocket): boolean {
  const { _httpMessage: answer } = socket as { _httpMessage?: HttpResponse | null };
  if (!answer?.headersSent) return false;
  socket.destroy(error);
  return true;
}

/** Bun writes a head as a text without an encoding, and all else as bytes. */
function beginHttp(socket: NetSocket): void {
  socket.setDefaultEncoding("latin1");
}

/** From now on the program writes. */
function endHttp(socket: NetSocket): void {
  socket.setDefaultEncoding("utf8");
}

/** Null for a response that Bun writes in C++. */
function handleOf(response: object): ResponseHandle | null {
  for (const symbol of Object.getOwnPropertySymbols(response)) {
    const value = (response as Record<symbol, unknown>)[symbol];
    if (typeof value !== "object" || value === null) continue;
    if (Object.hasOwn(value, "writeHeadAndEnd")) return value as ResponseHandle;
  }
  return null;
}

/** Calls `body`, which writes the last chunk, with the trailers behind that chunk. */
function withTrailers(socket: NetSocket, trailers: string, body: () => unknown): unknown {
  const own = Object.getOwnPropertyDescriptor(socket, "write");
  const { write } = socket as unknown as { write: Method };
  const value: Method = (chunk, ...rest) => {
    const written = chunk === LAST_CHUNK ? `0\r\n${trailers}\r\n` : chunk;
    return Reflect.apply(write, socket, [written, ...rest]);
  };
  Object.defineProperty(socket, "write", { value, configurable: true, writable: true });
  try {
    return body();
  } finally {
    if (own === undefined) delete (socket as { write?: unknown }).write;
    else Object.defineProperty(socket, "write", own);
  }
}

/** `response.addTrailers`: the end of the response writes the trailers. */
function patchTrailers({ ServerResponse }: Exports): void {
  const { prototype } = ServerResponse;
  const original = prototype.addTrailers;
  replaceFunction(prototype, "addTrailers", function (this: HttpResponse, ...args: unknown[]) {
    Reflect.apply(original, this, args);
    const handle = handleOf(this);
    if (handle === null || trailing.has(this) || !isAtLeast11(this.req)) return;
    trailing.add(this);
    const { end } = handle;
    handle.end = (...rest) => {
      // Before the bytes: otherwise a body that is written at once would get a length.
      handle.flushHeaders();
      const write = () => Reflect.apply(end, handle, rest);
      return withTrailers(this.req.socket, this._trailer ?? "", write);
    };
  });
}

export const bunHttpAnswers = { beginHttp, endHttp, endsInAnswer, patchTrailers, refusesHostless };
