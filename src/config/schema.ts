// Every key of the configuration file, once: type, range, default, what it is for, and whether it is a secret.
// Environment names, validation, origins and documentation all derive from this table. Rules between keys are in
// checks.ts; keys that this version recognises but cannot serve are listed in unavailable.ts.

import { trafficClasses } from "../base/principal.ts";
import { heartbeatStyles } from "../surfaces/surface.ts";
import { upstreamKinds } from "./settings.ts";
import {
  isAddressRange,
  isBaseUrl,
  isHeaderSafe,
  isHost,
  isHostName,
  isModelName,
  isNone,
  isOneLine,
  isPasswordHash,
  isStoreUrl,
  isTimeZone,
} from "./text-rules.ts";
import {
  boolean,
  type Content,
  decimal,
  key,
  listOf,
  mapOf,
  oneOf,
  requiredKey,
  type TableRules,
  tableOf,
  text,
  wholeNumber,
} from "./value-types.ts";

const seconds = decimal(0.001, 86_400, "number of seconds");
const requestRate = decimal(0.001, 1_000_000);
const concurrency = wholeNumber(1, 100_000);
const tokenRate = wholeNumber(1, 1_000_000_000);
const upstreamKey = text("a key of visible ASCII characters", isHeaderSafe);
const price = decimal(0, 1_000_000, "price");
const name = text("1 to 128 characters on one line", isOneLine);
const modelName = text("a model name of 1 to 200 characters without spaces", isModelName);
const modelPattern = text('a model name, or a pattern such as "glm-4.5*"', isModelName);
const baseUrl = text("an http or https URL without credentials, query or fragment", isBaseUrl);
const optionalBaseUrl = text(
  'an http or https URL without credentials, query or fragment, or "none"',
  (value) => isNone(value) || isBaseUrl(value),
);

const user = {
  username: requiredKey(name, "Name to log in with."),
  password: key(
    text("1 to 1024 characters", (value) => value.length >= 1 && value.length <= 1_024),
    "Password in plain text; a hash is better.",
    { secrecy: "hidden" },
  ),
  password_hash: key(
    text('an argon2id hash like "$argon2id$v=19$m=…,t=…,p=…$salt$hash"', isPasswordHash),
    "Password as an argon2id hash, made by `glm-proxy hash-password`.",
    { secrecy: "hidden" },
  ),
  role: key(oneOf(["user", "admin"]), "Administrators may change users and see everybody's calls.", {
    fallback: "user",
  }),
  weight: key(decimal(0.001, 1_000), "Share of the upstream relative to other users of the same class.", {
    fallback: 1,
  }),
  class: key(oneOf(trafficClasses), "What the user's calls are for; interactive ones get the largest share.", {
    fallback: "default",
  }),
  group: key(name, "Group of the store that the user is in."),
};

const poolKey = {
  name: key(name, "Name of the key in logs and metrics; several keys need one each.", { fallback: "default" }),
  api_key: key(upstreamKey, "The upstream key; that of [glm] when unset.", { secrecy: "masked" }),
  kind: key(
    oneOf(upstreamKinds),
    "What is at its base URL: GLM, or any server with OpenAI's API, which may need no key.",
    { fallback: "glm" },
  ),
  base_url: key(baseUrl, "Where the API begins that this key is for; that of [glm] when unset."),
  anthropic_base_url: key(
    optionalBaseUrl,
    'Where the Anthropic-compatible API begins that this key is for; derived from its base_url when unset, "none" for none.',
  ),
  account: key(name, "Keys of one account share its limits; the key's own account when unset."),
  weight: key(decimal(0.001, 1_000), "Part of the calls relative to other keys.", { fallback: 1 }),
  requests_per_second: key(requestRate, "Starts per second on this key."),
  max_concurrency: key(concurrency, "Calls running at once on this key."),
  tokens_per_minute: key(tokenRate, "LLM tokens per minute on this key."),
  models: key(listOf(modelPattern, 1_000), "Models that this key serves; `*` stands for anything."),
};

