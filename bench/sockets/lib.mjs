/**
 * What the programs share: which module their sockets come from, and how they report.
 *
 *   PROGRAM VARIANT [ARGUMENTS]    VARIANT: "ring" is uringnet/net, "native" is node:net
 *
 * @module
 */
import process from "node:process";

export const variant = process.argv[2];

/** The module that the variant names. */
export async function sockets() {
  const module = variant === "ring"
    ? await import("../../src/adapters/net.ts")
    : await import("node:net");
  return module.default;
}

/** Listens on a free port of loopback and tells the runner which. */
export function announce(server) {
  server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
}

/** Runs `operation` for a while, in `lanes` at a time, and prints the count and the CPU time. */
export async function measure(seconds, lanes, operation) {
  const run = async (durationMs) => {
    const end = performance.now() + durationMs;
    let count = 0;
    const lane = async () => {
      while (performance.now() < end) {
        // Not `count += await ...`, which reads the count before the other lanes have added to it.
        const added = await operation();
        count += added;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return count;
  };
  await run(3_000);
  const before = process.cpuUsage();
  const startMs = performance.now();
  const count = await run(seconds * 1_000);
  const { user, system } = process.cpuUsage(before);
  const elapsed = (performance.now() - startMs) / 1_000;
  console.log(
    JSON.stringify({ rate: count / elapsed, user: user / count, system: system / count }),
  );
}
