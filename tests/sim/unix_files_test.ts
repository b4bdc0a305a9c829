/**
 * Socket files on a fake kernel: what a bind that goes wrong leaves, and who is faster.
 *
 * @module
 */
import { ERRNO } from "../../src/base/errno.ts";
import { LIMITS } from "../../src/base/limits.ts";
import { assert, suite } from "../harness.ts";
import { Sim } from "../support/sim.ts";

const test = suite("sim/unix files");

const PATH = "/run/a";

async function play(body: (sim: Sim) => Promise<void>): Promise<void> {
  const sim = new Sim({});
  await sim.run(() => body(sim));
  sim.checkNothingLeft();
}

test("a listener makes a file, and removes it", async () => {
  await play(async (sim) => {
    const { files } = sim.kernel;
    const network = sim.open();
    const listener = await network.bind({ path: PATH });
    assert.ok(files.has(PATH));
    const [client, server] = await Promise.all([network.dial({ path: PATH }), listener.accept()]);
    await client.sink.send("hello");
    assert.is((await server.stream.recv(5)).text(), "hello");
    await listener.close();
    assert.not(files.has(PATH));
    await assert.rejects(network.dial({ path: PATH }), { errno: "ENOENT" });
    await network.close();
  });
});

test("a path is free once close was called, while connections live", async () => {
  await play(async (sim) => {
    const network = sim.open();
    const listener = await network.bind({ path: PATH });
    const [client, server] = await Promise.all([network.dial({ path: PATH }), listener.accept()]);
    const waiting = assert.rejects(listener.accept(), { code: "Closed" });
    // The accept operation is with the kernel now.
    await sim.sleep(1);
    const closing = listener.close();
    assert.not(sim.kernel.files.has(PATH));
    const next = await network.bind({ path: PATH });
    await Promise.all([closing, waiting]);
    assert.ok(sim.kernel.files.has(PATH));
    await Promise.all([client.close(), server.close(), next.close()]);
    await network.close();
  });
});

test("a bind that fails after the file was made leaves neither file nor descriptor", async () => {
  for (const call of ["listen", "address"] as const) {
    await play(async (sim) => {
      const network = sim.open();
      const [ring] = sim.native.rings;
      const original = ring[call];
      Object.defineProperty(ring, call, { value: () => -ERRNO.ENOMEM, configurable: true });
      await assert.rejects(network.bind({ path: PATH }), { code: "BindFailed", errno: "ENOMEM" });
      assert.is(sim.kernel.sockets.size, 0);
      assert.not(sim.kernel.files.has(PATH));
      Object.defineProperty(ring, call, { value: original });
      await (await network.bind({ path: PATH })).close();
      await network.close();
    });
  }
});

test("unlinkStale waits for the socket of a process that ends just now", async () => {
  await play(async (sim) => {
    const network = sim.open();
    const first = await network.bind({ path: PATH });
    const startMs = sim.host.now();
    const binding = network.bind({ path: PATH }, { unlinkStale: true });
    await sim.sleep(LIMITS.fileReleaseMs / 2);
    // Its file is left, as that of a killed process is.
    const [ring] = sim.native.rings;
    ring.removeFile = () => 0;
    await first.close();
    const second = await binding;
    const waitedMs = sim.host.now() - startMs;
    assert.ok(waitedMs < LIMITS.fileReleaseMs, `${waitedMs} ms`);
    await second.close();
    await network.close();
  });
});

test("unlinkStale gives up on a socket that stays, in time", async () => {
  await play(async (sim) => {
    const network = sim.open();
    const listener = await network.bind({ path: PATH });
    const startMs = sim.host.now();
    const refused = network.bind({ path: PATH }, { unlinkStale: true });
    assert.match((await assert.rejects(refused)).message, "a socket is bound to the file");
    const waitedMs = sim.host.now() - startMs;
    assert.ok(waitedMs >= LIMITS.fileReleaseMs, `${waitedMs} ms`);
    assert.ok(waitedMs < LIMITS.fileReleaseMs * 2, `${waitedMs} ms`);
    await listener.close();
    await network.close();
  });
});

for (const shutdownTimeoutMs of [0, 5_000]) {
  test(`a network that closes (${shutdownTimeoutMs} ms) ends such a wait`, async () => {
    await play(async (sim) => {
      const other = sim.open();
      const listener = await other.bind({ path: PATH });
      const network = sim.open({ shutdownTimeoutMs });
      const refused = assert.rejects(network.bind({ path: PATH }, { unlinkStale: true }), {
        code: "Closed",
        operation: "bind",
      });
      await sim.sleep(30);
      const startMs = sim.host.now();
      await network.close();
      await refused;
      const waitedMs = sim.host.now() - startMs;
      assert.ok(waitedMs <= 2 * LIMITS.backOffLastMs, `${waitedMs} ms`);
      await listener.close();
      await other.close();
    });
  });
}

test("a stale file that another process replaces first is its own", async () => {
  await play(async (sim) => {
    const { files } = sim.kernel;
    const network = sim.open();
    const first = await network.bind({ path: PATH });
    const [ring] = sim.native.rings;
    const staleFile = ring.staleFile.bind(ring);
    // Gone when it is looked at, and there again.
    let looks = 0;
    ring.staleFile = (file, remove) => ++looks === 1 ? -ERRNO.ENOENT : staleFile(file, remove);
    const refused = network.bind({ path: PATH }, { unlinkStale: true });
    assert.match(
      (await assert.rejects(refused, { errno: "EADDRINUSE" })).message,
      "a socket is bound",
    );
    assert.is(looks, 2);
    // For ever: that ends too.
    looks = 0;
    ring.staleFile = () => (looks++, -ERRNO.ENOENT);
    const restless = network.bind({ path: PATH }, { unlinkStale: true });
    assert.match(
      (await assert.rejects(restless, { errno: "EADDRINUSE" })).message,
      "keep replacing the file",
    );
    assert.is(looks, 1 + LIMITS.bindFileCountMax);
    // A process without the permission gets the error.
    ring.staleFile = () => -ERRNO.EACCES;
    const closed = network.bind({ path: PATH }, { unlinkStale: true });
    assert.match(
      (await assert.rejects(closed, { errno: "EADDRINUSE" })).message,
      "permission denied",
    );
    ring.staleFile = staleFile;
    files.unlink(PATH);
    files.write(PATH);
    await first.close();
    assert.ok(files.has(PATH), "a file of another kind stays");
    await network.close();
  });
});

test.run();
