/**
 * Errors at random in what operations do before they go to the kernel and after they have come
 * back, as bugs of the core would throw them. Each may cost the half, or the call, that it hits.
 *
 * @module
 */
import { AcceptOperation } from "../../src/net/accept/accept_operation.ts";
import { ConnectOperation } from "../../src/net/dial/connect_operation.ts";
import { RecvHalf } from "../../src/net/recv/recv_half.ts";
import { SendHalf } from "../../src/net/send/send_half.ts";
import type { Random } from "../harness.ts";

/** An error that only this module throws. */
export class PlantedError extends Error {}

const RATE = 0.01;

// deno-lint-ignore no-explicit-any
type AnyMethod = (this: any, ...data: any[]) => unknown;

/** Replaces the methods until the result is called. */
export function throwAtRandom(random: Random): () => void {
  const restores: (() => void)[] = [];
  for (const kind of [SendHalf, RecvHalf, AcceptOperation, ConnectOperation]) {
    for (const name of ["prepare", "complete"]) {
      const methods = kind.prototype as unknown as Record<string, AnyMethod>;
      const original = methods[name];
      methods[name] = function (...data) {
        const strikes = random.chance(RATE);
        const before = strikes && random.chance(0.5);
        if (before) throw new PlantedError(`before ${kind.name}.${name}()`);
        const result = original.apply(this, data);
        if (strikes) throw new PlantedError(`after ${kind.name}.${name}()`);
        return result;
      };
      restores.push(() => methods[name] = original);
    }
  }
  return () => restores.forEach((restore) => restore());
}
