/**
 * How much of something random a test plays: little in the usual run, as much as wanted with a
 * variable of the environment.
 *
 * @module
 */
import process from "node:process";

/** `usual`, unless the variable asks for more, which may be 1 to `max`. */
export function raised(usual: number, variable: string, max: number): number {
  const given = process.env[variable];
  if (given === undefined || given === "") return usual;
  const asked = Number(given);
  if (!Number.isInteger(asked) || asked < 1 || asked > max) {
    throw new RangeError(`${variable} must be 1 to ${max}, got "${given}"`);
  }
  return Math.max(asked, usual);
}
