/**
 * The runtime's own modules, and a program that has replaced the function that brings them.
 *
 * @module
 */
import * as os from "node:os";
import process from "node:process";
import { builtinModule } from "../../../src/base/builtin_module.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("builtin modules");

test("a function in the place of process.getBuiltinModule is not called", () => {
  const own = Object.getOwnPropertyDescriptor(process, "getBuiltinModule") as PropertyDescriptor;
  const planted = () => assert.unreachable("the planted function was called");
  Object.defineProperty(process, "getBuiltinModule", { value: planted, configurable: true });
  try {
    assert.is(builtinModule<typeof os>("node:os").platform(), os.platform());
  } finally {
    Object.defineProperty(process, "getBuiltinModule", own);
  }
});

test.run();
