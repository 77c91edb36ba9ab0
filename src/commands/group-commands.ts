// glm-proxy group: what users inherit, and what binds them together.

import type { AdminClient } from "./client/admin-client.ts";
import { ask, askAll, pathOf } from "./client/ask.ts";
import { applyLimits, describeLimits, limitOption, parseLimits } from "./client/limit-options.ts";
import { clientOptions, withClient } from "./client/open-client.ts";
import { classOption, jobsOption, readCommon, unsetOptions, weightOption } from "./client/people-options.ts";
import type { GroupJson } from "./client/wire.ts";
import type { Input, Verb } from "./command.ts";
import { usageError } from "./command-error.ts";
import { createPage, formatOf, formatOptions, printJson, printRows } from "./output/report.ts";
import { type Column, layoutFacts } from "./output/table.ts";
import { formatMoment } from "./output/times.ts";
import { exitCodes, type World } from "./world.ts";

const name = { name: "<name>", description: "the group's name" };
const limits = [
  limitOption("limit", "a quota of all members together, e.g. cost/month=100; repeatable"),
  limitOption("member-limit", "a quota of each member, unless it has its own; repeatable"),
];

const add: Verb = {
  name: "add",
  summary: "add a group",
  arguments: [name],
  options: [weightOption, classOption, ...limits, jobsOption, ...formatOptions, ...clientOptions],
  examples: [
    "glm-proxy group add students --member-limit requests/day=500 --limit cost/month=100",
    "glm-proxy group add nightly --class batch --weight 0.5",
  ],
  async run(input, world) {
    const group = input.required(0);
    const body = {
      name: group,
      ...readCommon(input, world),
      limits: applyLimits({}, parseLimits(input.list("limit"))),
      member_limits: applyLimits({}, parseLimits(input.list("member-limit"), "member-limit")),
    };
    const add = async (client: AdminClient) => {
      const added = await ask<GroupJson>(client, `add the group ${group}`, "POST", "/admin/groups", body);
      if (formatOf(input, world) === "json") printJson(world, added);
      else world.print(`Added the group ${group}. Put users into it with  glm-proxy user set NAME --group ${group}`);
      return exitCodes.fine;
    };
    return withClient(input, world, add, { mayBegin: true });
  },
};

const columns: readonly Column<GroupJson>[] = [
  { title: "name", text: (group) => group.name, canShrink: true },
  { title: "members", align: "right", text: (group) => String(group.member_count) },
  { title: "weight", align: "right", text: (group) => (group.weight === null ? null : String(group.weight)) },
  { title: "class", text: (group) => group.class },
  { title: "limits of all", text: (group) => describeLimits(group.limits), canShrink: true },
  { title: "limits of each", text: (group) => describeLimits(group.member_limits), canShrink: true },
];

const list: Verb = {
  name: "list",
  summary: "list groups",
  options: [...formatOptions, ...clientOptions],
  examples: ["glm-proxy group list"],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      const groups = await askAll<GroupJson>(client, "list groups", "/admin/groups");
      printRows(input, world, groups, columns, "There are no groups: glm-proxy group add NAME adds one.");
      return exitCodes.fine;
    }),
};

const show: Verb = {
  name: "show",
  summary: "show all that is known of a group",
  arguments: [name],
  options: [...formatOptions, ...clientOptions],
  examples: ["glm-proxy group show students"],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      print(input, world, await find(client, input.required(0)));
      return exitCodes.fine;
    }),
};

function find(client: AdminClient, group: string): Promise<GroupJson> {
  return ask<GroupJson>(client, `show the group ${group}`, "GET", pathOf("/admin/groups", group));
}

function print(input: Input, world: World, group: GroupJson): void {
  if (formatOf(input, world) === "json") {
    printJson(world, group);
    return;
  }
  const facts: [string, string | null][] = [
    ["name", group.name],
    ["members", String(group.member_count)],
    ["weight", group.weight === null ? "1 (not set)" : String(group.weight)],
    ["class", group.class ?? "default (not set)"],
    ["limits of all together", describeLimits(group.limits) ?? "none"],
    ["limits of each member", describeLimits(group.member_limits) ?? "none"],
    ["jobs in spite of limits", group.runs_jobs ? "yes" : "no"],
    ["created", formatMoment(group.created_at)],
    ["changed", formatMoment(group.updated_at)],
  ];
  for (const line of layoutFacts(facts, createPage(world).style)) world.print(line);
}

const set: Verb = {
  name: "set",
  summary: "change a group",
  details: "What is not named stays. A limit becomes what is said, or none with =none; other limits stay.",
  arguments: [name],
  options: [
    weightOption,
    { ...unsetOptions.weight, description: "no weight of its own: 1" },
    classOption,
    { ...unsetOptions.class, description: "no class of its own: default" },
    ...limits,
    jobsOption,
    unsetOptions.jobs,
    ...formatOptions,
    ...clientOptions,
  ],
  examples: ["glm-proxy group set students --member-limit requests/day=800 --limit cost/month=none"],
  async run(input, world) {
    const group = input.required(0);
    const ofAll = parseLimits(input.list("limit"));
    const ofEach = parseLimits(input.list("member-limit"), "member-limit");
    const fields = readCommon(input, world);
    if (Object.keys(fields).length + ofAll.size + ofEach.size === 0) {
      throw usageError("Nothing was named that should change.");
    }
    return withClient(input, world, async (client) => {
      const before = await find(client, group);
      const body = {
        ...fields,
        ...(ofAll.size > 0 && { limits: applyLimits(before.limits, ofAll) }),
        ...(ofEach.size > 0 && { member_limits: applyLimits(before.member_limits, ofEach) }),
      };
      const path = pathOf("/admin/groups", group);
      print(input, world, await ask<GroupJson>(client, `change the group ${group}`, "PATCH", path, body));
      return exitCodes.fine;
    });
  },
};

const remove: Verb = {
  name: "remove",
  summary: "remove a group that has no members",
  arguments: [name],
  options: [...clientOptions],
  examples: ["glm-proxy group remove students"],
  run: (input, world) =>
    withClient(input, world, async (client) => {
      const group = input.required(0);
      await ask(client, `remove the group ${group}`, "DELETE", pathOf("/admin/groups", group));
      if (world.isTerminal) world.print(`Removed the group ${group}.`);
      return exitCodes.fine;
    }),
};

export const groupVerbs: readonly Verb[] = [add, list, show, set, remove];
