// What many people do with a gateway, hour after hour: chats of all kinds, rounds of logins, users and keys that come and
// go, files, and an administrator who looks on. Each loop goes on until it is told to stop.

import type { Random } from "../../src/simulator/random.ts";
import { chat, type Sent, send } from "../support/gateway.ts";

export interface Traffic {
  readonly counts: Readonly<Record<string, number>>;
  /** Resolves when everything that was begun has ended. */
  stop(): Promise<void>;
}

const password = "correct horse battery staple";
const chatClients = 6;
const loginsAtOnce = 12;

/** `root`: an administrator of the configuration. */
export function startTraffic(url: string, root: { username: string; password: string }, random: Random): Traffic {
  const counts: Record<string, number> = {};
  const pauses = new Set<() => void>();
  let isStopped = false;
  let rootToken = "";
  let names = 0;

  async function ask(what: string, path: string, options: Parameters<typeof send>[1]): Promise<Sent | null> {
    try {
      const sent = await send(url + path, options);
      const key = sent.status < 400 ? what : `${what} ${sent.status}`;
      counts[key] = (counts[key] ?? 0) + 1;
      return sent;
    } catch {
      counts[`${what} broken`] = (counts[`${what} broken`] ?? 0) + 1;
      return null;
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        pauses.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      pauses.add(end);
      if (isStopped) end();
    });
  }

  async function repeat(everyMs: number, work: () => Promise<unknown>): Promise<void> {
    while (!isStopped) {
      await work();
      await pause(everyMs * (0.5 + random.next()));
    }
  }

  async function logIn(username: string, secret: string): Promise<string> {
    const sent = await ask("login", "/auth/login", { body: { username, password: secret } });
    return (sent?.json as { token?: string } | undefined)?.token ?? "";
  }

  async function talk(): Promise<void> {
    const stream = random.next() < 0.7;
    const body = chat(`hello [frames=${1 + random.below(40)}] [delay=${random.below(15)}]`, { stream });
    const leaving = new AbortController();
    const leaves = random.next() < 0.15;
    const onData = () => leaves && random.next() < 0.3 && leaving.abort();
    await ask(stream ? "stream" : "chat", "/v1/chat/completions", {
      token: rootToken,
      body,
      onData,
      signal: leaving.signal,
    });
  }

  /** Somebody who comes, works with a key, and goes. */
  async function visit(): Promise<void> {
    const username = `visitor-${names++}`;
    const admin = (method: string, path: string, body?: object) =>
      ask(`${method} ${path.split("/")[2]}`, path, { method, token: rootToken, ...(body && { body }) });
    await admin("POST", "/admin/users", { name: username, password, limits: { "requests/day": 100 } });
    const session = await logIn(username, password);
    const made = await ask("POST key", "/me/keys", { token: session, body: { name: "tool" } });
    const { key, secret = "" } = (made?.json ?? {}) as { key?: { id: string }; secret?: string };
    await ask("chat by key", "/v1/chat/completions", { token: secret, body: chat("hello [frames=3]") });
    const form = Buffer.from(
      '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: form-data; ' +
        `name="file"; filename="a.jsonl"\r\n\r\n${"x".repeat(2_000)}\r\n--b--\r\n`,
    );
    const headers = { "content-type": "multipart/form-data; boundary=b" };
    await ask("file", "/api/paas/v4/files", { method: "POST", token: secret, body: form, headers });
    await ask("logout", "/auth/logout", { method: "POST", token: session });
    if (key) await admin("DELETE", `/admin/keys/${key.id}`);
    await admin("DELETE", `/admin/users/${username}`);
  }

  async function logInTogether(): Promise<void> {
    const logins = Array.from({ length: loginsAtOnce }, (_, index) =>
      logIn(root.username, index % 6 === 5 ? "a wrong guess" : root.password),
    );
    rootToken = (await Promise.all(logins)).find((token) => token !== "") ?? rootToken;
  }

  async function lookOn(): Promise<void> {
    for (const path of ["/admin/calls?limit=50", "/admin/queue", "/admin/users", "/me/usage?by=model", "/metrics"]) {
      await ask("look", path, { token: rootToken });
    }
  }

  const living = logInTogether().then(() =>
    Promise.all([
      ...Array.from({ length: chatClients }, () => repeat(500, talk)),
      repeat(2_000, visit),
      repeat(20_000, logInTogether),
      repeat(10_000, lookOn),
    ]),
  );
  return {
    counts,
    async stop() {
      isStopped = true;
      for (const end of pauses) end();
      await living;
    },
  };
}
