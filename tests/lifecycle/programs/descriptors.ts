/**
 * Counts its descriptors before and after networks that were used and closed.
 *
 * @module
 */
import { Network } from "../../../mod.ts";
import { connect, expectAlive, settledDescriptors } from "../../contract/fixture.ts";
import { openSignals } from "./open_signals.ts";

openSignals();

const counts: number[] = [];
for (let round = 0; round < 6; round++) {
  // A call that is never served delays the end of a network by the whole budget.
  const network = await Network.start({ shutdownTimeoutMs: 300 });
  const pairs = await Promise.all(Array.from({ length: 20 }, () => connect(network)));
  for (const pair of pairs) await expectAlive(pair);
  void pairs[0].client.sink.send(new Uint8Array(8 << 20)).catch(() => {});
  void pairs[1].client.stream.recv(1, { timeoutMs: 60_000 }).catch(() => {});
  void pairs[2].listener.accept({ timeoutMs: 60_000 }).catch(() => {});
  pairs[0].server.reset();
  await network.close();
  counts.push(await settledDescriptors());
}
console.log(`<counts ${counts.join(" ")}>`);
