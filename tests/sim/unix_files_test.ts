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
      "comes and goes",
    );
    assert.is(looks, LIMITS.bindFileCountMax);
    // Who may not ask is told so.
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
