// glm-proxy key: API keys for tools. A key is shown once, when it is made.

import { describeAccess } from "./client/access-lines.ts";
import type { AdminClient } from "./client/admin-client.ts";
import { ask, askAll, pathOf, withQuery } from "./client/ask.ts";
import { findKey } from "./client/find-key.ts";
import { applyLimits, describeLimits, limitOption, parseLimits } from "./client/limit-options.ts";
import { clientOptions, withClient } from "./client/open-client.ts";
import { classOption, expiresOption, jobsOption, readCommon, unsetOptions } from "./client/people-options.ts";
import type { KeyJson, NewKeyJson, UserJson } from "./client/wire.ts";
import type { Input, OptionSpec, Verb } from "./command.ts";
import { usageError } from "./command-error.ts";
import { confirm, yesOption } from "./confirm.ts";
import { createPage, formatOf, formatOptions, printJson, printRows } from "./output/report.ts";
import { type Column, layoutFacts } from "./output/table.ts";
import { formatAge, formatMoment, formatSpan, parseSpan } from "./output/times.ts";
import { plural } from "./output/words.ts";
import { exitCodes, type World } from "./world.ts";

const key = {
  name: "<key>",
  description: "its id, the first characters of the key, or its name where only one has it",
};

const modelsOption: OptionSpec = {
  flags: "--models <pattern>",
  description: "a model it may use, * stands for anything (default: all); repeatable",
  isRepeated: true,
};

const add: Verb = {
  name: "add",
  summary: "make an API key and show it this once",
  options: [
    { flags: "--owner <user>", description: "whose key it is (default: the only user, or with --url the key's own)" },
    { flags: "--name <name>", description: "what it is for: laptop, ci, …" },
    modelsOption,
    limitOption("limit", "a quota of this key beside its owner's, e.g. requests/day=100; repeatable"),
    jobsOption,
    expiresOption,
    { ...classOption, description: "a lower class than its owner's" },
    {
      flags: "--scope <scope>",
      description: "calls, or admin: all that its owner, an administrator, may do",
      choices: ["calls", "admin"],
      fallback: "calls",
    },
    {
      flags: "--signs-tokens",
      description: "a key of two parts, for older SDKs of GLM that sign a token of their own with it",
    },
    { flags: "--cache", description: "its calls may be answered from the cache, where [cache] is enabled" },
    { flags: "--keep-content", description: 'its prompts and answers are stored, where [ledger] content is "keys"' },
    ...formatOptions,
    ...clientOptions,
  ],
  examples: [
    "glm-proxy key add --owner ada --name laptop",
    "glm-proxy key add --owner ci --name nightly --models 'glm-4*' --limit cost/month=5 --expires 90d",
    "glm-proxy key add --owner ada --name automation --scope admin",
    "export OPENAI_API_KEY=$(glm-proxy key add --owner ada --name shell --json | jq -r .secret)",
  ],
  async run(input, world) {
    const keyName = input.text("name");
    if (keyName === undefined) throw usageError("Cannot make a key without a name: say what it is for with --name.");
    const models = readModels(input);
    const fields = {
      name: keyName,
      scope: input.text("scope") ?? "calls",
      ...readCommon(input, world),
      limits: applyLimits({}, parseLimits(input.list("limit"))),
      ...(models !== undefined && { models }),
      ...(input.isSet("keep-content") && { keeps_content: true }),
      ...(input.isSet("cache") && { caches_answers: true }),
      ...(input.isSet("signs-tokens") && { signs_tokens: true }),
    };
    return withClient(input, world, async (client) => {
      const owner = input.text("owner") ?? (await findOwner(client));
      const purpose = `make a key for ${owner}`;
      await printNew(input, world, client, await ask(client, purpose, "POST", "/admin/keys", { owner, ...fields }));
      return exitCodes.fine;
    });
  },
};

/** Who is meant when nobody is named. Throws CommandError when that is not clear. */
async function findOwner(client: AdminClient): Promise<string> {
  if (client.via === "url")
    return (await ask<{ user: UserJson }>(client, "find out whose key it is", "GET", "/me")).user.name;
  const users = await askAll<UserJson>(client, "list users", "/admin/users", 2);
  const [user] = users;
  if (user !== undefined && users.length === 1) return user.name;
  throw usageError(
    "Cannot make a key without an owner: name one with --owner.",
    user === undefined ? "There are no users yet: glm-proxy user add NAME" : "glm-proxy user list shows who there is.",
  );
}

