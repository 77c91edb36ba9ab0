// glm-proxy user: people of the store. Those of the configuration file are shown too, and changed there.

import type { AdminClient } from "./client/admin-client.ts";
import { ask, askAll, pathOf, withQuery } from "./client/ask.ts";
import { applyLimits, describeLimits, limitOption, parseLimits } from "./client/limit-options.ts";
import { clientOptions, withClient } from "./client/open-client.ts";
import {
  classOption,
  expiresOption,
  jobsOption,
  readCommon,
  unsetOptions,
  weightOption,
} from "./client/people-options.ts";
import type { KeyJson, UserJson } from "./client/wire.ts";
import type { Input, OptionSpec, Verb } from "./command.ts";
import { usageError } from "./command-error.ts";
import { confirm, yesOption } from "./confirm.ts";
import { createPage, formatOf, formatOptions, printJson, printRows } from "./output/report.ts";
import { type Column, layoutFacts } from "./output/table.ts";
import { formatMoment } from "./output/times.ts";
import { plural } from "./output/words.ts";
import { askPassword, makePassword, readPassword } from "./passwords.ts";
import { exitCodes, type World } from "./world.ts";

const name = { name: "<name>", description: "the user's name" };
const passwordStdin: OptionSpec = { flags: "--password-stdin", description: "read the password from standard input" };
const limit = limitOption("limit", "a quota, e.g. requests/day=1000, cost/month=20, concurrency=2; repeatable");

const add: Verb = {
  name: "add",
  summary: "add a user",
  details:
    "Asks for a password on a terminal; without an answer, or without a terminal, makes one and prints it this once. " +
    "What is not named comes from the group.",
  arguments: [name],
  options: [
    { flags: "--admin", description: "an administrator" },
    { flags: "--group <group>", description: "a group to inherit from" },
    weightOption,
    classOption,
    limit,
    jobsOption,
    expiresOption,
    { flags: "--no-password", description: "none: only its API keys work" },
    passwordStdin,
    ...formatOptions,
    ...clientOptions,
  ],
  examples: [
    "glm-proxy user add ada --admin",
    "glm-proxy user add grace --group students --limit requests/day=1000 --expires 2027-01-01",
    'printf %s "$PASSWORD" | glm-proxy user add ci --password-stdin',
    "glm-proxy user add build-robot --no-password --class batch",
  ],
  async run(input, world) {
    const user = input.required(0);
    const group = input.text("group");
    const limits = applyLimits({}, parseLimits(input.list("limit")));
    const fields = { ...readCommon(input, world), ...(input.isSet("admin") && { role: "admin" }), limits };
    const { password, isMade } = await choosePassword(input, world, user);
    const body = { name: user, ...fields, ...(group !== undefined && { group }), password };
    const add = async (client: AdminClient) => {
      const added = await ask<UserJson>(client, `add the user ${user}`, "POST", "/admin/users", body);
      if (formatOf(input, world) === "json") printJson(world, isMade ? { user: added, password } : { user: added });
      else {
        world.print(`Added ${added.role === "admin" ? "the administrator" : "the user"} ${user}.`);
        if (isMade) world.print(`Password: ${password}\nIt is shown this once; pass it on safely.`);
        else if (password === null)
          world.print(`Without a password: give it an API key with  glm-proxy key add --owner ${user} --name NAME`);
      }
      return exitCodes.fine;
    };
    return withClient(input, world, add, { mayBegin: true });
  },
};

async function choosePassword(
  input: Input,
  world: World,
  user: string,
): Promise<{ password: string | null; isMade: boolean }> {
  if (input.isSet("no-password")) return { password: null, isMade: false };
  if (input.isSet("password-stdin")) return { password: await readPassword(world), isMade: false };
  const typed = world.askSecret && (await askPassword(world.askSecret, `Password for ${user} (empty: make one): `));
  return typed ? { password: typed, isMade: false } : { password: makePassword(), isMade: true };
}

