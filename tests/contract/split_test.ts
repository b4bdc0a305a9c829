/**
 * The contract over one ring for sends and one for receives.
 *
 * @module
 */
import { contract } from "./network_contract.ts";

contract("io_uring, split rings", { backend: "io_uring", ring: { topology: "split" } }).run();
