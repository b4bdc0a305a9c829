/**
 * The poll behind `peerFinished()` fails: briefly, for good, and too late to be cancelled.
 *
 * @module
 */
import { COUNT } from "../../src/base/meter.ts";
import { assert } from "../harness.ts";
import { faultSuite, withPair } from "./fixture.ts";
import { table } from "./table.ts";

const test = faultSuite("a poll for the peer's end");

const soon = { timeoutMs: 5_000 };

for (const errno of ["EAGAIN", "EINTR", "ENOMEM"]) {
  test(`peerFinished() polls again after ${errno}`, async ({ healthy }) => {
    await withPair(healthy, {}, async ({ faulty, client, server }) => {
      table.reset({ on: "poll", errno, repeat: 5 });
      const finished = client.peerFinished(soon);
      await server.sink.close();
      await finished;
      assert.is(table.acted(), 5);
      assert.is(faulty.context.meter.counts[COUNT.retriesRecv], 5);
    });
  });
}

test("another errno fails the pending calls, and a later one polls again", async ({ healthy }) => {
  await withPair(healthy, {}, async ({ client, server }) => {
    table.reset({ on: "poll", errno: "EPERM", repeat: 1 });
    const error = { code: "RecvFailed", errno: "EPERM", operation: "peerFinished" } as const;
    const calls = [client.peerFinished(soon), client.peerFinished(soon)];
    await Promise.all(calls.map((call) => assert.rejects(call, error)));
    const later = client.peerFinished(soon);
    await server.sink.send("alive");
    assert.is((await client.stream.recv(5)).text(), "alive");
    await server.sink.close();
    await later;
  });
});

test("close() waits for a poll whose completion comes late", async ({ healthy }) => {
  await withPair(healthy, {}, async ({ client }) => {
    table.reset({ on: "poll", delayTurns: 5 });
    const failed = assert.rejects(client.peerFinished(), { code: "Closed" });
    await client.close();
    await failed;
    assert.is(table.held(), 0);
  });
});

test.run();
