/**
 * A polluted `Object.prototype`.
 *
 * @module
 */

/** Runs `body` while `Object.prototype` has these fields. */
export async function polluted(
  fields: Record<string, unknown>,
  body: () => Promise<void>,
): Promise<void> {
  for (const [name, value] of Object.entries(fields)) {
    Object.defineProperty(Object.prototype, name, { value, configurable: true, writable: true });
  }
  try {
    await body();
  } finally {
    for (const name of Object.keys(fields)) Reflect.deleteProperty(Object.prototype, name);
  }
}
