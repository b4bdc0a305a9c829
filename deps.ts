/**
 * The only file that names an npm package. `mod.ts` does not import it: a program that passes a
 * registry to `Network.start` has its own copy of prom-client, of any version. This file is for
 * programs that have none yet.
 *
 * @module
 */

/** Loads prom-client, from the package's dependencies in Bun, and from npm in Deno. */
export async function loadPromClient(): Promise<typeof import("npm:prom-client@15.1.3")> {
  // deno-lint-ignore no-explicit-any
  const loaded: any = "Bun" in globalThis
    ? await import("prom-client")
    // The bundler of Bun refuses a name that it does not resolve, unless a failure is handled.
    : await import("npm:prom-client@15.1.3").catch((error: unknown) => {
      throw error;
    });
  return loaded.default ?? loaded;
}