const familyRule = {
  requests_per_second: key(requestRate, "Starts per second of these calls, on each key."),
  max_concurrency: key(concurrency, "Calls of this family running at once, on each key."),
};

const families = {
  chat: familyOf("Chat completions, messages and responses."),
  embeddings: familyOf("Embeddings, ranks, token counts and moderation."),
  images: familyOf("Pictures."),
  videos: familyOf("Films."),
  audio: familyOf("Speech and transcripts."),
  search: familyOf("Web search and pages."),
  files: familyOf("Files and what is made of them."),
  agents: familyOf("Agents and assistants."),
  poll: familyOf("Calls that only ask how something stands; 10 a second when nothing is set."),
};

function familyOf(description: string) {
  return key(tableOf(familyRule), description);
}

const modelRule = {
  timeout_seconds: key(seconds, "Longest time from sending a call to its last byte, for these models."),
  first_byte_timeout_seconds: key(seconds, "Longest wait for the first byte of an answer, for these models."),
  idle_timeout_seconds: key(seconds, "Longest pause within an answer, for these models."),
  requests_per_second: key(requestRate, "Starts per second of each of these models, on each key."),
  max_concurrency: key(concurrency, "Calls running at once of each of these models, on each key."),
  tokens_per_minute: key(tokenRate, "LLM tokens per minute of each of these models, on each key."),
};

const modelPrice = {
  input: requiredKey(price, "Per million tokens of input, in the list's currency."),
  output: requiredKey(price, "Per million tokens of output."),
  cached_input: key(price, "Per million tokens of input that the upstream had cached; as the rest when unset."),
};

