/**
 * Makes one call of a method throw, as a bug in the core would.
 *
 * @module
 */

/** Before anything of the method was done, or behind all of it. */
export type ThrowPlace = "before" | "after";

// deno-lint-ignore no-explicit-any
type AnyMethod = (this: any, ...data: any[]) => unknown;

export interface PlantedThrow extends Disposable {
  readonly error: Error;
  readonly struck: boolean;
}

/** Throws in the first call whose `this` is chosen; disposing of it puts the method back. */
export function plantThrow(
  target: object,
  name: string,
  place: ThrowPlace,
  chosen: (self: unknown) => boolean = () => true,
): PlantedThrow {
  const methods = target as Record<string, AnyMethod>;
  const original = methods[name];
  const error = new Error(`planted ${place} ${name}()`);
  let struck = false;
  methods[name] = function (...data) {
    const strikes = !struck && chosen(this);
    if (strikes) struck = true;
    if (strikes && place === "before") throw error;
    const result = original.apply(this, data);
    if (strikes) throw error;
    return result;
  };
  return {
    error,
    get struck() {
      return struck;
    },
    [Symbol.dispose]: () => void (methods[name] = original),
  };
}
