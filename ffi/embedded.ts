/**
 * The embedded copies of the shared library, by machine.
 *
 * @module
 */
import { aarch64 } from "./embedded/aarch64.ts";
import { x86_64 } from "./embedded/x86_64.ts";

/** A library for Linux as text, and its origin: see `scripts/build.sh`. */
export interface EmbeddedLibrary {
  readonly soname: string;
  /** The sources' SHA-256, the same for all copies. */
  readonly sourceHash: string;
  /** Unix seconds. */
  readonly builtAt: number;
  readonly sizeBytes: number;
  /** The SHA-256 of the library, hexadecimal. */
  readonly sha256: string;
  /**
   * The library, in lines. A function, because V8 keeps the text of a field in the code cache of
   * the module, which every start of Deno reads.
   */
  readonly base64: () => string;
}

/** The copies by the name that `uname -m` prints. */
export const EMBEDDED: Readonly<Record<string, EmbeddedLibrary>> = { aarch64, x86_64 };
