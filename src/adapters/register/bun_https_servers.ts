/**
 * How the https servers of a program in Bun were made: with which options, and which listeners of
 * "connection" are Bun's own.
 *
 * @module
 */
import type { EventEmitter } from "node:events";
import { type Exports, type Fields, replace, replaceFunction } from "./node_modules.ts";

/** The options with which an https server was made. */
const tlsOptions = new WeakMap<object, Fields>();
/** The listeners of "connection" with which an https server was made. */
const ownListeners = new WeakMap<object, Set<unknown>>();

/** An https server is made by its class or by `createServer`: both note its options. */
function note(https: Exports): void {
  const Original = https.Server as new (...args: unknown[]) => object;
  const noted = (server: object, [options]: unknown[]): object => {
    ownListeners.set(server, new Set((server as EventEmitter).rawListeners("connection")));
    tlsOptions.set(server, options !== null && typeof options === "object" ? { ...options } : {});
    return server;
  };
  const make = (args: unknown[], newTarget: unknown): object => {
    const subclass = newTarget === undefined || newTarget === Server ? Original : newTarget;
    return noted(Reflect.construct(Original, args, subclass as typeof Original), args);
  };
  const Server: unknown = new Proxy(Original, {
    apply(_target, self, args) {
      if (!(self instanceof Original)) return make(args, undefined);
      // In the constructor of a class that inherits without `class` syntax.
      Reflect.apply(Original, self, args);
      return noted(self, args);
    },
    construct: (_target, args, newTarget) => make(args, newTarget),
  });
  replace(https, "Server", Server);
  replaceFunction(https, "createServer", (...args: unknown[]) => make(args, undefined));
}

export const bunHttpsServers = {
  note,
  /** Undefined for a server of `node:http`. */
  options: (server: object) => tlsOptions.get(server),
  ownListeners: (server: object) => ownListeners.get(server),
};
