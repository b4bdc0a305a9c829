// nats: the session of nats_session.mjs.
import { connect, StringCodec } from "nats";
import { host, port } from "./lib.mjs";
import { session } from "./nats_session.mjs";

await session(await connect({ servers: `${host}:${port}` }), StringCodec());
