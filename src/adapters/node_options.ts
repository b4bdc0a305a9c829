/**
 * Options of Node's command line that this process was given through the variable `NODE_OPTIONS`.
 *
 * @module
 */
import { environment } from "./environment.ts";

/** The options in the variable, in their order. */
export function nodeOptions(): string[] {
  const text = environment("NODE_OPTIONS") ?? "";
  return text.split(/\s+/).filter((option) => option !== "");
}
