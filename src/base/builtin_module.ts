/**
 * The runtime's own modules, by a call where an import would come too early.
 *
 * In Deno `process.getBuiltinModule` is an accessor that loads `node:module`, 2 ms of a start. So
 * the accessor is kept, and called when a module is first asked for. A function that a program, or
 * `uringnet/register`, puts in its place meanwhile is not called.
 *
 * @module
 */
import process from "node:process";

type GetBuiltinModule = (name: string) => unknown;

const found = Object.getOwnPropertyDescriptor(process, "getBuiltinModule") as
  | TypedPropertyDescriptor<GetBuiltinModule>
  | undefined;

let taken = found?.value ?? null;

/** The exports of one of the runtime's own modules, which is loaded now if it was not before. */
export function builtinModule<Exports>(name: `node:${string}`): Exports {
  taken ??= found?.get?.call(process) as GetBuiltinModule;
  return taken(name) as Exports;
}
