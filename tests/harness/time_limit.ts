/**
 * How long a test may take: limits that are stretched on slow machines, and a wait that ends.
 *
 * An emulated machine is slower than most by a factor that cannot be measured from inside. Its
 * environment names the factor in URINGNET_TEST_SLOWNESS, and every limit is multiplied by it.
 *
 * @module
 */
import process from "node:process";

const SLOWNESS_VARIABLE = "URINGNET_TEST_SLOWNESS";
const SLOWNESS_MAX = 1_000;
const slowness = readSlowness();

/**
 * Stretches a limit for something that should take far less. Limits of tests are stretched without
 * this. Not for times that are part of a claim.
 */
export function patience(limitMs: number): number {
  return limitMs * slowness;
}

/** How many times slower than usual this machine may be. */
function readSlowness(): number {
  const given = process.env[SLOWNESS_VARIABLE];
  if (given === undefined || given === "") return 1;
  const factor = Number(given);
  if (!(factor >= 1 && factor <= SLOWNESS_MAX)) {
    throw new RangeError(`${SLOWNESS_VARIABLE} must be 1 to ${SLOWNESS_MAX}, got "${given}"`);
  }
  return factor;
}

/** Waits for a function for a limited time. One that hangs is left behind: nothing can stop it. */
export async function within(
  timeoutMs: number,
  name: string,
  body: () => Promise<void> | void,
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Timed out after ${timeoutMs} ms: ${name}`)),
      timeoutMs,
    );
  });
  try {
    await Promise.race([body(), limit]);
  } finally {
    clearTimeout(timer);
  }
}
