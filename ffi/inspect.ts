/**
 * Facts about the runtime for the doctor: its name, its version and its permissions. No function
 * asks the user for a permission.
 *
 * @module
 */
import process from "node:process";
import { libraryPlace } from "./load.ts";

interface Globals {
  Deno?: {
    version: { deno: string };
    permissions: { querySync(descriptor: { name: string; host?: string }): { state: string } };
  };
  Bun?: { version: string };
}

const { Deno: deno, Bun: bun } = globalThis as unknown as Globals;

const PERMISSIONS = ["ffi", "net", "read", "env", "sys"] as const;

export type PermissionName = typeof PERMISSIONS[number];

/**
 * "partial" stands for `--allow-net` with a list that has the loopback interface. Deno does not
 * tell whether there are lists of other permissions, and reports these as not granted.
 */
export type PermissionState = "granted" | "partial" | "missing";

export interface RuntimeFacts {
  readonly name: string;
  readonly version: string;
  /** Null where the runtime has no permissions. */
  readonly permissions: Readonly<Record<PermissionName, PermissionState>> | null;
}

export function runtimeFacts(): RuntimeFacts {
  if (bun !== undefined) return { name: "Bun", version: bun.version, permissions: null };
  if (deno === undefined) {
    return { name: "Node.js or another", version: process.version, permissions: null };
  }
  const states = PERMISSIONS.map((name) => [name, permissionState(name)]);
  const permissions = Object.fromEntries(states) as Record<PermissionName, PermissionState>;
  return { name: "Deno", version: deno.version.deno, permissions };
}

function permissionState(name: PermissionName): PermissionState {
  const isGranted = (host?: string): boolean =>
    deno!.permissions.querySync(host === undefined ? { name } : { name, host }).state === "granted";
  if (isGranted()) return "granted";
  return name === "net" && isGranted("127.0.0.1") ? "partial" : "missing";
}

/** The place of the library that was loaded, or null. */
export const loadedLibrary: () => string | null = libraryPlace;
