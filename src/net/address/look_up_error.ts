/**
 * What a bind or a dial is told whose address cannot be found.
 *
 * @module
 */
import { NetworkError } from "../../base/network_error.ts";
import { InterfaceError } from "./interface_index.ts";

const WHAT = {
  BindFailed: { attempt: "Cannot bind", operation: "bind" },
  ConnectionFailed: { attempt: "Cannot connect to", operation: "dial" },
} as const;

/** `name` is the address as it was given, `cause` what the lookup failed with. */
export function lookUpError(code: keyof typeof WHAT, name: string, cause: unknown): NetworkError {
  const { attempt, operation } = WHAT[code];
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new NetworkError(`${attempt} ${name}: name lookup failed: ${reason}`, {
    code,
    operation,
    errno: cause instanceof InterfaceError ? cause.errno : null,
    cause,
  });
}