async function printNew(input: Input, world: World, client: AdminClient, made: NewKeyJson): Promise<void> {
  if (formatOf(input, world) === "json") {
    printJson(world, made);
    return;
  }
  const { key: view, secret } = made;
  world.print(`Made the key "${view.name}" for ${view.owner} (id ${view.id}). It is shown this once:\n\n  ${secret}\n`);
  if (view.scope === "calls" && world.isTerminal) {
    for (const line of await describeAccess(client, secret, view)) world.print(line);
  }
}

/** As much of it as may be shown. */
function nameKey({ prefix, signs_tokens: signsTokens }: KeyJson): string {
  return signsTokens ? `glmp…${prefix}` : `glmp_${prefix}…`;
}

function columnsAt(nowMs: number): readonly Column<KeyJson>[] {
  return [
    { title: "key", text: nameKey },
    { title: "owner", text: ({ owner }) => owner, canShrink: true },
    { title: "name", text: ({ name }) => name, canShrink: true },
    { title: "scope", text: ({ scope }) => (scope === "admin" ? scope : null) },
    { title: "models", text: ({ models }) => models?.join(" ") ?? null, canShrink: true },
    { title: "limits", text: ({ limits }) => describeLimits(limits), canShrink: true },
    {
      title: "last used",
      text: (view) => (view.last_used_at === null ? "never" : formatAge(view.last_used_at, nowMs)),
    },
    { title: "expires", text: (view) => view.expires_at && formatMoment(view.expires_at) },
    { title: "state", text: ({ state }) => state, style: ({ state }) => (state === "active" ? "green" : "dim") },
  ];
}

const list: Verb = {
  name: "list",
  summary: "list API keys; none can be read back",
  options: [
    { flags: "--owner <user>", description: "only this user's" },
    { flags: "-a, --all", description: "revoked and expired ones too" },
    ...formatOptions,
    ...clientOptions,
  ],
  examples: ["glm-proxy key list", "glm-proxy key list --owner ada --all"],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      const owner = input.text("owner");
      const filter = { owner, state: input.isSet("all") ? undefined : "active" };
      const keys = await askAll<KeyJson>(client, "list keys", withQuery("/admin/keys", filter));
      const whenEmpty = "There are no keys: glm-proxy key add --owner NAME --name NAME makes one.";
      printRows(input, world, keys, columnsAt(world.clock.wallNow()), whenEmpty);
      return exitCodes.fine;
    }),
};

const show: Verb = {
  name: "show",
  summary: "show all that is known of an API key, but not the key",
  arguments: [key],
  options: [...formatOptions, ...clientOptions],
  examples: ["glm-proxy key show laptop", "glm-proxy key show glmp_Zk3v9QaB"],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      print(input, world, await findKey(client, input.required(0), { isActive: false }));
      return exitCodes.fine;
    }),
};

function print(input: Input, world: World, view: KeyJson): void {
  if (formatOf(input, world) === "json") {
    printJson(world, view);
    return;
  }
  const facts: [string, string | null][] = [
    ["id", view.id],
    ["key", nameKey(view)],
    ["owner", view.owner],
    ["name", view.name],
    ["state", view.state],
    ["scope", view.scope],
    ["models", view.models === null ? "all" : view.models.join(" ")],
    ["class", view.class],
    ["limits", describeLimits(view.limits)],
    ["jobs in spite of limits", view.runs_jobs ? "yes" : null],
    ["limits set by", view.is_locked ? "an administrator" : null],
    ["uses the cache", view.caches_answers ? "yes" : null],
    ["stores content", view.keeps_content ? "yes" : null],
    ["created", formatMoment(view.created_at)],
    ["last used", view.last_used_at === null ? "never" : formatMoment(view.last_used_at)],
    ["expires", view.expires_at === null ? "never" : formatMoment(view.expires_at)],
    ["revoked", view.revoked_at && formatMoment(view.revoked_at)],
    ["replaced by", view.replaced_by],
  ];
  for (const line of layoutFacts(facts, createPage(world).style)) world.print(line);
}

const rotate: Verb = {
  name: "rotate",
  summary: "make a new key with the same rights; the old one goes on to work for a while",
  arguments: [key],
  options: [
    { flags: "--overlap <span>", description: "how long the old one works on: 0s to 30d", fallback: "1d" },
    ...formatOptions,
    ...clientOptions,
  ],
  examples: ["glm-proxy key rotate laptop", "glm-proxy key rotate laptop --overlap 1h"],
  async run(input, world) {
    const typed = input.text("overlap") ?? "1d";
    const overlapMs = typed === "0" ? 0 : parseSpan(typed);
    if (overlapMs === null) throw usageError(`Cannot use --overlap ${typed}: it must be like 1h or 7d.`);
    return withClient(input, world, async (client) => {
      const old = await findKey(client, input.required(0), { isActive: true });
      const path = pathOf("/admin/keys", old.id, "/rotate");
      const made = await ask<NewKeyJson>(client, `rotate the key ${old.name}`, "POST", path, {
        overlap_seconds: overlapMs / 1_000,
      });
      await printNew(input, world, client, made);
      if (formatOf(input, world) !== "json") {
        world.print(
          overlapMs === 0
            ? "The old key does not work any more."
            : `The old key works for ${formatSpan(overlapMs)} more.`,
        );
      }
      return exitCodes.fine;
    });
  },
};

