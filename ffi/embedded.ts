/**
 * The copies of the shared library that are carried along, by machine.
 *
 * @module
 */
import { aarch64 } from "./embedded/aarch64.ts";
import { x86_64 } from "./embedded/x86_64.ts";

/** A library for Linux and glibc as text, and where it came from; see `scripts/build.sh`. */
export interface EmbeddedLibrary {
  readonly soname: string;
  /** The sources' SHA-256, the same for all copies. */
  readonly sourceHash: string;
  /** Unix seconds. */
  readonly builtAt: number;
  readonly sizeBytes: number;
  /** Of the library, hexadecimal. */
  readonly sha256: string;
  /** The library, in lines. */
  readonly base64: string;
}

/** By the name that `uname -m` prints. */
export const EMBEDDED: Readonly<Record<string, EmbeddedLibrary>> = { aarch64, x86_64 };
