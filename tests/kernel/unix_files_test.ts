/**
 * Several processes that start at once, each of which finds the same stale socket files.
 *
 * @module
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { Network } from "../../mod.ts";
import { assert, suite } from "../harness.ts";
import { endChildren, start } from "../lifecycle/child.ts";
import { leaveStaleFile } from "../support/raw_unix.ts";

const test = suite("kernel, unix files", {}, { timeoutMs: 60_000 });

test.after(() => endChildren());

const PROCESS_COUNT = 4;
const PATH_COUNT = 40;
/** All are up by then, where the machine is not overloaded: if not, they meet less often. */
const START_UP_MS = 3_000;

test("of several processes that take a stale file at once, one listens there", async () => {
  const folder = mkdtempSync("/tmp/uringnet-claim-");
  const paths = Array.from({ length: PATH_COUNT }, (_, i) => `${folder}/${i}`);
  for (const path of paths) leaveStaleFile(path);
  const args = [String(Date.now() + START_UP_MS), ...paths];
  const programs = Array.from({ length: PROCESS_COUNT }, () => start("claim", { args }));
  const results = await Promise.all(programs.map(async (program) => {
    const [, text] = await program.line(/<results ([^>]*)>/);
    return text.split(" ");
  }));
  await using network = await Network.start();
  for (const [index, path] of paths.entries()) {
    const ends = results.map((each) => each[index]).sort();
    const lost = Array(PROCESS_COUNT - 1).fill("EADDRINUSE");
    assert.equal(ends, [...lost, "bound"], `path ${index}: ${ends.join(", ")}`);
    await (await network.dial({ path })).close();
  }
  assert.is(readdirSync(folder).length, PATH_COUNT, "nothing else is left");
  for (const program of programs) program.kill();
  await Promise.all(programs.map(({ ended }) => ended));

  // The kernel may still have the sockets of the killed processes.
  for (const [index, path] of paths.entries()) {
    const listener = await network.bind({ path }, { unlinkStale: true });
    await listener.close();
    assert.is(readdirSync(folder).length, PATH_COUNT - 1 - index);
  }
  rmSync(folder, { recursive: true });
});

test.run();
