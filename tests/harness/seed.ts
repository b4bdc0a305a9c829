/**
 * The seed of a run: one number from which all random choices of all tests follow.
 *
 * It is printed when a test first asks for it, and again with each failure of a suite that did, so
 * that `URINGNET_SEED=<seed>` repeats the run.
 *
 * @module
 */
import process from "node:process";

const SEED_VARIABLE = "URINGNET_SEED";
let seedInUse: number | null = null;
// The suites that asked for the seed; null is outside of tests. All files of one Bun run share it.
const seedUsers = new Set<string | null>();
let runningSuite: string | null = null;

/** The seed of this run, a u32: from URINGNET_SEED, or a new one. Printed when first asked for. */
export function randomSeed(): number {
  seedUsers.add(runningSuite);
  if (seedInUse !== null) return seedInUse;
  const given = process.env[SEED_VARIABLE];
  const seed = given === undefined || given === ""
    ? crypto.getRandomValues(new Uint32Array(1))[0]
    : Number(given);
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff) {
    throw new RangeError(
      `${SEED_VARIABLE} must be an integer from 0 to 4294967295, got "${given}"`,
    );
  }
  seedInUse = seed;
  console.log(`${SEED_VARIABLE}=${seed}`);
  return seed;
}

/** Says which suite runs from now on, and so asks for the seed; null between suites. */
export function enterSuite(suiteName: string | null): void {
  runningSuite = suiteName;
}

/** `URINGNET_SEED=<seed>` when the choices of this suite depend on it, else null. */
export function seedOf(suiteName: string): string | null {
  if (!seedUsers.has(suiteName) && !seedUsers.has(null)) return null;
  return `${SEED_VARIABLE}=${seedInUse}`;
}
