/**
 * Promises that tests settle themselves.
 *
 * @module
 */

/** A promise that is settled from outside. */
export interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T | PromiseLike<T>): void;
  reject(reason?: unknown): void;
}

/** Makes a promise to settle later. */
export function deferred<T = void>(): Deferred<T> {
  return Promise.withResolvers<T>();
}
