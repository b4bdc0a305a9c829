/**
 * Prints what the ring carried when the program ends, on a line of its own.
 *
 * @module
 */
import process from "node:process";
import { netNetwork } from "../../../src/adapters/net.ts";

process.on("exit", () => {
  const { inboundConnections, outboundConnections, inboundBytes, outboundBytes } = netNetwork()
    .stats();
  const counts = [inboundConnections, outboundConnections, inboundBytes, outboundBytes];
  console.log(`ring ${counts.join(" ")}`);
});
