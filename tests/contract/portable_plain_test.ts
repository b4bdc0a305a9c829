/**
 * The contract over the streams of `node:net`, which serve where a runtime has no handle of a known
 * form beneath them.
 *
 * @module
 */
import { bytePaths } from "../../src/portable/byte_paths.ts";
import { differing } from "./expectations.ts";
import { contract } from "./network_contract.ts";

const test = contract("portable, streams", { backend: "portable" }, differing());
test.before(() => {
  bytePaths.direct = false;
});
test.after(() => {
  bytePaths.direct = true;
});
test.run();
