import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { describe, it } from "node:test";
import { CompactSign, EncryptJWT, SignJWT } from "jose";
import { createManualClock } from "../../test/support/manual-clock.ts";
import { Refusal } from "../base/refusal.ts";
import { createSessionTokens } from "./session-tokens.ts";

const secret = "a-test-secret-of-more-than-32-bytes!";
const now = Date.UTC(2026, 10, 23) / 1_000;

const mark = "AAAAAAAAAAA";
const sid = `00000000-0000-4000-8000-000000000000.${mark}`;

function setUp(tokenSeconds = 60, sessionSeconds = 600, consoleIdleSeconds = 300) {
  const clock = createManualClock();
  return { clock, tokens: createSessionTokens(secret, { tokenSeconds, consoleIdleSeconds, sessionSeconds }, clock) };
}

function claimsOf(sessionToken: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(sessionToken.split(".")[1] as string, "base64url").toString());
}

const encode = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A token with any header and payload, signed as HS256 with any secret. */
function forge(header: unknown, payload: unknown, key = secret): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
}

const goodHeader = { typ: "JWT", alg: "HS256" };
const goodClaims = { sub: "ada", iat: now, exp: now + 60, jti: "j", sid, auth_time: now };
const goodToken = forge(goodHeader, goodClaims);

async function outcomeOf(token: string, tokens = setUp().tokens): Promise<string> {
  try {
    return (await tokens.verify(token)).userId;
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error.reason;
  }
}

describe("createSessionTokens()", () => {
  it("issues an HS256 token with exactly six claims that it accepts until it expires", async () => {
    const { clock, tokens } = setUp();
    const { sessionToken, expiresInSeconds } = await tokens.issue("ada", mark, 0);
    assert.equal(expiresInSeconds, 60);
    const header = Buffer.from(sessionToken.split(".")[0] as string, "base64url").toString();
    assert.equal(header, '{"typ":"JWT","alg":"HS256"}');
    const claims = claimsOf(sessionToken);
    assert.deepEqual(Object.keys(claims).sort(), ["auth_time", "exp", "iat", "jti", "sid", "sub"]);
    assert.deepEqual([claims.sub, claims.iat, claims.exp, claims.auth_time], ["ada", now, now + 60, now]);
    await clock.advance(59_999);
    assert.equal(await outcomeOf(sessionToken, tokens), "ada");
    await clock.advance(1);
    assert.equal(await outcomeOf(sessionToken, tokens), "token_expired");
  });

  it("gives every token and every session an id of its own", async () => {
    const { tokens } = setUp();
    const issued = await Promise.all([tokens.issue("ada", mark, 0), tokens.issue("ada", mark, 0)]);
    const [first, second] = issued.map(({ sessionToken }) => claimsOf(sessionToken));
    assert.notEqual(first?.jti, second?.jti);
    assert.notEqual(first?.sid, second?.sid);
  });

  it("gives the mark back that a session was issued with, whoever's token it is", async () => {
    const { tokens } = setUp();
    const { sessionToken } = await tokens.issue("ada", tokens.markOf("a secret"), 0);
    const { mark } = await tokens.verify(sessionToken);
    assert.equal(mark, tokens.markOf("a secret"));
    assert.notEqual(mark, tokens.markOf("another secret"));
    const others = createSessionTokens(
      `${secret}!`,
      { tokenSeconds: 60, consoleIdleSeconds: 28_800, sessionSeconds: 600 },
      createManualClock(),
    );
    assert.notEqual(mark, others.markOf("a secret"), "it says nothing to who can't sign");
  });

  it("dates no token earlier than it is told", async () => {
    const { tokens } = setUp();
    const { sessionToken } = await tokens.issue("ada", mark, now + 2);
    const { loggedInAt, issuedAt, expiresAt } = await tokens.verify(sessionToken);
    assert.deepEqual([loggedInAt, issuedAt, expiresAt], [now + 2, now + 2, now + 62]);
  });

  it("tells two tokens apart that share their beginning", async () => {
    const { tokens } = setUp();
    assert.equal(await outcomeOf(goodToken, tokens), "ada");
    const swapped = goodToken.slice(0, -1) + (goodToken.endsWith("A") ? "E" : "A");
    assert.equal(await outcomeOf(swapped, tokens), "invalid_token");
  });

  it("accepts the forger's own good token, so that each attack below fails for its own reason", async () => {
    assert.equal(await outcomeOf(goodToken), "ada");
  });
});