function columnsAt(nowMs: number): readonly Column<UserJson>[] {
  return [
    { title: "name", text: (user) => user.name, canShrink: true },
    { title: "role", text: (user) => user.role },
    { title: "group", text: (user) => user.group, canShrink: true },
    { title: "weight", align: "right", text: (user) => String(user.effective.weight) },
    { title: "class", text: (user) => user.effective.class },
    { title: "limits", text: (user) => describeLimits(user.effective.limits), canShrink: true },
    { title: "expires", text: (user) => user.expires_at && formatMoment(user.expires_at) },
    {
      title: "state",
      text: (user) => stateOf(user, nowMs),
      style: (user) => (stateOf(user, nowMs) === "active" ? null : "yellow"),
    },
  ];
}

function stateOf(user: UserJson, nowMs: number): string {
  if (!user.is_enabled) return "disabled";
  if (user.expires_at !== null && Date.parse(user.expires_at) <= nowMs) return "expired";
  return user.source === "config" ? "in config" : "active";
}

const list: Verb = {
  name: "list",
  summary: "list users, those of the configuration file included",
  details: "Weight, class and limits are what counts in the end, the group's part included.",
  options: [...formatOptions, ...clientOptions],
  examples: ["glm-proxy user list", "glm-proxy user list --json | jq -r '.[].name'"],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      const users = await askAll<UserJson>(client, "list users", "/admin/users");
      const whenEmpty = "There are no users: glm-proxy user add NAME --admin adds the first.";
      printRows(input, world, users, columnsAt(world.clock.wallNow()), whenEmpty);
      return exitCodes.fine;
    }),
};

const show: Verb = {
  name: "show",
  summary: "show all that is known of a user",
  arguments: [name],
  options: [...formatOptions, ...clientOptions],
  examples: ["glm-proxy user show ada"],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      print(input, world, await find(client, input.required(0)));
      return exitCodes.fine;
    }),
};

function find(client: AdminClient, user: string): Promise<UserJson> {
  return ask<UserJson>(client, `show the user ${user}`, "GET", pathOf("/admin/users", user));
}

function print(input: Input, world: World, user: UserJson): void {
  if (formatOf(input, world) === "json") {
    printJson(world, user);
    return;
  }
  const { effective } = user;
  const origin = user.group === null ? "default" : "inherited";
  const inherited = (own: unknown, text: string) => (own === null ? `${text} (${origin})` : text);
  const facts: [string, string | null][] = [
    ["name", user.name],
    ["source", user.source === "config" ? "the configuration file" : "the store"],
    ["role", user.role],
    ["group", user.group],
    ["state", stateOf(user, world.clock.wallNow())],
    ["expires", user.expires_at && formatMoment(user.expires_at)],
    ["weight", inherited(user.weight, String(effective.weight))],
    ["class", inherited(user.class, effective.class)],
    ["limits", describeLimits(effective.limits) ?? "none"],
    ["of its own", describeLimits(user.limits)],
    ["jobs in spite of limits", inherited(user.runs_jobs, effective.runs_jobs ? "yes" : "no")],
    ["password", user.has_password ? "yes" : "none"],
    ["created", user.created_at && formatMoment(user.created_at)],
    ["changed", user.updated_at && formatMoment(user.updated_at)],
  ];
  for (const line of layoutFacts(facts, createPage(world).style)) world.print(line);
}

