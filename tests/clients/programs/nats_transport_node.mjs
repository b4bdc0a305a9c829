// @nats-io/transport-node: the session of nats_session.mjs.
import { connect } from "@nats-io/transport-node";
import { host, port } from "./lib.mjs";
import { session } from "./nats_session.mjs";

const decoder = new TextDecoder();
const codec = { encode: (text) => text, decode: (data) => decoder.decode(data) };
await session(await connect({ servers: `${host}:${port}` }), codec);