describe("a session", () => {
  it("lives on in new tokens, with the id and the login of the first", async () => {
    const { clock, tokens } = setUp();
    const first = await tokens.issue("ada", mark, 0);
    await clock.advance(50_000);
    const second = await tokens.renew(await tokens.verify(first.sessionToken), 0);
    assert.equal(second.expiresInSeconds, 60);
    const [before, after] = [claimsOf(first.sessionToken), claimsOf(second.sessionToken)];
    assert.deepEqual([after.sub, after.sid, after.auth_time], [before.sub, before.sid, now]);
    assert.deepEqual([after.iat, after.exp], [now + 50, now + 110]);
    assert.notEqual(after.jti, before.jti);
    assert.equal(await outcomeOf(second.sessionToken, tokens), "ada");
  });

  it("ends so long after its login as it may last, to the second", async () => {
    const { clock, tokens } = setUp(60, 100);
    const { sessionToken } = await tokens.issue("ada", mark, 0);
    const claims = await tokens.verify(sessionToken);
    await clock.advance(59_000);
    const last = await tokens.renew(claims, 0);
    assert.equal(last.expiresInSeconds, 41);
    await clock.advance(40_999);
    assert.equal(await outcomeOf(last.sessionToken, tokens), "ada");
    await clock.advance(1);
    assert.equal(await outcomeOf(last.sessionToken, tokens), "token_expired");
    await assert.rejects(tokens.renew(claims, 0), { reason: "token_expired" });
  });

  it("has no good token after the end that is told of it, also when lifetimes became shorter meanwhile", async () => {
    const { clock, tokens } = setUp(60, 600);
    const claims = await tokens.verify((await tokens.issue("ada", mark, 0)).sessionToken);
    tokens.setLifetimes({ tokenSeconds: 5, consoleIdleSeconds: 28_800, sessionSeconds: 10 });
    assert.equal(tokens.endOf(claims), now + 600);
    tokens.setLifetimes({ tokenSeconds: 5, consoleIdleSeconds: 28_800, sessionSeconds: 1_000 });
    await clock.advance(10_000);
    const renewed = await tokens.verify((await tokens.renew(claims, 0)).sessionToken);
    assert.equal(renewed.expiresAt, now + 15);
    assert.equal(tokens.endOf(renewed), now + 1_000);
  });
});

