/**
 * One long chain of `await`s must not keep the runtime from its timers: on loopback nearly every
 * call is done by the time that the kernel returns, so nothing ever waits.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { Network } from "../../mod.ts";
import { LIMITS } from "../../src/base/limits.ts";
import { closeChecked, connect, pattern } from "../contract/fixture.ts";
import { assert, suite } from "../harness.ts";

/** Timers get their chance after each 16 turns at the latest; these rounds take 1,000 or more. */
const ROUNDS_MAX = 1_000;

/** Messages whose handlers hold the thread for longer than turns may follow each other. */
const LONG_HANDLER_COUNT = 24;

function holdThread(ms: number): void {
  for (const endMs = performance.now() + ms; performance.now() < endMs;);
}

const test = suite("fairness");

/** How many rounds of `step` it takes until a timer fires that is due at once. */
async function roundsUntilTimer(step: () => Promise<void>): Promise<number> {
  let fired = false;
  const timer = setTimeout(() => fired = true, 0);
  let rounds = 0;
  while (!fired && rounds < ROUNDS_MAX) {
    await step();
    rounds++;
  }
  clearTimeout(timer);
  return rounds;
}

for (const topology of ["shared", "split"] as const) {
  for (const spin of [undefined, false] as const) {
    const title = `${topology}, ${spin === false ? "not " : ""}spinning`;
    const ring = { topology, ...spin === undefined ? {} : { spin } };

    test(`connections that come and go leave timers their chance (${title})`, async () => {
      const network = await Network.start({ ring });
      const listener = await network.bind("127.0.0.1:0");
      const message = pattern(4_096);
      const rounds = await roundsUntilTimer(async () => {
        const [client, server] = await Promise.all([
          network.dial(listener.localAddress),
          listener.accept(),
        ]);
        await client.sink.send(message);
        (await server.stream.recv(message.length)).release();
        await Promise.all([client.close(), server.close()]);
      });
      await listener.close();
      await closeChecked(network);
      assert.ok(rounds < ROUNDS_MAX, "the timer never fired");
    });

    test(`immediates run between messages whose handlers are long (${title})`, async () => {
      const network = await Network.start({ ring });
      const { client, server, listener } = await connect(network);
      await listener.close();
      let rounds = 0;
      let counts = true;
      const round = () => {
        rounds++;
        if (counts) setImmediate(round);
      };
      setImmediate(round);
      for (let i = 0; i < LONG_HANDLER_COUNT; i++) {
        await client.sink.send("x");
        (await server.stream.recv(1)).release();
        holdThread(LIMITS.chainedTurnsMs * 1.5);
      }
      counts = false;
      await Promise.all([client.close(), server.close()]);
      await closeChecked(network);
      // A handler may end where its turn's time has just begun.
      const wanted = LONG_HANDLER_COUNT / 2;
      assert.ok(rounds >= wanted, `wanted ${wanted} rounds of the event loop, saw ${rounds}`);
    });

    test(`sends, one awaited after the other, leave timers their chance (${title})`, async () => {
      const network = await Network.start({ ring });
      const { client, server, listener } = await connect(network);
      await listener.close();
      const rounds = await roundsUntilTimer(() => client.sink.send("x"));
      await Promise.all([client.close(), server.close()]);
      await closeChecked(network);
      assert.ok(rounds < ROUNDS_MAX, "the timer never fired");
    });
  }
}

test.run();
