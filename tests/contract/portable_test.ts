/**
 * The contract over `node:net`. The differences are in `expectations.ts`.
 *
 * @module
 */
import { differing } from "./expectations.ts";
import { contract } from "./network_contract.ts";

contract("portable", { backend: "portable" }, differing()).run();
