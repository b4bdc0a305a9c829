/**
 * Checks of arguments as in `node:net`: the accepted values, and the error of a wrong value.
 *
 * @module
 */
import { nodeError } from "./node_error.ts";
import type { Callback } from "./socket_arguments.ts";

const INT32_MAX = 2_147_483_647;

function callback(value: unknown, name: string): Callback {
  if (typeof value === "function") return value as Callback;
  throw nodeError.argumentType(name, "function", value);
}

function text(value: unknown, name: string): string {
  if (typeof value === "string") return value;
  throw nodeError.argumentType(name, "string", value);
}

function number(value: unknown, name: string): number {
  if (typeof value === "number") return value;
  throw nodeError.argumentType(name, "number", value);
}

function flag(value: unknown, name: string): boolean {
  if (typeof value === "boolean") return value;
  throw nodeError.argumentType(name, "boolean", value);
}

function integer(value: unknown, name: string, min = -INT32_MAX - 1, max = INT32_MAX): number {
  const given = number(value, name);
  if (!Number.isInteger(given)) throw nodeError.outOfRange(name, "an integer", value);
  if (given < min || given > max) {
    throw nodeError.outOfRange(name, `>= ${min} && <= ${max}`, value);
  }
  return given;
}

/** Milliseconds of a timer. A time that is too long becomes the longest that a timer can have. */
function duration(value: unknown, name: string): number {
  const given = number(value, name);
  if (given < 0 || !Number.isFinite(given)) {
    throw nodeError.outOfRange(name, "a non-negative finite number", value);
  }
  return Math.min(given, INT32_MAX);
}

/** A port as a number, or as the text of one. */
function port(value: unknown, name: string): number {
  const usable = (typeof value === "number" || typeof value === "string") &&
    !(typeof value === "string" && value.trim() === "");
  const given = usable ? Number(value) : NaN;
  // Also false for values that are not numbers, and for fractions.
  if (given === given >>> 0 && given <= 0xffff) return given;
  throw nodeError.badPort(name, value);
}

function signal(value: unknown, name: string): AbortSignal {
  if (value !== null && typeof value === "object" && "aborted" in value) {
    return value as AbortSignal;
  }
  throw nodeError.argumentType(name, "AbortSignal", value);
}

/** A BlockList, recognised by its methods, so that any version of the class will do. */
export interface Blocker {
  check(address: string, family?: "ipv4" | "ipv6"): boolean;
}

function blockList(value: unknown, name: string): Blocker {
  if (value !== null && typeof value === "object" && "check" in value) return value as Blocker;
  throw nodeError.argumentType(name, "net.BlockList", value);
}

export const validate = {
  blockList,
  callback,
  duration,
  flag,
  integer,
  number,
  port,
  signal,
  text,
};