const set: Verb = {
  name: "set",
  summary: "change what an API key may do",
  details: "What is not named stays. A limit becomes what is said, or none with =none; other limits stay.",
  arguments: [key],
  options: [
    { ...modelsOption, description: "a model it may use, instead of those until now; repeatable" },
    { flags: "--no-models", description: "all models" },
    limitOption("limit", "a quota of this key beside its owner's; repeatable"),
    jobsOption,
    unsetOptions.jobs,
    expiresOption,
    unsetOptions.expires,
    { ...classOption, description: "a lower class than its owner's" },
    { ...unsetOptions.class, description: "its owner's class" },
    ...formatOptions,
    ...clientOptions,
  ],
  examples: ["glm-proxy key set nightly --jobs", "glm-proxy key set laptop --models 'glm-4*' --limit cost/month=5"],
  async run(input, world) {
    const limits = parseLimits(input.list("limit"));
    const models = input.isSet("no-models") ? null : readModels(input);
    const fields = { ...readCommon(input, world), ...(models !== undefined && { models }) };
    if (Object.keys(fields).length + limits.size === 0) throw usageError("Nothing was named that should change.");
    return withClient(input, world, async (client) => {
      const view = await findKey(client, input.required(0), { isActive: true });
      const body = limits.size === 0 ? fields : { ...fields, limits: applyLimits(view.limits, limits) };
      const path = pathOf("/admin/keys", view.id);
      print(input, world, await ask<KeyJson>(client, `change the key ${view.name}`, "PATCH", path, body));
      return exitCodes.fine;
    });
  },
};

/** Undefined: none was named. */
function readModels(input: Input): string[] | undefined {
  const models = input.list("models").flatMap((patterns) => patterns.split(","));
  return models.length > 0 ? models : undefined;
}

const revoke: Verb = {
  name: "revoke",
  summary: "make an API key void at once, for good",
  arguments: [{ ...key, name: "[key]" }],
  options: [
    { flags: "--owner <user>", description: "instead of one key: all that this user has" },
    yesOption,
    ...formatOptions,
    ...clientOptions,
  ],
  examples: [
    "glm-proxy key revoke glmp_Zk3v9QaB",
    "glm-proxy key revoke laptop",
    "glm-proxy key revoke --owner ada --yes",
  ],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      const owner = input.text("owner");
      if (owner !== undefined) return revokeAll(input, world, client, owner);
      if (input.argument(0) === undefined) throw usageError("Name the key to revoke, or an --owner for all keys.");
      const view = await findKey(client, input.required(0), { isActive: true });
      await ask(client, `revoke the key ${view.name}`, "DELETE", pathOf("/admin/keys", view.id));
      if (formatOf(input, world) === "json") printJson(world, { id: view.id, owner: view.owner, name: view.name });
      else world.print(`Revoked the key "${view.name}" of ${view.owner} (glmp_${view.prefix}…).`);
      return exitCodes.fine;
    }),
};

/** As after a leak: a new password ends sessions, and leaves keys. */
async function revokeAll(input: Input, world: World, client: AdminClient, owner: string): Promise<number> {
  if (input.argument(0) !== undefined) throw usageError("Cannot revoke both: name a key, or an --owner for all keys.");
  const keys = await askAll<KeyJson>(client, "list keys", withQuery("/admin/keys", { owner, state: "active" }));
  if (keys.length > 0) await confirm(input, world, `Revoke ${plural(keys.length, "API key", "API keys")} of ${owner}?`);
  for (const { id, name } of keys) await ask(client, `revoke the key ${name}`, "DELETE", pathOf("/admin/keys", id));
  if (formatOf(input, world) === "json")
    printJson(
      world,
      keys.map(({ id, name }) => ({ id, owner, name })),
    );
  else world.print(`Revoked ${plural(keys.length, "API key", "API keys")} of ${owner}.`);
  return exitCodes.fine;
}

export const keyVerbs: readonly Verb[] = [add, list, show, set, rotate, revoke];
