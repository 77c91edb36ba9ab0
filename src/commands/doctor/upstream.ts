// Whether the upstream can be reached (name, connection, TLS), and when it is asked for, whether it takes the key and what
// time it has there.

import { lookup } from "node:dns/promises";
import { request as openPlain } from "node:http";
import { request as openTls } from "node:https";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Clock } from "../../base/clock.ts";
import { describeRefusal } from "../../base/refusal-words.ts";
import type { LoadedConfig } from "../../config/config.ts";
import { maskSecret } from "../../config/masks.ts";
import type { UpstreamSettings } from "../../config/settings.ts";
import { judgeError, readErrorBody } from "../../upstream/verdict.ts";
import { formatSpan } from "../output/times.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const connectMsMax = 10_000;
const answerMsMax = 30_000;
const bodyBytesMax = 64 * 1024;
const certificateDays = 14;
const skewWarnMs = 30_000;
const skewFailMs = 300_000;
const dayMs = 86_400_000;
const networkFix = "see that this machine may connect there: name server, firewall, proxy; or correct [glm] base_url";

export async function checkReach(baseUrl: string, clock: Clock): Promise<Finding[]> {
  const { protocol, hostname, port } = new URL(baseUrl);
  const host = hostname.replace(/^\[|\]$/g, "");
  const isTls = protocol === "https:";
  const findings: Finding[] = [];
  let address: string;
  try {
    const found = await lookup(host, { all: true });
    address = found[0]?.address ?? host;
    findings.push(
      ok(
        "upstream",
        `${host} is ${found
          .map((one) => one.address)
          .slice(0, 3)
          .join(", ")}`,
      ),
    );
  } catch (error) {
    return [fail("upstream", `there is no address for ${host}: ${wordsOf(error)}`, networkFix)];
  }
  const target = { host: address, port: Number(port) || (isTls ? 443 : 80) };
  const startedAt = clock.now();
  try {
    const socket = await open(isTls ? connectTls({ ...target, servername: host }) : connect(target), isTls);
    const certificate = isTls ? (socket as TLSSocket).getPeerCertificate() : null;
    socket.destroy();
    const how = isTls ? `TLS ${(socket as TLSSocket).getProtocol() ?? ""}`.trim() : "no TLS";
    findings.push(
      ok("upstream", `${address}:${target.port} answers within ${formatSpan(clock.now() - startedAt)}, ${how}`),
    );
    const leftMs = certificate === null ? Number.POSITIVE_INFINITY : Date.parse(certificate.valid_to) - clock.wallNow();
    if (leftMs < certificateDays * dayMs) {
      const text = `the certificate of ${host} ends in ${formatSpan(Math.max(0, leftMs))}`;
      findings.push(warn("upstream", text, "tell whoever runs it; after that no call will get through"));
    }
  } catch (error) {
    findings.push(
      fail("upstream", `cannot connect to ${host} at ${address}:${target.port}: ${wordsOf(error)}`, networkFix),
    );
  }
  return findings;
}

function open(socket: Socket, isTls: boolean): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  socket.setTimeout(connectMsMax, () => socket.destroy(new Error(`no answer within ${connectMsMax / 1_000} s`)));
  socket.once(isTls ? "secureConnect" : "connect", () => resolve(socket));
  socket.once("error", reject);
  return promise;
}

export function checkKey({ settings, notices, origins }: LoadedConfig, { name, apiKey }: UpstreamSettings): Finding {
  if (apiKey === null) return ok("key", `the upstream ${name} needs no key`);
  if (settings.glm.upstreams.length > 1) return ok("key", `the upstream key ${name} is ${maskSecret(apiKey)}`);
  const origin = origins.find(["glm", "api_key"]).text;
  if (notices.some(({ code }) => code === "sample_key")) {
    return fail("key", `the upstream key (${origin}) is an example`, "set GLM_FLASH_API_KEY to your own");
  }
  return ok("key", `the upstream key ${maskSecret(apiKey)} comes from ${origin}`);
}

