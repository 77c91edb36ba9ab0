// The configuration from its sources to settings, or all problems at once. Reads nothing but what it is handed: no
// process.env, no working folder of its own. Finding and reading the files is in layers.ts.

import { randomBytes } from "node:crypto";
import type { StoreTarget } from "../store/store.ts";
import { checkRules } from "./checks.ts";
import { resolveJwtSecret } from "./jwt-secret.ts";
import { applyPoolOfOne } from "./key-pool.ts";
import { type ConfigSources, gatherLayers, type Layers } from "./layers.ts";
import { dataFolder } from "./locations.ts";
import { type Notice, noticeContent, noticeFileMode } from "./notices.ts";
import { createOrigins, type Origin, type Origins } from "./origins.ts";
import { describeIssues } from "./problems.ts";
import { readProxy } from "./proxy.ts";
import { type ConfigContent, configType } from "./schema.ts";
import type { Settings } from "./settings.ts";
import { toSettings, toStoreTarget } from "./to-settings.ts";
import { findUnavailable } from "./unavailable.ts";
import { validate } from "./value-types.ts";

export type { ConfigSources } from "./layers.ts";
export type { Notice } from "./notices.ts";
export type { Origin, Origins } from "./origins.ts";

export interface LoadOptions {
  /** A secret to sign tokens with when none is configured. The same text at each call, or a reload changes it. */
  readonly createSecret: () => string;
  /** False: nothing is written, as when a configuration is only checked. */
  readonly mayStoreSecret: boolean;
  /** Called before a secret may be written, with where the gateway will keep its files. What it throws is passed on. */
  readonly beforeStoring?: (store: StoreTarget, dataFolder: string) => void;
}

export interface LoadedConfig {
  readonly settings: Settings;
  readonly notices: readonly Notice[];
  readonly origins: Origins;
  /** Effective values by the file's own names and units, secrets included: for describeSettings, never for output. */
  readonly content: ConfigContent;
  /** Absolute path of the file that was read, or null when there is none. */
  readonly file: string | null;
}

/** The configuration cannot be used. Each problem is one line and holds no secret. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`Cannot use the configuration:\n${problems.join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** Makes one secret and keeps to it, so that a reload without a writable data folder changes nothing. */
export function createSecretMaker(): () => string {
  let secret: string | undefined;
  return () => {
    secret ??= randomBytes(32).toString("base64url");
    return secret;
  };
}

/** Throws ConfigError. */
export function loadConfig(sources: ConfigSources, options: LoadOptions): LoadedConfig {
  const layers = gatherLayers(sources);
  const folder = dataFolder(sources.env);
  const { proxy, problems } = readProxy(sources.env);
  const { content, origins } = validateLayers({ ...layers, problems: [...layers.problems, ...problems] });
  if (options.mayStoreSecret) options.beforeStoring?.(toStoreTarget(content.store.url, folder), folder);
  const jwt = resolveJwtSecret({
    configured: toConfigured(content, origins),
    dataFolder: folder,
    files: sources.files,
    createSecret: options.createSecret,
    mayStore: options.mayStoreSecret,
  });
  if ("problem" in jwt) throw new ConfigError([jwt.problem]);
  const effective: ConfigContent = { ...content, auth: { ...content.auth, jwt_secret: jwt.secret } };
  return {
    settings: toSettings(effective, folder, proxy),
    notices: [
      ...(layers.file?.notices ?? []),
      ...jwt.notices,
      ...noticeContent(effective, origins),
      ...noticeModes(sources, layers, effective, origins),
    ],
    origins: origins.replace(new Map([["auth.jwt_secret", jwt.origin]])),
    content: effective,
    file: layers.file?.path ?? null,
  };
}

function validateLayers(layers: Layers): { content: ConfigContent; origins: Origins } {
  const origins = createOrigins(layers.file, layers.overrides);
  // Without the file's values every rule would complain about what the file may well say.
  if (layers.isFileLost) throw new ConfigError(layers.problems);
  const { value, issues } = validate(configType, layers.tree);
  const allIssues = [...issues, ...findUnavailable(layers.tree), ...checkRules(layers.tree)];
  const problems = [...describeIssues(allIssues, layers.tree, origins), ...layers.problems];
  if (value === null || problems.length > 0) throw new ConfigError(problems);
  const { content, replaced } = applyPoolOfOne(value, origins);
  return { content, origins: origins.replace(replaced) };
}

function toConfigured(content: ConfigContent, origins: Origins): { secret: string; origin: Origin } | undefined {
  const secret = content.auth.jwt_secret;
  return secret === undefined ? undefined : { secret, origin: origins.find(["auth", "jwt_secret"]) };
}

function noticeModes(sources: ConfigSources, layers: Layers, content: ConfigContent, origins: Origins): Notice[] {
  const secretLayers = [
    ...(content.glm.api_key === undefined ? [] : [origins.find(["glm", "api_key"]).layer]),
    ...content.glm.keys.flatMap(({ api_key: apiKey }, index) =>
      apiKey === undefined ? [] : [origins.find(["glm", "keys", index, "api_key"]).layer],
    ),
    ...(content.auth.jwt_secret === undefined ? [] : [origins.find(["auth", "jwt_secret"]).layer]),
    ...(content.auth.users.length === 0 ? [] : [origins.find(["auth", "users"]).layer]),
  ];
  const { file, dotenvPath } = layers;
  return [
    ...(file && secretLayers.includes("file") ? noticeFileMode(sources.files, file.path, file.name) : []),
    ...(dotenvPath && secretLayers.includes("dotenv") ? noticeFileMode(sources.files, dotenvPath, ".env") : []),
  ];
}
