/**
 * The stream that TLS gets in the place of a socket, over a socket that takes one write at a time.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { TlsTransport } from "../../src/adapters/tls_transport.ts";
import { assert, suite } from "../harness.ts";

const test = suite("adapters/tls_transport", {}, { timeoutMs: 30_000 });

class OneAtATime extends Duplex {
  readonly _host = null;
  chunks = 0;

  constructor() {
    super({ writableHighWaterMark: 10 });
  }

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks++;
    setTimeout(done, 1);
  }

  _carry(): void {}

  _receive(): void {}
}

test("'drain' is emitted once, when there is room, however many writes find none", async () => {
  const socket = new OneAtATime();
  const transport = new TlsTransport(socket);
  const hadRoom: boolean[] = [];
  transport.on("drain", () => hadRoom.push(!transport.writableNeedDrain));
  for (let i = 0; i < 5; i++) assert.is(transport.write(Buffer.alloc(20)), false);
  await new Promise<void>((resolve) => socket.write("last", () => resolve()));
  await new Promise<void>((resolve) => socket.write("later", () => resolve()));
  assert.equal(hadRoom, [true]);
  assert.is(transport.write(Buffer.alloc(20)), false);
  await once(transport, "drain");
  assert.equal(hadRoom, [true, true]);
});

test("a socket that is destroyed while it is full ends the wait for room", async () => {
  const socket = new OneAtATime();
  const transport = new TlsTransport(socket);
  assert.is(transport.write(Buffer.alloc(20)), false);
  const room = new Promise<void>((resolve) => transport.whenRoom(resolve));
  socket.destroy();
  await room;
});

test.run();
