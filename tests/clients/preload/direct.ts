/**
 * Gives a program `uringnet/net` to hand to its client: the program is written for it.
 *
 * @module
 */
import net from "../../../src/adapters/net.ts";

(globalThis as Record<symbol, unknown>)[Symbol.for("test.net")] = net;
