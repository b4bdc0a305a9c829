/**
 * A process without descriptors to spare: accepting pauses, costs nothing, and recovers.
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { assert, deferred, suite } from "../harness.ts";
import { endChildren, start } from "../lifecycle/child.ts";

const test = suite("kernel, few descriptors", {}, { timeoutMs: 30_000 });

test.after(() => endChildren());

test("accept survives EMFILE without spinning, and goes on afterwards", async () => {
  const total = 150;
  const program = start("few_descriptors", { args: [String(total)], descriptorsMax: 100 });
  const port = Number((await program.line(/<port (\d+)>/))[1]);
  const sockets: Socket[] = [];
  const closed = Array.from({ length: total }, (_, i) => {
    const done = deferred();
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("connect", () => socket.write(`hello ${i}`));
    socket.on("error", () => {});
    socket.on("close", () => done.resolve());
    socket.resume();
    sockets.push(socket);
    return done.promise;
  });
  const [, limit, enters] = await program.line(/<limit (\d+) enters (\d+)>/);
  assert.ok(Number(limit) > 10 && Number(limit) < total, `accepted ${limit} before the limit`);
  // Half a second of attempts, 1 s apart at most; each wakes, looks for some microseconds, sleeps.
  assert.ok(Number(enters) < 100, `waiting entered the kernel ${enters} times`);
  const { code, output } = await program.ended;
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
  assert.is(code, 0, output);
  assert.match(output, `<accepted ${total}>`);
});

test.run();