const set: Verb = {
  name: "set",
  summary: "change a user",
  details: "What is not named stays. A limit becomes what is said, or none with =none; other limits stay.",
  arguments: [name],
  options: [
    { flags: "--role <role>", description: "user or admin", choices: ["user", "admin"] },
    { flags: "--group <group>", description: "a group to inherit from" },
    { flags: "--no-group", description: "no group" },
    weightOption,
    unsetOptions.weight,
    classOption,
    unsetOptions.class,
    limit,
    jobsOption,
    unsetOptions.jobs,
    expiresOption,
    unsetOptions.expires,
    ...formatOptions,
    ...clientOptions,
  ],
  examples: [
    "glm-proxy user set grace --limit requests/day=2000 --limit tokens/month=none",
    "glm-proxy user set grace --group staff --no-weight",
    "glm-proxy user set ada --role admin",
  ],
  async run(input, world) {
    const user = input.required(0);
    const limits = parseLimits(input.list("limit"));
    const role = input.text("role");
    const group = input.isSet("no-group") ? null : input.text("group");
    const fields = {
      ...readCommon(input, world),
      ...(role !== undefined && { role }),
      ...(group !== undefined && { group }),
    };
    if (Object.keys(fields).length + limits.size === 0) throw usageError("Nothing was named that should change.");
    return withClient(input, world, async (client) => {
      const purpose = `change the user ${user}`;
      const body =
        limits.size === 0 ? fields : { ...fields, limits: applyLimits((await find(client, user)).limits, limits) };
      print(input, world, await ask<UserJson>(client, purpose, "PATCH", pathOf("/admin/users", user), body));
      return exitCodes.fine;
    });
  },
};

const passwd: Verb = {
  name: "passwd",
  summary: "give a user a new password",
  details: "Asks for it on a terminal; without an answer, or without a terminal, makes one. Its sessions end.",
  arguments: [name],
  options: [
    passwordStdin,
    { flags: "--no-password", description: "none from now on: only its API keys work" },
    ...formatOptions,
    ...clientOptions,
  ],
  examples: ["glm-proxy user passwd ada", "glm-proxy user passwd ada --password-stdin < password.txt"],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      const user = input.required(0);
      await find(client, user);
      const { password, isMade } = await choosePassword(input, world, user);
      const path = pathOf("/admin/users", user);
      const changed = await ask<UserJson>(client, `change the password of ${user}`, "PATCH", path, { password });
      if (formatOf(input, world) === "json") printJson(world, isMade ? { user: changed, password } : { user: changed });
      else if (password === null) world.print(`${user} has no password any more; API keys go on to work.`);
      else world.print(`${user} has a new password; old sessions have ended.`);
      if (isMade && formatOf(input, world) !== "json")
        world.print(`Password: ${password}\nIt is shown this once; pass it on safely.`);
      return exitCodes.fine;
    }),
};

const enable = createSwitch("enable", true, "let a disabled user in again", "may use the gateway again");
const disable = createSwitch(
  "disable",
  false,
  "keep a user out, with all its sessions and API keys, until it is enabled again",
  "can't use the gateway any more. Calls that run are let end",
);

function createSwitch(verb: string, isEnabled: boolean, summary: string, done: string): Verb {
  return {
    name: verb,
    summary,
    arguments: [name],
    options: [...formatOptions, ...clientOptions],
    examples: [`glm-proxy user ${verb} grace`],
    run: (input, world) =>
      withClient(input, world, async (client) => {
        const user = input.required(0);
        const path = pathOf("/admin/users", user);
        const body = { is_enabled: isEnabled };
        const changed = await ask<UserJson>(client, `${verb} the user ${user}`, "PATCH", path, body);
        if (formatOf(input, world) === "json") printJson(world, changed);
        else world.print(`${user} ${done}.`);
        return exitCodes.fine;
      }),
  };
}

const remove: Verb = {
  name: "remove",
  summary: "remove a user and its API keys; the record of its calls stays",
  arguments: [name],
  options: [yesOption, ...clientOptions],
  examples: ["glm-proxy user remove grace", "glm-proxy user remove grace --yes"],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      const user = input.required(0);
      await find(client, user);
      const keys = await askAll<KeyJson>(
        client,
        "list keys",
        withQuery("/admin/keys", { owner: user, state: "active" }),
      );
      const count = keys.length === 0 ? "" : ` and ${plural(keys.length, "working API key", "working API keys")}`;
      await confirm(input, world, `Remove ${user}${count}?`);
      await ask(client, `remove the user ${user}`, "DELETE", pathOf("/admin/users", user));
      if (world.isTerminal) world.print(`Removed ${user}.`);
      return exitCodes.fine;
    }),
};

export const userVerbs: readonly Verb[] = [add, list, show, set, passwd, enable, disable, remove];
