/**
 * The options of a server, checked.
 *
 * @module
 */
import { check } from "../base/check.ts";
import { intrinsics } from "../base/intrinsics.ts";
import { LIMITS } from "../base/limits.ts";
import type { Connection } from "../net/connection/connection.ts";

/** The options of {@link serve}. Every field is optional. */
export interface ServeOptions {
  /**
   * Connections at a time, 1 to 1,048,576. Further peers wait in the backlog.
   * @default {Infinity}
   */
  maxConnections?: number;
  /**
   * How long draining lets handlers finish, in milliseconds. Null for no limit.
   * @default {shutdownTimeoutMs}
   */
  drainTimeoutMs?: number | null;
  /**
   * A connection without traffic for this many milliseconds is reset. Null for never.
   * @default {null}
   */
  idleTimeoutMs?: number | null;
  /**
   * Called for each failed handler and each idle connection, with the connection, and for each
   * failed accept, with null. Its own failures are written to stderr. The default writes a line to
   * stderr.
   * @default {undefined}
   */
  onError?: (error: unknown, connection: Connection | null) => void;
  /**
   * An abort closes the server.
   * @default {undefined}
   */
  signal?: AbortSignal;
}

const CONNECTIONS_MAX = 1_048_576;

/** The checked form. */
export interface CheckedServeOptions {
  readonly maxConnections: number;
  /** Undefined stands for the network's budget. */
  readonly drainTimeoutMs: number | null | undefined;
  readonly idleTimeoutMs: number | null;
  readonly onError: ServeOptions["onError"];
  readonly signal: AbortSignal | undefined;
}

/** Checks the options of a server. Throws TypeError or RangeError. */
export function checkServeOptions(options: unknown): CheckedServeOptions {
  const known = ["maxConnections", "drainTimeoutMs", "idleTimeoutMs", "onError", "signal"];
  const given = check.options("options", options, known);
  const { maxConnections = Infinity, drainTimeoutMs, idleTimeoutMs = null, onError, signal } =
    given;
  if (maxConnections !== Infinity) {
    check.integer("options.maxConnections", maxConnections, 1, CONNECTIONS_MAX);
  }
  if (onError !== undefined && typeof onError !== "function") {
    check.fail("options.onError", "a function", onError);
  }
  if (signal !== undefined && !intrinsics.isSignal(signal)) {
    check.fail("options.signal", "an AbortSignal", signal);
  }
  return {
    maxConnections: maxConnections as number,
    drainTimeoutMs: checkDrainTimeout("options.drainTimeoutMs", drainTimeoutMs),
    idleTimeoutMs: check.integerOrNull(
      "options.idleTimeoutMs",
      idleTimeoutMs,
      1,
      LIMITS.timeoutMsMax,
    ),
    onError: onError as ServeOptions["onError"],
    signal: signal as AbortSignal | undefined,
  };
}

/** Undefined where the server's own budget applies. Throws TypeError or RangeError. */
export function checkDrainTimeout(field: string, value: unknown): number | null | undefined {
  if (value === undefined) return undefined;
  return check.integerOrNull(field, value, 0, LIMITS.timeoutMsMax);
}
