// What those who run the gateway look at and do: queue, upstreams, configuration, audit, backup, pruning.

import { lstatSync } from "node:fs";
import { isAbsolute } from "node:path";
import { z } from "@hono/zod-openapi";
import { Refusal } from "../base/refusal.ts";
import type { AuditEntry } from "../people/people.ts";
import { filterSchema, instantSchema, timeSchema } from "./common-schemas.ts";
import type { ControlParts } from "./control-parts.ts";
import { decodeCursor, numberPattern } from "./cursor.ts";
import { listOf, pageQuery, toList, toPage } from "./list.ts";
import { toQueueJson, toUpstreamsJson } from "./queue-json.ts";
import { queueSchema, upstreamSchema } from "./queue-model.ts";
import { defineRoute, type Route } from "./route.ts";
import { explainToOperator, fromStore } from "./store-failure.ts";
import { toInstant } from "./usage-routes.ts";
import { omitUndefined, toTime } from "./wire-values.ts";

const configRowSchema = z
  .object({
    name: z.string().openapi({ example: "rate_limit.queue_capacity" }),
    value: z.string().openapi({ example: "20", description: "Secrets are masked" }),
    origin: z.string().openapi({ example: "config.toml:14" }),
  })
  .openapi("ConfigRow");

const auditSchema = z
  .object({
    id: z.int(),
    at: timeSchema,
    actor: z.string().openapi({ example: "ada", description: '"local": whoever runs the machine' }),
    via: z.enum(["session", "key", "socket", "setup_link", "command"]),
    address: z.string().nullable(),
    request_id: z.string().nullable(),
    action: z.string().openapi({ example: "user.change" }),
    target: z.string().openapi({ example: "bob" }),
    before: z.record(z.string(), z.unknown()).nullable(),
    after: z.record(z.string(), z.unknown()).nullable(),
  })
  .openapi("AuditEntry");

const prunedSchema = z
  .object({ calls: z.int(), contents: z.int() })
  .openapi("Pruned", { description: "How many records of calls became sums, and how many contents were deleted" });

export function createOperationRoutes(parts: ControlParts): readonly Route[] {
  const { people } = parts;

  const showQueue = defineRoute({
    method: "get",
    path: "/admin/queue",
    access: "admin",
    summary: "What waits and runs now",
    details: "At most 1,000 of each; the counts are of all.",
    query: z.strictObject({ user: filterSchema.optional(), model: filterSchema.optional() }),
    answer: { status: 200, description: "The queue, in the order in which calls will start", schema: queueSchema },
    handle: ({ query }) => toQueueJson(parts.queue(), query),
  });

  const showUpstreams = defineRoute({
    method: "get",
    path: "/admin/upstreams",
    access: "admin",
    summary: "The upstream's limits, configured and learned",
    answer: { status: 200, description: "By upstream key", schema: z.object({ data: z.array(upstreamSchema) }) },
    handle: () => ({ data: toUpstreamsJson(parts.queue()) }),
  });

  const showConfig = defineRoute({
    method: "get",
    path: "/admin/config",
    access: "admin",
    summary: "The effective configuration",
    answer: {
      status: 200,
      description: "Each value, and where it was written",
      schema: z.object({ data: z.array(configRowSchema) }),
    },
    handle: () => ({ data: parts.describeConfig().map(({ name, value, origin }) => ({ name, value, origin })) }),
  });

  const showAudit = defineRoute({
    method: "get",
    path: "/admin/audit",
    access: "admin",
    summary: "Who changed what, the newest first",
    query: z.strictObject({
      ...pageQuery,
      actor: filterSchema.optional(),
      action: filterSchema.optional(),
      target: filterSchema.optional(),
    }),
    answer: { status: 200, description: "A page", schema: listOf(auditSchema) },
    async handle({ query: { limit, cursor, ...filter } }) {
      const before = decodeCursor("audit", cursor, numberPattern);
      const beforeId = before === null ? null : Number(before);
      const entries = await fromStore(people.listAudit({ limit: limit + 1, beforeId, ...omitUndefined(filter) }));
      return toList(
        toPage(entries, limit, ({ id }) => String(id)),
        "audit",
        toAuditJson,
      );
    },
  });

  const backUp = defineRoute({
    method: "post",
    path: "/admin/backup",
    access: "operator",
    summary: "Back the database up",
    details: "A consistent copy while everything runs, into a new file on the gateway's machine. SQLite only.",
    body: z
      .strictObject({ file: z.string().min(1).max(4_096).openapi({ example: "/var/backups/glm-proxy.db" }) })
      .openapi("Backup"),
    answer: { status: 201, description: "Written", schema: z.object({ file: z.string() }) },
    async handle({ body: { file }, actor }) {
      requireNewFile(file);
      await parts.backup(file, actor).catch(explainToOperator);
      return { file };
    },
  });

  const prune = defineRoute({
    method: "post",
    path: "/admin/prune",
    access: "admin",
    summary: "Prune old records now",
    details: "Records of calls of earlier days become sums; left out: as `ledger.retention_days` says.",
    body: z.strictObject({ before: instantSchema.optional() }).openapi("Pruning"),
    answer: { status: 200, description: "What was pruned", schema: prunedSchema },
    async handle({ body: { before }, actor }) {
      const { calls, contents } = await fromStore(parts.prune(toInstant(before, parts), actor));
      return { calls, contents };
    },
  });

  return [showQueue, showUpstreams, showConfig, showAudit, backUp, prune];
}

function requireNewFile(file: string): void {
  if (!isAbsolute(file) || /\p{C}/u.test(file)) {
    throw new Refusal("invalid_field", {
      param: "file",
      detail: "it must be an absolute path on the gateway's machine",
    });
  }
  if (lstatSync(file, { throwIfNoEntry: false })) throw new Refusal("conflict", { detail: "the file exists already" });
}

function toAuditJson(entry: AuditEntry): z.input<typeof auditSchema> {
  return {
    id: entry.id,
    at: toTime(entry.at),
    actor: entry.actor,
    via: entry.via,
    address: entry.address,
    request_id: entry.requestId,
    action: entry.action,
    target: entry.target,
    // Written as they are on the wire.
    before: entry.before as Record<string, unknown> | null,
    after: entry.after as Record<string, unknown> | null,
  };
}
