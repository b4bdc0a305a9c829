/**
 * Types of the functions that the adapters take from Node or from a program, and call or replace.
 *
 * @module
 */

/** A function of which an adapter knows neither parameters nor result. */
// deno-lint-ignore no-explicit-any
export type AnyFunction = (this: any, ...args: any[]) => any;

/** The callback of a stream for the end of a write, of `end` or of a destroy. */
export type Done = (error?: Error | null) => void;
