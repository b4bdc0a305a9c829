/**
 * Random programs over the core on the real kernel, on both backends: `core_program.ts` in
 * `tests/support` says what they do and what must hold.
 *
 * @module
 */
import { assert, patience, randomSeed, suite } from "../harness.ts";
import { within } from "../harness/time_limit.ts";
import { CoreProgram } from "../support/core_program.ts";
import { randomMs } from "../support/random_time.ts";

const PLAY_MS = randomMs(1_500);
const PROGRAM_MS_MAX = patience(15_000);

const test = suite("random calls", {}, { timeoutMs: 30_000 + PLAY_MS });

async function play(program: CoreProgram): Promise<void> {
  try {
    await within(PROGRAM_MS_MAX, "the program", () => program.play());
  } catch (cause) {
    throw new Error(`URINGNET_SEED=${program.seed}: ${cause}\n${program}`, { cause });
  }
}

for (const backend of ["io_uring", "portable"] as const) {
  test(`calls of all kinds keep every byte, however they end (${backend})`, async () => {
    const endMs = performance.now() + PLAY_MS;
    let count = 0;
    while (count === 0 || performance.now() < endMs) {
      await play(new CoreProgram((randomSeed() + count) >>> 0, backend));
      count++;
    }
    assert.ok(count > 0);
  });
}

test.run();
