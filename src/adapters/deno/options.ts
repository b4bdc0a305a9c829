/**
 * The options of `connect` and `listen`, checked as Deno checks them.
 *
 * @module
 */
import { parseIp } from "../../net/address/ip.ts";
import { BACKLOG_DEFAULT, wholeBacklog } from "../whole_backlog.ts";

/** As `Deno.ConnectOptions`. */
export interface ConnectOptions {
  /** 1 to 65,535. */
  port: number;
  /**
   * An address or a name.
   * @default {"127.0.0.1"}
   */
  hostname?: string;
  /**
   * Selects TCP.
   * @default {"tcp"}
   */
  transport?: "tcp";
  /** Ends the attempt. It has no effect once the connection is made. */
  signal?: AbortSignal;
  /**
   * Addresses of both families race each other (RFC 8305).
   * @default {true}
   */
  autoSelectFamily?: boolean;
  /**
   * Milliseconds from one attempt to the next.
   * @default {250}
   */
  autoSelectFamilyAttemptDelay?: number;
}

/** As `Deno.UnixConnectOptions`. */
export interface UnixConnectOptions {
  /** Selects a unix socket. */
  transport: "unix";
  /** The path of the socket file, at most 107 bytes. */
  path: string;
}

/** As `Deno.TcpListenOptions`, and `reusePort`. */
export interface ListenOptions {
  /**
   * 0 to 65,535; 0 takes a free one.
   * @default {0}
   */
  port?: number;
  /**
   * An address, or "localhost".
   * @default {"0.0.0.0"}
   */
  hostname?: string;
  /**
   * Selects TCP.
   * @default {"tcp"}
   */
  transport?: "tcp";
  /**
   * Connections that may wait to be accepted.
   * @default {511}
   */
  tcpBacklog?: number;
  /**
   * Several listeners share the port.
   * @default {false}
   */
  reusePort?: boolean;
}

/** As `Deno.UnixListenOptions`. */
export interface UnixListenOptions {
  /** Selects a unix socket. */
  transport: "unix";
  /** The path of the socket file, at most 107 bytes. */
  path: string;
}

/** Whether a hostname is an IP address, perhaps in brackets, and no name. */
export function isNumeric(hostname: string): boolean {
  return parseIp(hostname.replace(/^\[(.*)\]$/, "$1")) !== null;
}

/** Every field that options of either kind can have, before they are checked. */
export type AnyOptions =
  & Omit<Partial<ConnectOptions & ListenOptions>, "transport">
  & { transport?: unknown; path?: unknown };

/** A port as a number; Deno takes text as well. */
export function checkPort(value: unknown, min: 0 | 1): number {
  if (typeof value !== "number" && typeof value !== "string") {
    throw new TypeError(`Invalid port (expected number): ${String(value)}`);
  }
  const port = Number(value);
  if (!Number.isInteger(port) || value === "") {
    const shown = typeof value === "string" ? `'${value}'` : String(value);
    throw new TypeError(`Invalid port: ${shown}`);
  }
  if (port < min || port > 65_535) throw new RangeError(`Invalid port (out of range): ${port}`);
  return port;
}

/** A hostname that is not empty; `preset` where none is given. */
export function checkHostname(value: unknown, preset: string): string {
  const hostname = String(value ?? preset);
  if (hostname === "") throw new URIError(`invalid empty host: ''`);
  return hostname;
}

/** A path of a unix socket. Throws TypeError, which Deno gives the code "EINVAL". */
export function checkPath(value: unknown): string {
  const text = typeof value === "string" ? value : "";
  const sizeBytes = new TextEncoder().encode(text).length;
  // A NUL at the front makes an abstract name, which may have further ones.
  const isCut = !text.startsWith("\0") && text.includes("\0");
  if (text !== "" && sizeBytes <= 107 && !isCut) return text;
  let reason = "path must be shorter than SUN_LEN";
  if (text === "") reason = "Invalid argument (os error 22)";
  if (isCut) reason = "paths must not contain interior null bytes";
  throw Object.assign(new TypeError(reason), { code: "EINVAL" });
}

/** A backlog is an i32 in Deno, made of any number. */
export function checkBacklog(value: unknown): number {
  const given = value ?? BACKLOG_DEFAULT;
  if (typeof given !== "number") throw new TypeError("expected i32");
  return wholeBacklog(given);
}

/** The kind of socket that the options ask for. */
export function checkTransport(value: unknown): "tcp" | "unix" {
  if (value === undefined || value === null || value === "tcp") return "tcp";
  if (value === "unix") return "unix";
  throw new TypeError(`Unsupported transport: '${String(value)}'`);
}
