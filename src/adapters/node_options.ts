/**
 * The options of Node's command line, where a program is not run by Node: the variable
 * `NODE_OPTIONS`.
 *
 * It is read where that needs no question: Deno asks for, or refuses, what was not allowed.
 *
 * @module
 */
import process from "node:process";

interface DenoPermissions {
  permissions: { querySync(wanted: { name: "env"; variable: string }): { state: string } };
}

function readable(): boolean {
  const { Deno: deno } = globalThis as unknown as { Deno?: DenoPermissions };
  if (deno === undefined) return true;
  return deno.permissions.querySync({ name: "env", variable: "NODE_OPTIONS" }).state === "granted";
}

/** The options in it, in order. */
export function nodeOptions(): string[] {
  const text = readable() ? process.env.NODE_OPTIONS ?? "" : "";
  return text.split(/\s+/).filter((option) => option !== "");
}
