/**
 * Variables of the environment. Deno would prompt for a permission that was not granted, so a
 * variable is read only if the permission is there.
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
