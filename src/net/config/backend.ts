/**
 * The choice of a network's backend, and the options that the portable backend does not have.
 *
 *   named by the configuration, else by URINGNET_BACKEND, else "auto"
 *   auto: io_uring -- cannot be used --> portable, and `onFallback` gets the reason
 *
 * @module
 */
import { shown } from "../../base/check.ts";
import { ERRNO } from "../../base/errno.ts";
import { NetworkError, type NetworkErrorCode } from "../../base/network_error.ts";
import type { ResolvedConfig } from "./config.ts";

export type Backend = "io_uring" | "portable";

/** The environment variable that names a backend for networks that name none. */
export const BACKEND_VARIABLE = "URINGNET_BACKEND";

/** The values of the variable. */
export const BACKENDS = ["auto", "io_uring", "portable"] as const;

/** Whether the variable may have this value. */
export function isBackend(name: string): name is typeof BACKENDS[number] {
  return (BACKENDS as readonly string[]).includes(name);
}

/** The backend that was asked for. Throws RangeError for a variable that names no backend. */
export function askedBackend(
  config: ResolvedConfig["backend"],
  variable: string | undefined,
): ResolvedConfig["backend"] {
  if (config !== "auto" || variable === undefined || variable === "") return config;
  if (isBackend(variable)) return variable;
  throw new RangeError(
    `Cannot use environment variable ${BACKEND_VARIABLE}: wanted one of ` +
      `${BACKENDS.join(", ")}, given ${shown(variable)}`,
  );
}

/** The fields of a configuration that `node:net` cannot set, with the reason; null: none. */
export function portableRefusal({ keepAlive, soLinger }: ResolvedConfig): string | null {
  if (keepAlive?.intervalSeconds !== undefined) return keepAliveRefusal("intervalSeconds");
  if (keepAlive?.count !== undefined) return keepAliveRefusal("count");
  if (soLinger !== null && soLinger > 0) {
    return "soLinger above 0 cannot be set through node:net; use 0, or null";
  }
  return null;
}

function keepAliveRefusal(field: string): string {
  return `keepAlive.${field} cannot be set through node:net, which knows idleSeconds only`;
}

/** The error of a network that the portable backend cannot carry. */
export function portableError(refusal: string, fallback: string | null): NetworkError {
  const why = fallback === null
    ? ""
    : `; io_uring could set this, but cannot be used here: ${fallback}`;
  return new NetworkError(
    `Cannot start the network: on the portable backend, ${refusal}${why}`,
    { code: "Unsupported", operation: "start", errno: ERRNO.EOPNOTSUPP },
  );
}

/** The line for stderr when "auto" has chosen the portable backend. */
export function fallbackNotice(reason: string): string {
  const why = reason.replaceAll(/\s*\n\s*/g, "; ");
  return `uringnet: the portable backend (node:net) is used, because io_uring cannot be: ${why}. ` +
    'backend: "portable" chooses it without this line';
}

/** The code of a failed call: an option that the backend does not have is "Unsupported". */
export function refusalCode(errno: number, otherwise: NetworkErrorCode): NetworkErrorCode {
  return errno === ERRNO.EOPNOTSUPP ? "Unsupported" : otherwise;
}
