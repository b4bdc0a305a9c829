/**
 * How many seeds a scenario of the simulator is played with: few in the tests, as many as wanted
 * with URINGNET_SIM_SEEDS, as `make fuzz` does.
 *
 * @module
 */
import process from "node:process";

const VARIABLE = "URINGNET_SIM_SEEDS";
const SEEDS_MAX = 1_000_000;

/** `usual`, unless the environment asks for more. */
export function seedCount(usual: number): number {
  const given = process.env[VARIABLE];
  if (given === undefined || given === "") return usual;
  const count = Number(given);
  if (!Number.isInteger(count) || count < 1 || count > SEEDS_MAX) {
    throw new RangeError(`${VARIABLE} must be 1 to ${SEEDS_MAX}, got "${given}"`);
  }
  return Math.max(count, usual);
}
