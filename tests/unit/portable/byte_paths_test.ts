import type { AddressInfo, Socket } from "node:net";
import { runtimeNet } from "../../../src/base/runtime_net.ts";
import { PlainPath } from "../../../src/portable/byte_path.ts";
import { bytePath, bytePaths } from "../../../src/portable/byte_paths.ts";
import { assert, bytesEqual, suite } from "../../harness.ts";

const test = suite("byte paths");

/** A socket that has these members and does nothing. */
function socketOf(members: object): Socket {
  return { on() {}, push: () => true, resume() {}, pause() {}, ...members } as unknown as Socket;
}

const ignore = () => {};

test("a socket of this runtime has a direct way", async () => {
  const { createServer, connect } = runtimeNet();
  const server = createServer();
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const connected = Promise.withResolvers<void>();
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.once("error", connected.reject);
  socket.once("connect", () => {
    const path = bytePath(socket, ignore);
    bytePaths.direct = false;
    const plain = bytePath(socket, ignore);
    bytePaths.direct = true;
    assert.not(path instanceof PlainPath, "the handle of this runtime has another form");
    assert.ok(plain instanceof PlainPath);
    connected.resolve();
  });
  try {
    await connected.promise;
  } finally {
    socket.destroy();
    server.close();
  }
});

test("a handle of another form means the plain way", () => {
  const write = () => 1;
  const forms: object[] = [
    {},
    { _handle: null },
    { _handle: undefined },
    { _handle: {} },
    { _handle: { write: 1 } },
    { _handle: { write }, push: undefined },
    { _handle: { onread: ignore, readStart: ignore, readStop: ignore, writeBuffer: ignore } },
  ];
  for (const [at, form] of forms.entries()) {
    assert.ok(bytePath(socketOf(form), ignore) instanceof PlainPath, `form ${at}`);
  }
});

test("direct: the kernel takes a part, and a failed handle takes nothing", () => {
  let answer = 3;
  const offered: number[][] = [];
  const _handle = {
    write(_bytes: Uint8Array, from: number, count: number): number {
      offered.push([from, count]);
      return answer;
    },
  };
  const socket = socketOf({ _handle });
  const path = bytePath(socket, ignore);
  const memory = new Uint8Array(16);
  assert.is(path.offer(memory, 4, 8), 3);
  answer = -32;
  assert.is(path.offer(memory, 7, 5), 0);
  assert.equal(offered, [[4, 8], [7, 5]]);
  (socket as unknown as { _handle: null })._handle = null;
  assert.is(path.offer(memory, 0, 1), 0, "the runtime has closed the socket");
});

test("direct: chunks come by push, a pause is its result, the end goes to the stream", () => {
  const ends: unknown[] = [];
  const socket = socketOf({
    _handle: { write: () => 0 },
    push(this: unknown, chunk: unknown): boolean {
      ends.push(chunk);
      return this === socket;
    },
  });
  const came: Uint8Array[] = [];
  const path = bytePath(socket, (bytes) => came.push(bytes));
  const chunk = Uint8Array.of(1, 2, 3);
  assert.is(socket.push(chunk), true);
  path.pause();
  assert.is(socket.push(chunk), false);
  path.resume();
  assert.is(socket.push(chunk), true);
  assert.is(socket.push(null), true, "called on the socket");
  assert.equal(ends, [null]);
  assert.is(came.length, 3);
  bytesEqual(came[2], chunk);
});

test("plain: a window is held until its own callback, not that of an earlier one", () => {
  const callbacks: (() => void)[] = [];
  const members = {
    writableLength: 0,
    errored: null,
    write: (_bytes: Uint8Array, callback: () => void) => void callbacks.push(callback),
  };
  const socket = socketOf(members);
  const path = new PlainPath(socket);
  let written = 0;
  const onWritten = () => void written++;
  assert.is(path.send(new Uint8Array(1), onWritten), true, "the kernel took it at once");
  Object.assign(socket, { writableLength: 1 });
  assert.is(path.send(new Uint8Array(1), onWritten), false);
  callbacks[0]();
  assert.is(written, 0);
  callbacks[1]();
  assert.is(written, 1);
});

test.run();
