/**
 * Prints what the library carried when the program ends, and over which backend, on a line of its
 * own.
 *
 * @module
 */
import process from "node:process";
import { netNetwork } from "../../../src/adapters/net.ts";

process.on("exit", () => {
  const network = netNetwork();
  const { inboundConnections, outboundConnections, inboundBytes, outboundBytes } = network.stats();
  const counts = [inboundConnections, outboundConnections, inboundBytes, outboundBytes];
  console.log(`carried by ${network.backend}: ${counts.join(" ")}`);
});
