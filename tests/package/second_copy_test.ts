/**
 * Two copies of the module in one program: objects of the one given to the other are refused with
 * a message that says so, and both work beside each other.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert, suite } from "../harness.ts";
import { ROOT } from "./program.ts";
import { copyCheckout, emptyDirectory, run, tool } from "./tools.ts";

const PROGRAM = `import * as own from "${ROOT}mod.ts";
import * as other from "./copy/mod.ts";
import { toDuplex } from "./copy/src/adapters/duplex.ts";

const pool = new other.BufferPool();
const network = await own.Network.start();
const listener = await network.bind("127.0.0.1:0");
const address = listener.localAddress;
const [client, server] = await Promise.all([network.dial(address), listener.accept()]);
const secondNetwork = await other.Network.start();
const second = await secondNetwork.dial(address);
const others = new other.IoBufs("text");
const attempts = {
  sendIoBuf: () => client.sink.send(other.IoBuf.from("text")),
  sendIoBufMut: () => client.sink.send(pool.alloc(4)),
  sendIoBufs: () => client.sink.send(others),
  sendArray: () => client.sink.send([other.IoBuf.from("text")]),
  append: () => new own.IoBufs(other.IoBuf.from("text")),
  from: () => own.IoBuf.from(other.IoBuf.from("text")),
  startPool: () => own.Network.start({ pool }),
  startConfig: () => own.Network.start({ pool: other.BufferPoolConfig.forNetwork() }),
  poolConfig: () => new own.BufferPool(other.BufferPoolConfig.forNetwork()),
  serve: () => other.serve(listener, () => {}),
  activated: () => other.activatedListeners(network),
  copyConnection: () => other.copy(server, server),
  copyStream: () => other.copy(server.stream, client),
  copySink: () => own.copy(server, second.sink),
  toDuplex: () => toDuplex(server),
};
for (const [name, attempt] of Object.entries(attempts)) {
  try {
    await attempt();
    console.log(name, "was accepted");
  } catch (error) {
    console.log(name, error.name, error.message);
  }
}
console.log(others.released, others.length);
await client.sink.send(others.toUint8Array());
console.log((await server.stream.recv(4)).text());
await secondNetwork.close();
await network.close();
const third = await other.Network.start({ pool });
await third.close();
console.log("closed");
`;

const COPY = "of another copy of uringnet in this program; import one version from one place " +
  "everywhere";
const SENDABLE = "a Uint8Array, ArrayBuffer, string, IoBuf, IoBufMut, IoBufs or ";

const test = suite("second copy", {}, { timeoutMs: 60_000 });

for (const name of ["bun", "deno"] as const) {
  test(`an object of another copy is refused, and the message says so (${name})`, async () => {
    using directory = emptyDirectory();
    copyCheckout(join(directory.path, "copy"));
    writeFileSync(join(directory.path, "program.ts"), PROGRAM);
    const flags = name === "bun" ? [] : ["run", "--no-prompt", "--allow-ffi", "--no-check"];
    const ran = await run([tool(name), ...flags, "program.ts"], { cwd: directory.path });
    assert.is(ran.code, 0, ran.errors);
    const lines = ran.output.trim().split("\n");
    const refused: [string, string][] = [
      ["sendIoBuf", "an IoBuf"],
      ["sendIoBufMut", "an IoBufMut"],
      ["sendIoBufs", "an IoBufs"],
      ["sendArray", "an IoBuf"],
      ["append", "an IoBuf"],
      ["from", "an IoBuf"],
      ["startPool", "a BufferPool"],
      ["startConfig", "a BufferPoolConfig"],
      ["poolConfig", "a BufferPoolConfig"],
      ["serve", "a Listener"],
      ["activated", "a Network"],
      ["copyConnection", "a Connection"],
      ["copyStream", "a Stream"],
      ["copySink", "a Sink"],
      ["toDuplex", "a Connection"],
    ];
    for (const [attempt, given] of refused) {
      const line = lines.shift() ?? "";
      assert.ok(line.startsWith(`${attempt} TypeError Cannot use "`), line);
      assert.ok(line.endsWith(`, given ${given} ${COPY}`), line);
      if (attempt.startsWith("send")) assert.match(line, SENDABLE);
    }
    assert.equal(lines, ["false 4", "text", "closed"]);
  });
}

test.run();
