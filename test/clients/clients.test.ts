// Clients as their users have them, with nothing changed but the base URL and the key: each does what it does with the
// upstream itself. The table in docs/clients.md is made of this list.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { send, startGateway, type TestGateway, until } from "../support/gateway.ts";
import type { Access, ClientUnderTest } from "./client.ts";
import { clients } from "./clients.ts";
import { formatTable } from "./table.ts";

const model = "glm-4.5-flash";
const fewPieces = "say something [frames=6] [reasoning=1]";

/** A key of each kind, made by the user itself. */
async function makeKeys({ url, logIn }: TestGateway): Promise<{ plain: string; signing: string }> {
  const token = await logIn();
  const make = async (more: object) => {
    const { status, json, text } = await send(`${url}/me/keys`, { token, body: { name: "a tool", ...more } });
    assert.equal(status, 201, text);
    return (json as { secret: string }).secret;
  };
  return { plain: await make({}), signing: await make({ signs_tokens: true }) };
}

function toAccess(
  { signsJwt }: ClientUnderTest,
  { url }: TestGateway,
  keys: Awaited<ReturnType<typeof makeKeys>>,
): Access {
  return { url, key: signsJwt ? keys.signing : keys.plain, model };
}

describe("clients with their defaults", () => {
  let gateway: TestGateway;
  let keys: Awaited<ReturnType<typeof makeKeys>>;

  before(async () => {
    gateway = await startGateway();
    keys = await makeKeys(gateway);
  });
  after(() => gateway.stop());

  for (const client of clients) {
    describe(client.name, () => {
      let access: Access;

      before(() => {
        access = toAccess(client, gateway, keys);
      });

      it("gets a whole answer", async () => {
        assert.ok((await client.whole(access, fewPieces)).length > 5);
      });

      it("gets a stream, piece by piece", async () => {
        const pieces = (await client.stream(access, fewPieces)).filter((piece) => piece !== "");
        assert.ok(pieces.length >= 5, `${pieces.length} pieces`);
      });

      it("gets a tool's name and arguments", { skip: client.tools === null }, async () => {
        const used = await client.tools?.(access, "what does get_weather say of Beijing? [reasoning=1]");
        assert.equal(used?.name, "get_weather");
        assert.equal(typeof (used?.input as { city?: unknown } | undefined)?.city, "string");
      });

      it("sees an error with its status", async () => {
        const error = await client.whole({ ...access, model: "no-such-model" }, "x").then(
          () => assert.fail("it did not fail"),
          (reason: unknown) => reason,
        );
        assert.equal(client.findStatus(error), 400, String(error));
      });

      it("leaves a stream, and the upstream knows at once", { skip: client.abort === null }, async () => {
        const before = gateway.simulator.report().abortCount;
        await client.abort?.(access, "a long story [frames=2000] [reasoning=1] [delay=10]");
        await until("the upstream sees it leave", () => gateway.simulator.report().abortCount === before + 1);
        await until("its place is free", () => gateway.app.snapshot().running === 0);
      });
    });
  }
});

describe("clients whose call is refused for the moment", () => {
  let gateway: TestGateway;
  let keys: Awaited<ReturnType<typeof makeKeys>>;

  before(async () => {
    gateway = await startGateway({ rateLimit: { concurrencyMax: 1, queueCapacity: 0, abortLingerMs: 0 } });
    keys = await makeKeys(gateway);
  });
  after(() => gateway.stop());

  for (const client of clients) {
    it(`${client.name} ${client.retries ? "asks again and is served" : "tells its user"}`, async () => {
      const access = toAccess(client, gateway, keys);
      const body = { model, messages: [{ role: "user", content: "[frames=60] [delay=10]" }], stream: true };
      const occupant = send(`${gateway.url}/chat/completions`, { token: keys.plain, body });
      await until("the only place is taken", () => gateway.app.snapshot().running === 1);
      const refusedBefore = gateway.callLines().filter(({ outcome }) => outcome === "refused").length;
      const asked = client.whole(access, fewPieces).then(
        (text) => text.length > 5,
        () => false,
      );
      assert.equal(await asked, client.retries);
      await occupant;
      const refused = gateway.callLines().filter(({ outcome }) => outcome === "refused").length;
      assert.ok(refused > refusedBefore, "it was refused at first");
      await until("all is free", () => gateway.app.snapshot().running === 0);
    });
  }
});

describe("docs/clients.md", () => {
  it("has the table that these tests make", () => {
    const text = readFileSync(new URL("../../docs/clients.md", import.meta.url), "utf8");
    assert.ok(text.includes(formatTable(clients)), "run: npm run docs:clients");
  });
});
