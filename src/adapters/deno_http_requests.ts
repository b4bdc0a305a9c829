/**
 * The requests that a server of `node:http` in Deno is waiting for, by their sockets.
 *
 * The server sets and deletes an entry of a `Map` for each request. After some dozens of deletions
 * V8 moves the map into a new table, to which the old table refers. Once one table has been
 * promoted to the old generation, the collector of young objects keeps all later tables alive, and
 * with them the requests in these tables: nearly every request is then copied twice, and freed by
 * the collector of old objects. A map that keeps the entry of a socket stays in one table.
 *
 *   begin: set(socket, request) -> end: delete(socket) notes that there is none -> begin ...
 *   the socket leaves the server: delete(socket) deletes
 *
 * @module
 */

/** Looks like a request that never times out. */
const NO_REQUEST: object = Object.freeze({
  headersCompleted: true,
  startTime: Infinity,
  req: null,
});

interface Sockets {
  has(socket: object): boolean;
}

/** The server's own object: all of its sockets, and the waiting requests. */
interface ConnectionsList {
  readonly _all: Sockets;
  _active: object;
}

class Requests extends Map<object, object> {
  readonly #sockets: Sockets;

  constructor(sockets: Sockets) {
    super();
    this.#sockets = sockets;
  }

  override get(socket: object): object | undefined {
    const request = super.get(socket);
    return request === NO_REQUEST ? undefined : request;
  }

  override has(socket: object): boolean {
    return this.get(socket) !== undefined;
  }

  override delete(socket: object): boolean {
    if (!this.#sockets.has(socket)) return super.delete(socket);
    const had = this.has(socket);
    if (had) this.set(socket, NO_REQUEST);
    return had;
  }
}

function isList(value: unknown): value is ConnectionsList {
  if (typeof value !== "object" || value === null) return false;
  const { _all, _active, popActiveIfReq } = value as Record<string, unknown>;
  return typeof popActiveIfReq === "function" && typeof (_all as Sockets)?.has === "function" &&
    typeof _active === "object" && _active !== null;
}

/** The requests of one list from now on. False when the runtime keeps them in another way. */
function replace(list: ConnectionsList): boolean {
  if (list._active instanceof Requests) return true;
  const requests = new Requests(list._all);
  try {
    Map.prototype.forEach.call(list._active, (request, socket) => requests.set(socket, request));
  } catch {
    // No Map: a version of the runtime that keeps its requests in another way needs no help.
    return false;
  }
  list._active = requests;
  return true;
}

const seen = new WeakSet<object>();

/** Gives a server such a map, once. */
function keepFor(server: unknown): void {
  if (typeof server !== "object" || server === null || seen.has(server)) return;
  for (const symbol of Object.getOwnPropertySymbols(server)) {
    const value = (server as Record<symbol, unknown>)[symbol];
    if (isList(value) && replace(value)) seen.add(server);
  }
}

export const denoHttpRequests = { keepFor };