describe("every attack on session tokens ends in the same refusal", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicPem = publicKey.export({ type: "spki", format: "pem" }).toString();
  const goodText = JSON.stringify(goodClaims);
  const [head, body, mac] = goodToken.split(".") as [string, string, string];
  const withClaims = (claims: object) => forge(goodHeader, { ...goodClaims, ...claims });
  const without = (claim: keyof typeof goodClaims) =>
    forge(goodHeader, Object.fromEntries(Object.entries(goodClaims).filter(([name]) => name !== claim)));

  const attacks: Record<string, string | string[]> = {
    "J1 alg none": ["none", "None", "nOnE", ""].flatMap((alg) => [
      `${encode({ typ: "JWT", alg })}.${body}.`,
      forge({ typ: "JWT", alg }, goodClaims),
    ]),
    "J2 signature stripped": [`${head}.${body}.`, `${head}.${body}`],
    "J3 HS256 with a public key": forge(goodHeader, goodClaims, publicPem),
    "J4 another algorithm": [
      await new SignJWT(goodClaims).setProtectedHeader({ typ: "JWT", alg: "ES256" }).sign(privateKey),
      forge({ typ: "JWT", alg: "RS256" }, goodClaims),
      forge({ typ: "JWT", alg: "HS512" }, goodClaims),
    ],
    "J5 alg an array or missing": [
      forge({ typ: "JWT", alg: ["HS256"] }, goodClaims),
      forge({ typ: "JWT" }, goodClaims),
    ],
    "J6 kid": ["../../dev/null", "' OR 1=1 --", "x".repeat(2_000)].map((kid) =>
      forge({ ...goodHeader, kid }, goodClaims),
    ),
    "J7 keys in the header": [
      forge({ ...goodHeader, jku: "http://127.0.0.1/keys" }, goodClaims),
      forge({ ...goodHeader, jwk: { kty: "oct", k: "AAAA" } }, goodClaims),
      forge({ ...goodHeader, x5u: "http://127.0.0.1/x", x5c: ["AAAA"] }, goodClaims),
    ],
    "J8 crit": [
      forge({ ...goodHeader, crit: ["new"], new: 1 }, goodClaims),
      forge({ ...goodHeader, crit: ["b64"], b64: false }, goodClaims),
    ],
    "J9 exp of no sense": [
      without("exp"),
      withClaims({ exp: String(now + 60) }),
      withClaims({ exp: -1 }),
      withClaims({ exp: now + 0.5 }),
      withClaims({ exp: null }),
      forge(goodHeader, goodText.replace(/"exp":\d+/, '"exp":1e400')),
      forge(goodHeader, goodText.replace(/"exp":\d+/, '"exp":NaN')),
    ],
    "J10 not yet valid": [
      withClaims({ iat: now + 3_600, exp: now + 7_200 }),
      withClaims({ nbf: now + 3_600 }),
      without("iat"),
    ],
    "J11 meant for somebody else": [
      withClaims({ iss: "elsewhere" }),
      withClaims({ aud: "elsewhere" }),
      forge({ ...goodHeader, typ: "at+jwt" }, goodClaims),
      forge({ alg: "HS256" }, goodClaims),
    ],
    "J12 a claim twice": forge(goodHeader, goodText.replace("{", '{"sub":"eve",')),
    "J13 encrypted": [
      await new EncryptJWT(goodClaims)
        .setProtectedHeader({ alg: "dir", enc: "A128CBC-HS256" })
        .encrypt(Buffer.from(secret).subarray(0, 32)),
      `${encode({ alg: "PBES2-HS256+A128KW", enc: "A128GCM", p2c: 1e9, p2s: "AAAA" })}.AAAA.AAAA.AAAA.AAAA`,
    ],
    "J14 nested": [
      await new CompactSign(Buffer.from(goodToken))
        .setProtectedHeader({ ...goodHeader, cty: "JWT" })
        .sign(Buffer.from(secret)),
      forge(goodHeader, goodToken),
    ],
    "J15 written in another way": [
      `${goodToken}=`,
      `${goodToken}.`,
      ` ${goodToken}`,
      `${goodToken}\n`,
      `${head}=.${body}.${mac}`,
      `${head}.${body}.${mac.slice(0, -1)}${alias(mac)}`,
      goodToken.replaceAll("-", "+").replaceAll("_", "/").concat("/"),
    ],
    "J16 far too long": forge(goodHeader, { ...goodClaims, jti: "x".repeat(16_384) }),
    "J17 the MAC cut or extended": [goodToken.slice(0, -1), `${goodToken}A`, `${head}.${body}.${mac}${mac}`],
    "J18 r = s = 0": `${encode({ typ: "JWT", alg: "ES256" })}.${body}.${Buffer.alloc(64).toString("base64url")}`,
    "J25 a role raised": withClaims({ role: "admin" }),
    "J26 signed with a known sample": ["changeit", "your-secret-key", "CHANGE-THIS-32-CHARACTER-KEY-NOW", ""].map(
      (key) => forge(goodHeader, goodClaims, key || "\0"),
    ),
    "a session of no sense": [
      without("sid"),
      ...["", "x", mark, `${sid}A`, sid.slice(0, -1), `../${sid}`, 1, null, [sid]].map((sid) => withClaims({ sid })),
      without("auth_time"),
      ...[now + 1, 0, -1, now + 0.5, String(now), null].map((time) => withClaims({ auth_time: time })),
    ],
    "a token of the version before": forge(goodHeader, { sub: "ada", iat: now, exp: now + 60, jti: "j" }),
    "claims that are no object": ["null", "[]", '"ada"', "1", ""].map((payload) => forge(goodHeader, payload)),
    "no token at all": ["", ".", "..", "a.b.c"],
  };
  for (const [name, tokens] of Object.entries(attacks)) {
    it(name, async () => {
      for (const token of [tokens].flat()) assert.equal(await outcomeOf(token), "invalid_token", token.slice(0, 200));
    });
  }
});

/** Another last character that decodes to the same bytes: base64url leaves two bits of it unused. */
function alias(mac: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const index = alphabet.indexOf(mac.at(-1) as string);
  return alphabet[index ^ 1] as string;
}
