/**
 * `peerFinished()`: the peer's FIN or reset is noticed, and no byte is consumed.
 *
 * @module
 */
import type { NetworkConfig } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import {
  connect,
  type ContractSuite,
  expectAlive,
  expectEnd,
  expectText,
  socketPath,
  SOON_MS,
  started,
} from "../fixture.ts";

const ADDRESSES = { TCP: () => "127.0.0.1:0", "a unix socket": () => `unix:${socketPath()}` };
const soon = { timeoutMs: SOON_MS };

export function peerFinishing(test: ContractSuite, config: NetworkConfig): void {
  for (const [name, address] of Object.entries(ADDRESSES)) {
    test(`peerFinished() on ${name} notices FIN behind bytes that stay`, async ({ network }) => {
      await using pair = await connect(network, address());
      const finished = pair.server.peerFinished(soon);
      await pair.client.sink.send("before");
      await expectText(pair.server, "before");
      await pair.client.sink.send("the last bytes");
      await pair.client.sink.close();
      await finished;
      await pair.server.peerFinished(soon);
      await expectText(pair.server, "the last bytes");
      await expectEnd(pair.server);
      await pair.server.peerFinished(soon);
      await pair.server.sink.send("answer");
      await expectText(pair.client, "answer");
    });

    test(`peerFinished() on ${name} notices that the peer is gone`, async ({ network }) => {
      await using pair = await connect(network, address());
      const calls = [1, 2, 3].map(() => pair.server.peerFinished(soon));
      pair.client.reset();
      await Promise.all(calls);
      await pair.server.peerFinished(soon);
    });
  }

  test("peerFinished() waits while the peer sends, after a half close", async ({ network }) => {
    await using pair = await connect(network);
    await pair.server.sink.close();
    await expectEnd(pair.client);
    await pair.client.sink.send("more");
    const error = { code: "Timeout", operation: "peerFinished" } as const;
    await assert.rejects(pair.server.peerFinished({ timeoutMs: 20 }), error);
    await expectText(pair.server, "more");
  });

  test("peerFinished() ends with its budget or signal, later ones go on", async ({ network }) => {
    await using pair = await connect(network);
    const abort = new AbortController();
    const reason = new Error("enough");
    const aborted = pair.server.peerFinished({ signal: abort.signal });
    const timeout = pair.server.peerFinished({ timeoutMs: 1 });
    const patient = pair.server.peerFinished(soon);
    await assert.rejects(timeout, { code: "Timeout" });
    abort.abort(reason);
    assert.is(await aborted.catch((thrown) => thrown), reason);
    await expectAlive(pair);
    const later = pair.server.peerFinished(soon);
    await pair.client.sink.close();
    await Promise.all([patient, later]);
  });

  test("the end of this side fails peerFinished() with Closed, also later", async () => {
    await using own = await started(config);
    for (const end of ["close", "reset"] as const) {
      await using pair = await connect(own.network);
      const pending = pair.server.peerFinished();
      const failed = assert.rejects(pending, { code: "Closed", operation: "peerFinished" });
      await pair.server[end]();
      await failed;
      await pair.server.close();
      await assert.rejects(pair.server.peerFinished(), { code: "Closed" });
      await pair.client.peerFinished(soon);
      await pair.client.close();
      await assert.rejects(pair.client.peerFinished(), { code: "Closed" });
    }
  });

  test("peerFinished() refuses wrong options", async ({ network }) => {
    await using pair = await connect(network);
    const refused = (options: unknown) => pair.server.peerFinished(options as undefined);
    await assert.rejects(refused(null), TypeError);
    await assert.rejects(refused({ timeoutMs: -1 }), RangeError);
    await assert.rejects(refused({ timeout: 1 }), TypeError);
    await expectAlive(pair);
  });
}
