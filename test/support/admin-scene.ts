// A gateway with people in it, for journeys through its control plane: an administrator of the configuration file, two
// users of the store, and API keys of each kind. Routes come from the very table that is served.

import { request as openRequest } from "node:http";
import type { ControlParts } from "../../src/admin/control-parts.ts";
import type { Route } from "../../src/admin/route.ts";
import { createRoutes } from "../../src/admin/routes.ts";
import { type SendOptions, type Sent, send, startGateway, type TestGateway, testSettings } from "./gateway.ts";

export interface AdminScene {
  readonly gateway: TestGateway;
  readonly rootToken: string;
  readonly adaToken: string;
  readonly bobToken: string;
  /** Of scope "calls", and of scope "admin". */
  readonly adaKey: MadeKey;
  readonly bobKey: MadeKey;
  readonly rootCallsKey: MadeKey;
  readonly rootAdminKey: MadeKey;
  /** As the administrator, unless a token is given. */
  visit(method: string, path: string, body?: object, options?: SendOptions): Promise<Sent>;
  /** Names and states of everybody and everything, to see what has changed. */
  everything(): Promise<string>;
  stop(): Promise<void>;
}

export interface MadeKey {
  readonly id: string;
  readonly secret: string;
}

export const storePassword = "a long enough one";

/** The table as it is served; what its routes do needs parts that a walk has no use for. */
export const routeTable: readonly Route[] = createRoutes({} as ControlParts);

export async function openAdminScene(
  overrides: Parameters<typeof startGateway>[0] = {},
  simulatorOptions: Parameters<typeof startGateway>[1] = {},
): Promise<AdminScene> {
  const root = { username: "root", password: "root's own word", role: "admin", weight: 1, class: "default" } as const;
  const auth = { users: [root, ...testSettings.auth.users], tokenTtlSeconds: 600, ...overrides.auth };
  const gateway = await startGateway({ ...overrides, auth }, simulatorOptions);
  const rootToken = await gateway.logIn("root", root.password);

  const visit = (method: string, path: string, body?: object, options: SendOptions = {}) =>
    send(`${gateway.url}${path}`, { method, token: rootToken, ...(body && { body }), ...options });

  async function must(sent: Promise<Sent>): Promise<unknown> {
    const { status, json, text } = await sent;
    if (status >= 300) throw new Error(`${status} ${text}`);
    return json;
  }

  async function addKey(owner: string, scope: "calls" | "admin"): Promise<MadeKey> {
    const made = (await must(visit("POST", "/admin/keys", { owner, name: `${owner}'s`, scope }))) as {
      readonly key: { readonly id: string };
      readonly secret: string;
    };
    return { id: made.key.id, secret: made.secret };
  }

  for (const name of ["ada", "bob"]) await must(visit("POST", "/admin/users", { name, password: storePassword }));
  return {
    gateway,
    rootToken,
    adaToken: await gateway.logIn("ada", storePassword),
    bobToken: await gateway.logIn("bob", storePassword),
    adaKey: await addKey("ada", "calls"),
    bobKey: await addKey("bob", "calls"),
    rootCallsKey: await addKey("root", "calls"),
    rootAdminKey: await addKey("root", "admin"),
    visit,
    async everything() {
      const lists = await Promise.all(
        ["users", "groups", "keys"].map((name) => must(visit("GET", `/admin/${name}?limit=200`))),
      );
      return JSON.stringify(lists).replaceAll(/"last_used_at":[^,]*,/g, "");
    },
    stop: () => gateway.stop(),
  };
}

/** A request of which only the answer's head counts: streams would not end. */
export function headOf(
  url: string,
  {
    method,
    token,
    body,
  }: { readonly method: string; readonly token?: string | undefined; readonly body?: object | undefined },
): Promise<{ readonly status: number; readonly headers: Record<string, string | string[] | undefined> }> {
  const text = body && JSON.stringify(body);
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(text !== undefined && {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(text)),
    }),
  };
  return new Promise((resolve, reject) => {
    const request = openRequest(url, { method, headers, agent: false }, (response) => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers });
      response.destroy();
    });
    request.on("error", reject);
    request.end(text);
  });
}
