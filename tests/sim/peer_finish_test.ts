/**
 * Waiting for the peer's end on a fake kernel: what races the poll, and what fails it.
 *
 * @module
 */
import { LIMITS } from "../../src/base/limits.ts";
import { assert, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";
import { outcomeOf, withPair, withSeeds } from "../support/pair.ts";

const test = suite("sim/peer_finish");

function abortable(): { abort: (reason: unknown) => void; signal: AbortSignal } {
  const controller = new AbortController();
  return { abort: (reason) => controller.abort(reason), signal: controller.signal };
}

test("one poll serves all calls, and the next call after them polls again", async () => {
  await withPair({}, async ({ client, server, serverSocket, sim }) => {
    const polls = () => [...serverSocket.ops].filter(({ kind }) => kind === "poll").length;
    const calls = [5, 10].map((timeoutMs) => outcomeOf(server.peerFinished({ timeoutMs })));
    await sim.sleep(1);
    assert.is(polls(), 1);
    const ends = await Promise.all(calls);
    assert.ok(ends.every((end) => "error" in end));
    const later = server.peerFinished();
    await client.sink.close();
    await later;
    await sim.sleep(10);
    assert.is(polls(), 0, "polls that are left");
  });
});

test("calls that replace aborted ones wait on, however many there were", async () => {
  await withPair({}, async ({ client, server, sim }) => {
    const begin = () => {
      const { abort, signal } = abortable();
      return { abort, end: outcomeOf(server.peerFinished({ signal })) };
    };
    let call = begin();
    for (let i = 0; i < 2 * LIMITS.retryCountMax; i++) {
      const last = call;
      await sim.sleep(1);
      // The cancel of the poll is still on its way when the next call begins.
      last.abort("left");
      call = begin();
      assert.equal(await last.end, { error: "left" });
    }
    await client.sink.close();
    assert.equal(await call.end, { value: undefined });
  });
});

test("a poll races bytes, FIN and resets, and loses neither a byte nor a call", async () => {
  const faults = { late: 0.5, reordered: 0.5, deferred: 0.3, again: 0.3, memory: 0.2 };
  await withSeeds(60, { faults }, async ({ client, server, sim }) => {
    const finished = outcomeOf(server.peerFinished());
    const length = sim.random.int(1, 20_000);
    const sent = client.sink.send(contentOf(1, length));
    const received = server.stream.recv(length);
    await sent;
    assert.bytesEqual((await received).toUint8Array(), contentOf(1, length));
    if (sim.random.chance(0.5)) await client.sink.close();
    else client.reset();
    assert.ok("value" in await finished);
  });
});

test("the signal hears of a reset, however often the poll reported FIN before", async () => {
  await withPair({ faults: { multishotEnds: 1 } }, async ({ client, server, sim }) => {
    const { signal } = server;
    await client.sink.close();
    const pauseMs = LIMITS.backOffLastMs + 1;
    for (let i = 0; i < 2 * LIMITS.retryCountMax; i++) await sim.sleep(pauseMs);
    assert.ok(!signal.aborted, "one half is open");
    client.reset();
    await sim.sleep(2 * pauseMs);
    assert.ok(signal.aborted);
  });
});

test("close() and reset() fail pending calls with Closed, whatever the cancel meets", async () => {
  const faults = { late: 0.5, cancelLoses: 0.5, cancelInterrupts: 0.3 };
  await withSeeds(60, { faults }, async ({ client, server, sim }) => {
    const call = outcomeOf(server.peerFinished());
    if (sim.random.chance(0.5)) await sim.sleep(sim.random.float());
    if (sim.random.chance(0.3)) await client.sink.close();
    if (sim.random.chance(0.5)) await server.close();
    else server.reset();
    const end = await call;
    if ("error" in end) assert.is((end.error as { code: string }).code, "Closed");
    const after = await outcomeOf(server.peerFinished());
    assert.is("error" in after && (after.error as { code: string }).code, "Closed");
  });
});

test.run();
