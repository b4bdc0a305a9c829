import { NetworkError } from "../../../src/base/network_error.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("NetworkError");

test("NetworkError carries code, errno name, operation, bytesDone, endOfStream and cause", () => {
  const cause = new Error("below");
  const error = new NetworkError("Cannot send 5 bytes: broken pipe (EPIPE)", {
    code: "SendFailed",
    operation: "send",
    errno: 32,
    bytesDone: 3,
    endOfStream: true,
    cause,
  });
  assert.instance(error, Error);
  assert.is(error.name, "NetworkError");
  assert.is(error.code, "SendFailed");
  assert.is(error.errno, "EPIPE");
  assert.is(error.operation, "send");
  assert.is(error.bytesDone, 3);
  assert.is(error.endOfStream, true);
  assert.is(error.cause, cause);
  assert.is(String(error), "NetworkError: Cannot send 5 bytes: broken pipe (EPIPE)");
});

test("a field without a value is null, zero, false or undefined, never missing", () => {
  const error = new NetworkError("Cannot alloc", { code: "PoolExhausted", operation: "alloc" });
  assert.is(error.errno, null);
  assert.is(error.bytesDone, 0);
  assert.is(error.endOfStream, false);
  assert.is(error.cause, undefined);
  for (const field of ["code", "errno", "operation", "bytesDone", "endOfStream", "cause"]) {
    assert.ok(Object.hasOwn(error, field), field);
  }
  assert.not(Object.keys(error).includes("cause"), "as Error's own");
});

test("an errno of zero or null is no errno, and an unknown one keeps its number", () => {
  const make = (errno: number | null) =>
    new NetworkError("x", { code: "RecvFailed", operation: "recv", errno }).errno;
  assert.equal([make(0), make(null), make(512)], [null, null, "E512"]);
});

test("no field comes from a polluted Object.prototype", () => {
  const polluted: Record<string, unknown> = Object.prototype as never;
  const fields = { errno: 32, bytesDone: 3, endOfStream: true, cause: "below", errors: [5] };
  for (const [name, value] of Object.entries(fields)) polluted[name] = value;
  try {
    const error = new NetworkError("Cannot alloc", { code: "PoolExhausted", operation: "alloc" });
    const { errno, bytesDone, endOfStream, cause, errors } = error;
    assert.equal([errno, bytesDone, endOfStream, cause, errors.length], [
      null,
      0,
      false,
      undefined,
      0,
    ]);
  } finally {
    for (const name of Object.keys(fields)) delete polluted[name];
  }
});

test.run();