/** One call of one token, of a model that costs nothing; what models other servers have is not known here. */
export async function checkOnline(upstream: UpstreamSettings, product: string, clock: Clock): Promise<Finding[]> {
  const { kind, apiKey, baseUrl } = upstream;
  if (kind !== "glm" || apiKey === null) return [];
  const body = JSON.stringify({
    model: "glm-4.5-flash",
    max_tokens: 1,
    thinking: { type: "disabled" },
    messages: [{ role: "user", content: "1" }],
  });
  const startedAt = clock.wallNow();
  try {
    const { status, date, text } = await post(`${baseUrl}/chat/completions`, apiKey, product, body);
    const tookMs = clock.wallNow() - startedAt;
    return [judgeAnswer(status, parse(text), startedAt), ...judgeClock(date, startedAt + tookMs / 2)];
  } catch (error) {
    return [fail("key", `a call to the upstream failed: ${wordsOf(error)}`, networkFix)];
  }
}

function judgeAnswer(status: number, json: unknown, wallNowMs: number): Finding {
  const error = readErrorBody(json);
  if (error === null && status === 200)
    return ok("key", "the upstream takes the key: a call of one token was answered");
  if (error === null && status < 400)
    return warn("key", `the upstream answers ${status} without JSON`, "correct [glm] base_url");
  const { refusal, verdict } = judgeError({ status, code: null, message: "", retryAfterMs: null, ...error }, wallNowMs);
  const words = `${error?.message || describeRefusal(refusal, "en")}${error?.code ? ` (code ${error.code})` : ""}`;
  switch (verdict.kind) {
    case "account":
    case "restricted":
      return fail(
        "key",
        `the upstream does not take the key: ${words}`,
        "set GLM_FLASH_API_KEY to a good one, made in the upstream's console",
      );
    case "quota":
      return fail(
        "key",
        `the key has nothing left to use: ${words}`,
        "top it up in the upstream's console, or wait for its reset",
      );
    case "over_limit":
    case "too_fast":
    case "overloaded":
      return ok("key", `the upstream takes the key; it was busy just now: ${words}`);
    case "good":
    case "rejected":
    case "model_barred":
      return status === 404 && error === null
        ? fail("key", "there is no API at this address", "correct [glm] base_url; it ends like /api/paas/v4")
        : ok("key", `the upstream takes the key; it refused the test call: ${words}`);
    default:
      return warn("key", `the upstream answers ${status}: ${words}`, "try again in a while");
  }
}

function judgeClock(date: string | undefined, wallNowMs: number): Finding[] {
  const theirs = date === undefined ? Number.NaN : Date.parse(date);
  if (Number.isNaN(theirs)) return [];
  // Their header has whole seconds.
  const skewMs = Math.max(0, Math.abs(theirs + 500 - wallNowMs) - 500);
  const text = `this machine's clock is ${formatSpan(skewMs)} ${theirs > wallNowMs ? "behind" : "ahead of"} the upstream's`;
  const fix = "keep it right: timedatectl set-ntp true";
  if (skewMs >= skewFailMs) return [fail("clock", text, fix)];
  return [
    skewMs >= skewWarnMs ? warn("clock", text, fix) : ok("clock", "this machine's clock and the upstream's agree"),
  ];
}

interface Posted {
  readonly status: number;
  readonly date: string | undefined;
  readonly text: string;
}

function post(url: string, key: string, product: string, body: string): Promise<Posted> {
  const { promise, resolve, reject } = Promise.withResolvers<Posted>();
  const headers = {
    authorization: `Bearer ${key}`,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "user-agent": product,
  };
  const openRequest = url.startsWith("https:") ? openTls : openPlain;
  const request = openRequest(url, { method: "POST", headers, timeout: answerMsMax, agent: false }, (response) => {
    let text = "";
    response.setEncoding("utf8");
    response.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > bodyBytesMax) response.destroy();
    });
    response.on("error", reject);
    response.on("close", () => resolve({ status: response.statusCode ?? 0, date: response.headers.date, text }));
  });
  request.on("timeout", () => request.destroy(new Error(`no answer within ${answerMsMax / 1_000} s`)));
  request.on("error", reject);
  request.end(body);
  return promise;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function wordsOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ENOTFOUND":
      return "the name is not known";
    case "EAI_AGAIN":
      return "the name server does not answer";
    case "ECONNREFUSED":
      return "nothing listens there";
    case "ECONNRESET":
      return "the connection was closed";
    default:
      return message || String(code);
  }
}
