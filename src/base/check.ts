/**
 * Refuses wrong values at once. Every message names the field, the wanted range and the value
 * given.
 *
 * @module
 */
import { foreignKind } from "./brand.ts";

/** A value as it should stand in a message: short, quoted when it is text. */
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

function kindOf(value: object): string {
  return (value.constructor as { name?: string } | undefined)?.name || "Object";
}

function fail(field: string, wanted: string, value: unknown, wrongType: boolean): never {
  const message = `Cannot use "${field}": wanted ${wanted}, given ${shown(value)}`;
  throw wrongType ? new TypeError(message) : new RangeError(message);
}

/** The checks. Each returns the value, so that a table of fields reads like one. */
export const check = {
  fail(field: string, wanted: string, value: unknown): never {
    fail(field, wanted, value, true);
  },

  integer(field: string, value: unknown, min: number, max: number): number {
    // The message is only made when it is needed: this runs for every receive.
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
      return value as number;
    }
    return fail(field, `an integer from ${min} to ${max}`, value, typeof value !== "number");
  },

  integerOrNull(field: string, value: unknown, min: number, max: number): number | null {
    if (value === null) return null;
    if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
      return value as number;
    }
    return fail(
      field,
      `null or an integer from ${min} to ${max}`,
      value,
      typeof value !== "number",
    );
  },

  boolean(field: string, value: unknown): boolean {
    if (typeof value !== "boolean") fail(field, "true or false", value, true);
    return value;
  },

  text(field: string, value: unknown): string {
    if (typeof value !== "string") fail(field, "a string", value, true);
    return value;
  },

  oneOf<T extends string>(field: string, value: unknown, choices: readonly T[]): T {
    const wanted = choices.map((choice) => `"${choice}"`).join(" or ");
    if (typeof value !== "string") fail(field, wanted, value, true);
    if (!choices.includes(value as T)) fail(field, wanted, value, false);
    return value as T;
  },

  /** A plain options object; undefined stands for one without fields. */
  options(field: string, value: unknown, known: readonly string[]): Record<string, unknown> {
    if (value === undefined) return {};
    if (
      value === null || typeof value !== "object" || Array.isArray(value) ||
      foreignKind(value) !== null
    ) {
      fail(field, "an object", value, true);
    }
    for (const key of Object.keys(value)) {
      if (!known.includes(key)) check.unknown(field, key, known);
    }
    return value as Record<string, unknown>;
  },

  /** Refuses a field that such options do not have. */
  unknown(field: string, key: string, known: readonly string[]): never {
    const wanted = `only ${known.map((name) => `"${name}"`).join(", ")}`;
    throw new TypeError(`Cannot use "${field}.${key}": wanted ${wanted}, given "${key}"`);
  },
};
