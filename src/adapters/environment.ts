/**
 * Variables of the environment, read only where that asks no question: Deno prompts for a
 * permission that was not granted.
 *
 * @module
 */
import process from "node:process";

interface DenoPermissions {
  permissions: { querySync(wanted: { name: "env"; variable: string }): { state: string } };
}

/** The value of a variable; undefined when it is unset or not permitted. */
export function environment(variable: string): string | undefined {
  const { Deno: deno } = globalThis as unknown as { Deno?: DenoPermissions };
  const state = deno?.permissions.querySync({ name: "env", variable }).state ?? "granted";
  return state === "granted" ? process.env[variable] : undefined;
}
