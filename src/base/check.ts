/**
 * Checks that refuse wrong values at once. Every message names the field, the wanted range and the
 * value given.
 *
 * Values come from callers: each value is read once, through intrinsics (`intrinsics.ts`).
 *
 * @module
 */
import { foreignKind } from "./brand.ts";
import { intrinsics } from "./intrinsics.ts";

/** The form of a value in a message: short, and quoted when the value is text. */
export function shown(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  }
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return `${value}n`;
  if (value === null || typeof value !== "object") return String(value);
  const foreign = foreignKind(value);
  if (foreign !== null) {
    return `${article(foreign)} ${foreign} of another copy of uringnet in this program; import ` +
      "one version from one place everywhere";
  }
  return Array.isArray(value) ? `an array of ${value.length}` : `an object (${kindOf(value)})`;
}

function article(noun: string): string {
  return /^[AEIO]/.test(noun) ? "an" : "a";
}

/** The class of an object, for messages. A getter that throws must not replace the real error. */
function kindOf(value: object): string {
  try {
    const name: unknown = (value.constructor as { name?: unknown } | undefined)?.name;
    return typeof name === "string" && name !== "" ? name : "Object";
  } catch {
    return "Object";
  }
}

type InputError = typeof TypeError | typeof RangeError;

function fail(field: string, wanted: string, value: unknown, Failure: InputError): never {
  throw new Failure(`Cannot use "${field}": wanted ${wanted}, given ${shown(value)}`);
}

/** The class of the error for a value that is no number, or a number that is not wanted. */
function numberFailure(value: unknown): InputError {
  return typeof value === "number" ? RangeError : TypeError;
}

/**
 * The checks. Each check returns the value, so that a list of fields reads like a table. Integers
 * are returned without the sign of -0, which the foreign calls of Deno refuse.
 */
export const check = {
  fail(field: string, wanted: string, value: unknown): never {
    fail(field, wanted, value, TypeError);
  },

  integer(field: string, value: unknown, min: number, max: number): number {
    // The message is made only for a failure: this check runs for every receive.
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
      return (value as number) + 0;
    }
    return fail(field, `an integer from ${min} to ${max}`, value, numberFailure(value));
  },

  integerOrNull(field: string, value: unknown, min: number, max: number): number | null {
    if (value === null) return null;
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
      return (value as number) + 0;
    }
    const wanted = `null or an integer from ${min} to ${max}`;
    return fail(field, wanted, value, numberFailure(value));
  },

  boolean(field: string, value: unknown): boolean {
    if (typeof value !== "boolean") fail(field, "true or false", value, TypeError);
    return value;
  },

  text(field: string, value: unknown): string {
    if (typeof value !== "string") fail(field, "a string", value, TypeError);
    return value;
  },

  oneOf<T extends string>(field: string, value: unknown, choices: readonly T[]): T {
    const wanted = choices.map((choice) => `"${choice}"`).join(" or ");
    if (typeof value !== "string") fail(field, wanted, value, TypeError);
    if (!choices.includes(value as T)) fail(field, wanted, value, RangeError);
    return value as T;
  },

  /**
   * The length of a Uint8Array. Throws TypeError for any other value, such as an object that only
   * inherits from Uint8Array, and for an array whose memory was detached, transferred or shrunk.
   */
  bytes(field: string, wanted: string, value: unknown): number {
    let length = -1;
    try {
      if (value instanceof Uint8Array) length = intrinsics.lengthOf(value);
    } catch {
      // A proxy, or an object with the prototype of an array: refused below.
    }
    if (length > 0) return length;
    if (length < 0) fail(field, wanted, value, TypeError);
    if (intrinsics.isGone(value as Uint8Array)) {
      throw new TypeError(
        `Cannot use "${field}": wanted ${wanted}, ` +
          "given one that was detached, transferred or shrunk",
      );
    }
    return 0;
  },

  /**
   * The fields of an options object, each read once, in a new object without a prototype. Undefined
   * stands for an object without fields. The object's own fields and the fields of its class count;
   * a property of `Object.prototype` does not.
   */
  options(field: string, value: unknown, known: readonly string[]): Record<string, unknown> {
    const fields = Object.create(null) as Record<string, unknown>;
    if (value === undefined) return fields;
    if (
      value === null || typeof value !== "object" || Array.isArray(value) ||
      foreignKind(value) !== null
    ) {
      fail(field, "an object", value, TypeError);
    }
    for (const key of Object.keys(value)) {
      if (!known.includes(key)) check.unknown(field, key, known);
    }
    for (const name of known) fields[name] = intrinsics.optionOf(value, name);
    return fields;
  },

  /** Refuses an unknown field. */
  unknown(field: string, key: string, known: readonly string[]): never {
    const wanted = `only ${known.map((name) => `"${name}"`).join(", ")}`;
    throw new TypeError(`Cannot use "${field}.${key}": wanted ${wanted}, given "${key}"`);
  },
};
