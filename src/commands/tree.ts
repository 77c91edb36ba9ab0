// The first level of the command line, in the order of its help. What each command takes and does is loaded only when it
// is asked for, so that the server starts as if the others were not there.

import type { Entry } from "./command.ts";

export const entries: readonly Entry[] = [
  {
    name: "serve",
    summary: "run the gateway in the foreground (the default)",
    isDefault: true,
    load: async () => (await import("./server-commands.ts")).serve,
  },
  {
    name: "init",
    summary: "write a first configuration, by questions or flags",
    load: async () => (await import("./init-command.ts")).init,
  },
  {
    name: "check",
    summary: "validate the configuration and print what is in effect, and where each value comes from",
    load: async () => (await import("./server-commands.ts")).check,
  },
  {
    name: "doctor",
    summary: "look for what is wrong, or soon will be, and say how to put it right",
    load: async () => (await import("./doctor-command.ts")).doctor,
  },
  {
    name: "user",
    summary: "people who may log in: add, list, show, set, passwd, enable, disable, remove",
    load: async () => (await import("./user-commands.ts")).userVerbs,
  },
  {
    name: "group",
    summary: "groups that users inherit from: add, list, show, set, remove",
    load: async () => (await import("./group-commands.ts")).groupVerbs,
  },
  {
    name: "key",
    summary: "API keys for tools: add, list, show, rotate, revoke",
    load: async () => (await import("./key-commands.ts")).keyVerbs,
  },
  {
    name: "connect",
    summary: "set up a tool for the gateway: claude, codex, opencode, cline, openwebui, python, node, curl",
    load: async () => (await import("./connect-command.ts")).connectVerbs,
  },
  {
    name: "usage",
    summary: "who used how much: a table, CSV or JSON",
    load: async () => (await import("./usage-command.ts")).usage,
  },
  {
    name: "calls",
    summary: "finished and running calls, newest first",
    load: async () => (await import("./calls-command.ts")).calls,
  },
  {
    name: "ps",
    summary: "calls that run and wait now, with position and time to go",
    load: async () => (await import("./ps-command.ts")).ps,
  },
  {
    name: "tail",
    summary: "follow calls as they end",
    load: async () => (await import("./tail-command.ts")).tail,
  },
  {
    name: "top",
    summary: "a view of queue, limits and users that keeps itself up to date",
    load: async () => (await import("./top-command.ts")).top,
  },
  {
    name: "backup",
    summary: "copy the database into a file, while everything runs",
    load: async () => (await import("./upkeep-commands.ts")).backup,
  },
  {
    name: "prune",
    summary: "turn old calls into their daily sums now",
    load: async () => (await import("./upkeep-commands.ts")).prune,
  },
  {
    name: "migrate",
    summary: "the database's tables: status, up",
    load: async () => (await import("./migrate-commands.ts")).migrateVerbs,
  },
  {
    name: "hash-password",
    summary: "turn a password (asked for, or from standard input) into a password_hash",
    load: async () => (await import("./server-commands.ts")).hashPassword,
  },
  {
    name: "healthcheck",
    summary: "exit code 0 when a gateway is ready",
    load: async () => (await import("./server-commands.ts")).healthcheck,
  },
  {
    name: "demo",
    summary: "see it work: gateway and simulated GLM on free ports (the real GLM with GLM_FLASH_API_KEY set)",
    load: async () => (await import("./server-commands.ts")).demo,
  },
  {
    name: "simulate",
    summary: "run the GLM simulator, for trying things without a key",
    load: async () => (await import("./server-commands.ts")).simulate,
  },
  {
    name: "completions",
    summary: "print a completion script for bash, zsh or fish",
    load: async () => (await import("./completions-command.ts")).createCompletions(entries),
  },
];
