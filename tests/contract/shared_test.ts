/**
 * The contract over one ring with two lanes.
 *
 * @module
 */
import { contract } from "./network_contract.ts";

contract("io_uring, shared ring", { backend: "io_uring", ring: { topology: "shared" } }).run();
