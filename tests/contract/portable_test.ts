/**
 * The contract over `node:net`. What differs is in `expectations.ts`.
 *
 * @module
 */
import { differing } from "./expectations.ts";
import { contract } from "./network_contract.ts";

contract("portable", { backend: "portable" }, differing()).run();
