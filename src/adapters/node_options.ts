/**
 * Options of Node's command line that this process was given through the variable `NODE_OPTIONS`.
 *
 * The variable is read only where that asks no question: Deno prompts for a permission that was not
 * granted.
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
