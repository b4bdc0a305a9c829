/**
 * The runtime's own modules, by a call where an import would come too early.
 *
 * In Deno `process.getBuiltinModule` is an accessor that loads `node:module`, 2 ms of a start, so
 * it is read when a module is first asked for and not before.
 *
 * @module
 */
import process from "node:process";

type GetBuiltinModule = (name: string) => unknown;

let taken: GetBuiltinModule | null = null;

/** The exports of one of the runtime's own modules, which is loaded now if it was not before. */
export function builtinModule<Exports>(name: `node:${string}`): Exports {
  taken ??= (process as unknown as { getBuiltinModule: GetBuiltinModule }).getBuiltinModule;
  return taken(name) as Exports;
}
