/**
 * The stress run of `make stress`, reduced: the same program, 64 messages for each client.
 *
 * @module
 */
import { complaint, FULL_RUN, stress, type StressOptions } from "../../bench/stress.ts";
import { assert, suite } from "../harness.ts";

const test = suite("stress", {}, { timeoutMs: 120_000 });

for (const topology of ["shared", "split"] as const) {
  test(`96 clients in lockstep get every byte back (${topology})`, async () => {
    const options: StressOptions = { ...FULL_RUN, messages: 64, topology };
    const result = await stress(options);
    assert.is(complaint(result, options), null);
    assert.is(result.messages, 96 * 64);
  });
}

test("a message that is not a multiple of the read buffer's parts comes back whole", async () => {
  // 70,000 bytes exceed the read buffer, so each receive goes straight into its result.
  const options: StressOptions = { clients: 8, messages: 16, size: 70_000, topology: "shared" };
  assert.is(complaint(await stress(options), options), null);
});

test.run();
