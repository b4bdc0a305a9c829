// ldapts against slapd: entries at once, a search in pages, 1 MB in one attribute; plain and with TLS
// that begins on the same connection.
import { Attribute, Change, Client } from "ldapts";
import { Buffer } from "node:buffer";
import { hash, host, port, say, text } from "./lib.mjs";

const BASE = "dc=example";
const COUNT = 200;

/** What the server is asked for, below an entry of its own. */
async function work(client, name) {
  await client.bind(`cn=admin,${BASE}`, "wrong").catch((error) => say(error.name));
  await client.bind(`cn=admin,${BASE}`, "secret");
  const unit = `ou=${name},${BASE}`;
  await client.add(unit, { objectClass: ["organizationalUnit"], ou: name });
  const names = Array.from({ length: COUNT }, (_, index) => `cn=${index},${unit}`);
  await Promise.all(names.map((one) => {
    return client.add(one, { objectClass: ["inetOrgPerson"], sn: "s", description: text(1_000) });
  }));
  const filter = "(objectClass=inetOrgPerson)";
  for (const paged of [false, { pageSize: 50 }]) {
    const { searchEntries } = await client.search(unit, { scope: "sub", filter, paged });
    say(
      searchEntries.length,
      hash(searchEntries.map((one) => one.cn + one.description).sort().join()),
    );
  }
  const modification = new Attribute({ type: "jpegPhoto", values: [Buffer.alloc(1_000_000, 7)] });
  await client.modify(names[0], new Change({ operation: "replace", modification }));
  const asBytes = { scope: "base", explicitBufferAttributes: ["jpegPhoto"] };
  const { searchEntries: [{ jpegPhoto }] } = await client.search(names[0], asBytes);
  say(jpegPhoto.length, await client.compare(names[0], "sn", "s"));
  await Promise.all(names.map((one) => client.del(one)));
  await client.del(unit);
}

for (const withTls of [false, true]) {
  const client = new Client({ url: `ldap://${host}:${port}`, timeout: 10_000 });
  // Its certificate is its own: what is checked elsewhere is not checked here.
  if (withTls) await client.startTLS({ rejectUnauthorized: false });
  else {
    await client.bind(`cn=admin,${BASE}`, "secret");
    const root = { objectClass: ["dcObject", "organization"], o: "o", dc: "example" };
    // There already, where the program ran before.
    await client.add(BASE, root).catch((error) => {
      if (error.name !== "AlreadyExistsError") throw error;
    });
  }
  await work(client, withTls ? "secured" : "plain");
  await client.unbind();
  say(client.isConnected);
}
