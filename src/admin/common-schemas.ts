// Schemas that several models share.

import { z } from "@hono/zod-openapi";
import { type LimitName, limitNames } from "../base/limits.ts";
import { roles, trafficClasses } from "../base/principal.ts";

export const timeSchema = z.iso.datetime({ offset: true }).openapi({ example: "2026-11-23T08:00:00.000Z" });

/** A day, or a time. */
export const instantSchema = z.union([z.iso.date(), z.iso.datetime({ offset: true })]).openapi({
  type: "string",
  example: "2026-11-23",
  description: "A day (its beginning where quotas are counted) or a time with its offset",
});

export const nameSchema = z.string().min(1).max(128).openapi({ example: "ada" });
export const groupNameSchema = z.string().min(1).max(128).openapi({ example: "research" });
export const idSchema = z.string().min(1).max(128).openapi({ example: "019aaf3e-8000-7abc-8def-0123456789ab" });
/** No control characters, which names have not and PostgreSQL would not take. */
export const filterSchema = z
  .string()
  .max(256)
  .regex(/^[^\p{Cc}]+$/u, "a text on one line");

export const roleSchema = z.enum(roles).openapi({ example: "user" });
export const classSchema = z.enum(trafficClasses).openapi({ example: "default" });
export const weightSchema = z.number().openapi({ example: 1, description: "Share of the upstream: 0.001 to 1000" });

export const limitsSchema = z
  .strictObject(Object.fromEntries(limitNames.map((name) => [name, z.number().min(0).optional()])) as LimitShape)
  .openapi("Limits", {
    example: { "requests/day": 1_000, "cost/month": 20, concurrency: 2 },
    description: "How much of each: `metric/window`, or `concurrency`. What is not named is not limited.",
  });

export const runsJobsSchema = z.boolean().openapi({
  description:
    "Whether it may start batches and fine-tuning jobs although it has quotas or a list of models, which the calls of such jobs don't count against",
});

type LimitShape = Record<LimitName, z.ZodOptional<z.ZodNumber>>;

export const currencySchema = z.string().openapi({ example: "CNY", description: "The currency of every cost" });
export const costSchema = z.number().openapi({ example: 0.0123 });
