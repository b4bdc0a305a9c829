/**
 * Preloaded: this system claims to be the one that the environment variable `FAKE_PLATFORM` names.
 *
 * @module
 */
import process from "node:process";

const value = process.env.FAKE_PLATFORM;
if (value === undefined || value === "") throw new Error("FAKE_PLATFORM names no system");
Object.defineProperty(process, "platform", { value });
if (process.platform !== value) throw new Error("the platform cannot be faked here");
