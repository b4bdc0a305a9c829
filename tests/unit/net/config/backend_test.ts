import { NetworkError } from "../../../../src/base/network_error.ts";
import {
  askedBackend,
  fallbackNotice,
  portableError,
  portableRefusal,
  refusalCode,
} from "../../../../src/net/config/backend.ts";
import { resolveConfig } from "../../../../src/net/config/config.ts";
import { ERRNO } from "../../../../src/base/errno.ts";
import { assert, suite } from "../../../harness.ts";
import { thrown } from "../../../support/thrown.ts";

const test = suite("backend");

test("the variable decides where the configuration says auto, and nowhere else", () => {
  assert.is(askedBackend("auto", undefined), "auto");
  assert.is(askedBackend("auto", ""), "auto");
  assert.is(askedBackend("auto", "portable"), "portable");
  assert.is(askedBackend("io_uring", "portable"), "io_uring");
  assert.is(askedBackend("portable", "nonsense"), "portable");
  const error = thrown(() => askedBackend("auto", "Portable"), RangeError, "URINGNET_BACKEND");
  assert.match(error.message, 'wanted one of auto, io_uring, portable, given "Portable"');
});

test("options that node:net cannot set are refused, and others are not", () => {
  const refusal = (config: Record<string, unknown>) => portableRefusal(resolveConfig(config));
  assert.is(refusal({}), null);
  assert.is(refusal({ soLinger: 0, keepAlive: { idleSeconds: 10 }, tcpNoDelay: false }), null);
  assert.match(refusal({ soLinger: 1 }) ?? "", "soLinger");
  assert.match(refusal({ keepAlive: { intervalSeconds: 1 } }) ?? "", "keepAlive.intervalSeconds");
  assert.match(refusal({ keepAlive: { count: 1 } }) ?? "", "keepAlive.count");
});

test("the refusal also names the reason why io_uring cannot be used", () => {
  const error = portableError("x cannot be set", "a filter");
  assert.instance(error, NetworkError);
  assert.equal([error.code, error.operation], ["Unsupported", "start"]);
  assert.match(
    error.message,
    "x cannot be set; io_uring could set this, but cannot be used here: a filter",
  );
  assert.not.match(portableError("x", null).message, "io_uring");
});

test("the notice is one line, whatever the reason", () => {
  const notice = fallbackNotice("Cannot load\n  one: no\n  two: no");
  assert.not.match(notice, "\n");
  assert.match(notice, "Cannot load; one: no; two: no");
});

test("an option that a backend does not have is Unsupported", () => {
  assert.is(refusalCode(ERRNO.EOPNOTSUPP, "BindFailed"), "Unsupported");
  assert.is(refusalCode(ERRNO.EADDRINUSE, "BindFailed"), "BindFailed");
});

test.run();