const sections = {
  server: section("Where and how the gateway listens.", {
    host: key(text("an address or a host name", isHost), "Address to listen on.", { fallback: "0.0.0.0" }),
    port: key(wholeNumber(0, 65_535), "TCP port; 0 lets the system choose a free one.", { fallback: 8_080 }),
    body_limit_bytes: key(wholeNumber(1, 268_435_456), "Largest request body.", { fallback: 10_485_760 }),
    upload_limit_bytes: key(
      wholeNumber(1, 17_179_869_184),
      "Largest body with files, which goes upstream as it comes: 100 MiB and what a form adds.",
      { fallback: 105_906_176 },
    ),
    shutdown_grace_seconds: key(
      decimal(0, 86_400, "number of seconds"),
      "How long running calls may go on after a stop was asked for.",
      { fallback: 30 },
    ),
    write_stall_seconds: key(seconds, "A client that takes no byte for so long is cut.", { fallback: 30 }),
    connections_per_address: key(
      wholeNumber(1, 10_000),
      "Connections that one address may have open, this machine's too; trusted proxies have no such limit.",
      { fallback: 256 },
    ),
    heartbeat_seconds: key(
      decimal(0.1, 3_600, "number of seconds"),
      "How often a streaming call that waits in the queue gets a sign of life; never when unset.",
    ),
    heartbeat_grace_seconds: key(
      decimal(0, 3_600, "number of seconds"),
      "How long such a call waits before the first; from then on a refusal is an event of the stream, not a status.",
      { fallback: 2 },
    ),
    heartbeat_style: key(
      oneOf(heartbeatStyles),
      "What the sign is: a comment, or an empty chunk for clients that ignore comments.",
      { fallback: "comment" },
    ),
    trusted_proxies: key(
      listOf(text('an IP address or a range like "10.0.0.0/8"', isAddressRange), 1_000),
      "Addresses of proxies whose forwarding headers are believed.",
      { fallback: [] },
    ),
    allowed_hosts: key(
      listOf(text("a host name without a port", isHostName), 1_000),
      "Host names, other than addresses and local names, under which /metrics and, once there is one, the control plane answer.",
      { fallback: [] },
    ),
  }),
  auth: section("Who may use the gateway.", {
    jwt_secret: key(
      text("text", () => true),
      "Secret of at least 32 bytes that signs session tokens; made and kept in the data folder when unset.",
      { secrecy: "masked" },
    ),
    token_ttl_seconds: key(wholeNumber(1, 31_536_000), "How long a session token is valid.", { fallback: 60 }),
    session_ttl_seconds: key(
      wholeNumber(60, 31_536_000),
      "How long a session can go on from its login, by refreshing its token.",
      { fallback: 43_200 },
    ),
    console_idle_seconds: key(
      wholeNumber(60, 31_536_000),
      "How long a session in a browser goes on without a request, within session_ttl_seconds.",
      { fallback: 28_800 },
    ),
    users: key(listOf(tableOf(user), 100_000), "Users that are always there.", { fallback: [] }),
  }),
  glm: section("The upstream.", {
    api_key: key(upstreamKey, "The upstream key; usually given as GLM_FLASH_API_KEY.", { secrecy: "masked" }),
    base_url: key(baseUrl, "Where the upstream's API begins.", { fallback: "https://open.bigmodel.cn/api/paas/v4" }),
    anthropic_base_url: key(
      optionalBaseUrl,
      "Where the upstream's Anthropic-compatible API begins; beside base_url when unset and that is GLM's, \"none\" for none.",
    ),
    timeout_seconds: key(seconds, "Longest time from sending a call to its last byte.", { fallback: 20 }),
    first_byte_timeout_seconds: key(seconds, "Longest wait for the first byte of an answer."),
    idle_timeout_seconds: key(seconds, "Longest pause within an answer."),
    connect_timeout_seconds: key(decimal(0.001, 600, "number of seconds"), "Longest wait for a connection.", {
      fallback: 10,
    }),
    first_event_wait_seconds: key(
      decimal(0, 60, "number of seconds"),
      "How long a stream's head waits for its first event, so that an error there can be a status; 0: not at all.",
      { fallback: 1 },
    ),
    keys: key(listOf(tableOf(poolKey), 1_000), "A pool of upstream keys; api_key alone is a pool of one.", {
      fallback: [],
    }),
    models: key(mapOf(tableOf(modelRule)), 'Other limits for some models, by pattern such as "glm-5*".', {
      fallback: {},
    }),
    aliases: key(mapOf(modelName), "Model names that clients may send -> the upstream's names.", { fallback: {} }),
    fallbacks: key(
      mapOf(listOf(modelName, 10)),
      "Models that answer in a model's place while no key can serve it, tried in this order.",
      { fallback: {} },
    ),
  }),
  rate_limit: section("What the upstream bears, and how calls wait for it.", {
    requests_per_second: key(requestRate, "Most starts within any second.", { fallback: 2 }),
    max_concurrency: key(concurrency, "Most calls running at once."),
    tokens_per_minute: key(tokenRate, "Most LLM tokens within any minute."),
    queue_capacity: key(wholeNumber(0, 100_000), "Most calls waiting at once.", { fallback: 20 }),
    queue_timeout_seconds: key(seconds, "Longest wait in the queue.", { fallback: 5 }),
    send_guard_seconds: key(
      decimal(0, 10, "number of seconds"),
      "Added to the window of one second, since starts may bunch on their way to the upstream.",
      { fallback: 0.02 },
    ),
    abort_linger_seconds: key(
      decimal(0, 60, "number of seconds"),
      "How long an aborted call still counts as running, since the upstream needs time to notice.",
      { fallback: 0.3 },
    ),
    user_requests_per_second: key(requestRate, "Most starts of one user within any second."),
    user_max_concurrency: key(concurrency, "Most calls of one user running at once."),
    user_tokens_per_minute: key(tokenRate, "Most LLM tokens of one user within any minute."),
    user_queue_capacity: key(wholeNumber(0, 100_000), "Most calls of one user waiting at once."),
    families: key(tableOf(families), "Kinds of calls with limits and a queue of their own; others share the keys'."),
    early_refusal: key(boolean(), "Refuse at once what would time out in the queue anyway.", { fallback: false }),
    ietf_fields: key(boolean(), "Send the fields RateLimit and RateLimit-Policy of the IETF's draft.", {
      fallback: true,
    }),
  }),
  store: section("Where records are kept.", {
    url: key(
      text('a URL like "sqlite:…" or "postgres://…"', isStoreUrl),
      "The database: a SQLite file (relative paths are in the data folder, where it is when unset), or PostgreSQL.",
      { secrecy: "hidden" },
    ),
  }),
  ledger: section("What is kept of calls.", {
    on_failure: key(
      oneOf(["strict", "lenient"]),
      "When records can't be written: strict refuses calls, lenient lets them go on and keeps records in memory.",
      { fallback: "strict" },
    ),
    retention_days: key(
      wholeNumber(35, 36_500),
      "How long single calls are kept; after that only their sums by day are.",
      { fallback: 400 },
    ),
    content: key(
      oneOf(["never", "keys"]),
      "Whether prompts and answers are stored: never, or of API keys that were made to keep them.",
      { fallback: "never" },
    ),
    content_retention_days: key(wholeNumber(1, 3_650), "How long prompts and answers are kept.", { fallback: 7 }),
    spool_limit_bytes: key(
      wholeNumber(1_048_576, 1_099_511_627_776),
      "Most bytes of records that wait on the local disk while PostgreSQL is away.",
      { fallback: 268_435_456 },
    ),
  }),
  quotas: section("How quotas are counted.", {
    time_zone: key(
      text('a time zone like "Asia/Shanghai"', isTimeZone),
      "Where minutes, hours, days and months of quotas begin.",
      { fallback: "UTC" },
    ),
    assumed_output_tokens: key(
      wholeNumber(1, 1_000_000),
      "Reserved for an answer when the client does not say how long it may be.",
      { fallback: 1_024 },
    ),
  }),
  prices: section("What tokens cost, for budgets and reports.", {
    currency: key(
      text("a currency like CNY: 1 to 8 letters", (value) => /^[A-Za-z]{1,8}$/.test(value)),
      "The currency that prices, budgets and reports are in.",
      { fallback: "CNY" },
    ),
    models: key(mapOf(tableOf(modelPrice)), 'Prices by model pattern such as "glm-4.5*"; others cost nothing.', {
      fallback: {},
    }),
  }),
  cache: section("Answers that are kept and given again.", {
    enabled: key(boolean(), "Keep answers in memory.", { fallback: false }),
    max_bytes: key(wholeNumber(0, 17_179_869_184), "Most bytes of answers that are kept.", { fallback: 67_108_864 }),
    ttl_seconds: key(wholeNumber(1, 2_592_000), "How long an answer is kept.", { fallback: 300 }),
    entry_max_bytes: key(wholeNumber(1, 1_073_741_824), "Largest answer that is kept.", { fallback: 1_048_576 }),
    models: key(
      listOf(modelPattern, 1_000),
      "Models whose answers are kept unasked; none when empty, but for API keys that ask.",
      {
        fallback: [],
      },
    ),
  }),
  cluster: section("Several gateways sharing one limit.", {
    redis_url: key(
      text('a URL like "redis://…"', (value) => /^rediss?:\/\//.test(value)),
      "The Redis or Valkey server that they share.",
      { secrecy: "hidden" },
    ),
  }),
  metrics: section("What is counted.", {
    user_labels: key(
      wholeNumber(0, 1_000),
      'How many users, the busiest first, have a label of their own in metrics; the rest are "other". 0: none.',
      { fallback: 0 },
    ),
  }),
  log: section("What is told.", {
    level: key(oneOf(["debug", "info", "warn"]), "Least important lines that are logged.", { fallback: "info" }),
  }),
};

/** The whole file as one table of tables. */
export const configType = tableOf(sections);
export const sectionRules: TableRules = sections;

/** The file's content once validated: its own names and units, defaults filled in. */
export type ConfigContent = Content<typeof sections>;

function section<Rules extends TableRules>(description: string, rules: Rules) {
  return requiredKey(tableOf(rules), description);
}
