// What people read when the gateway says no: one sentence or two per reason, in English and Chinese.
// Each tells what happened, which limit, when to retry and what to do. Codes are stable, words may change.

import type { Refusal, RefusalFacts, RefusalReason } from "./refusal.ts";

export type Language = "en" | "zh";

/** The language that `accept-language` ranks first among those we have. Default: English. */
export function chooseLanguage(acceptLanguage: string | undefined): Language {
  if (acceptLanguage === undefined) return "en";
  let best: Language = "en";
  let bestWeight = 0;
  for (const item of acceptLanguage.slice(0, 200).split(",")) {
    const [tag = "", ...parameters] = item.trim().toLowerCase().split(";");
    const language = /^zh(-|$)/.test(tag) ? "zh" : /^(en(-|$)|\*$)/.test(tag) ? "en" : undefined;
    const quality = parameters.find((parameter) => parameter.trim().startsWith("q="));
    const weight = quality === undefined ? 1 : Number(quality.trim().slice(2));
    if (language !== undefined && weight > bestWeight) {
      best = language;
      bestWeight = weight;
    }
  }
  return best;
}

/** The public message of a refusal, without its request id. */
export function describeRefusal(refusal: Refusal, language: Language): string {
  return words[refusal.reason][language === "zh" ? 1 : 0](refusal.facts);
}

type Words = (facts: RefusalFacts) => string;

const words: Record<RefusalReason, readonly [en: Words, zh: Words]> = {
  invalid_token: [
    () =>
      "Cannot authenticate: the token or API key is missing or not valid. Log in at /auth/login for a new token, or ask for a new key.",
    () => "身份验证失败：缺少 token（或 API key）或其无效。请在 /auth/login 重新登录获取新 token，或申请新的 API key。",
  ],
  token_expired: [
    () => "Cannot authenticate: the token has expired. Log in at /auth/login for a new one.",
    () => "身份验证失败：token 已过期。请在 /auth/login 重新登录获取新 token。",
  ],
  wrong_credentials: [
    () => "Cannot log in: the user name or the password is wrong.",
    () => "登录失败：用户名或密码错误。",
  ],
  login_throttled: [
    (f) => `Cannot log in now: too many failed logins. Try again in ${about(f)} s.`,
    (f) => `暂时无法登录：失败次数过多。请在 ${about(f)} 秒后重试。`,
  ],
  login_busy: [
    (f) => `Cannot log in now: too many logins are being checked. Try again in ${about(f)} s.`,
    (f) => `暂时无法登录：正在处理的登录过多。请在 ${about(f)} 秒后重试。`,
  ],
  forbidden: [(f) => `Cannot allow this request${because(f)}.`, (f) => `不允许此请求${because(f)}。`],
  model_not_allowed: [
    (f) => `Cannot use this model: it is not among those that this API key may use${because(f)}.`,
    (f) => `该 API key 无权使用此模型${because(f)}。`,
  ],
  jobs_not_allowed: [
    (f) =>
      `Cannot start a batch or a fine-tuning job: this ${f.scope === "user" ? "user" : "API key"} has limits, which such jobs' calls would not count against, and not the right "runs_jobs". The gateway's administrator can grant it.`,
    (f) =>
      `无法创建批处理或微调任务：该${f.scope === "user" ? "用户" : " API key"} 设有限制，而此类任务中的调用不计入这些限制，且没有 "runs_jobs" 权限。可请网关管理员授予该权限。`,
  ],
  insufficient_quota: [
    (f) =>
      `Cannot take the call: the quota ${f.quota} is used up (${f.used} of ${f.limit} taken${needs(f)}). ${f.resetsAt === undefined ? "It does not renew by itself" : `It renews at ${f.resetsAt}`}; the gateway's administrator can raise it.`,
    (f) =>
      `配额已用完：${f.quota}（上限 ${f.limit}，已用 ${f.used}${needsZh(f)}）。${f.resetsAt === undefined ? "该配额不会自动恢复" : `将于 ${f.resetsAt} 恢复`}；可请网关管理员提高配额。`,
  ],
  concurrency_exceeded: [
    (f) =>
      `Cannot take the call: ${f.used} calls are waiting or running (limit ${f.limit}, quota ${f.quota}). Retry when one has ended, in about ${about(f)} s.`,
    (f) =>
      `并发已达上限：${f.used} 个请求正在排队或运行（上限 ${f.limit}，配额 ${f.quota}）。请在其中一个结束后重试，约 ${about(f)} 秒后。`,
  ],
  bad_request: [(f) => `Cannot understand the request${because(f)}.`, (f) => `无法理解该请求${because(f)}。`],
  invalid_json: [(f) => `Cannot read the body as JSON${because(f)}.`, (f) => `请求体不是有效的 JSON${because(f)}。`],
  invalid_field: [
    (f) => `Cannot accept "${f.param}"${because(f)}.`,
    (f) => `字段 "${f.param}" 不符合要求${because(f)}。`,
  ],
  not_found: [
    (f) =>
      `Cannot find this here: ${f.detail ?? "chat is at POST /v1/chat/completions and POST /api/paas/v4/chat/completions; the rest is described at /docs"}.`,
    (f) =>
      `此处没有所请求的内容：${f.detail ?? "对话接口为 POST /v1/chat/completions 与 POST /api/paas/v4/chat/completions，其余见 /docs"}。`,
  ],
  method_not_allowed: [
    (f) => `Cannot use this method here: allowed is ${f.allow}.`,
    (f) => `此路径不支持该方法：允许的方法是 ${f.allow}。`,
  ],
  unknown_object: [(f) => `Cannot find it${because(f)}.`, (f) => `找不到该对象${because(f)}。`],
  conflict: [(f) => `Cannot do this now${because(f)}.`, (f) => `操作冲突${because(f)}。`],
  read_only_object: [
    (f) => `Cannot change it here: it comes from the configuration file${because(f)}.`,
    (f) => `无法在此修改：它来自配置文件${because(f)}。`,
  ],
  request_timeout: [
    () => "Cannot wait longer for the request: it arrived too slowly.",
    () => "请求接收超时：请求到达过慢。",
  ],
  body_too_large: [
    (f) => `Cannot accept the body: it is larger than ${f.limit} bytes (the limit is server.body_limit_bytes).`,
    (f) => `请求体过大：上限为 ${f.limit} 字节（由 server.body_limit_bytes 设置）。`,
  ],
  unsupported_media_type: [
    (f) => `Cannot read the body: send it as "content-type: application/json", not compressed${because(f)}.`,
    (f) => `无法读取请求体：请使用 "content-type: application/json" 且不要压缩${because(f)}。`,
  ],
  expectation_failed: [
    () => 'Cannot meet the expectation: only "expect: 100-continue" is known.',
    () => '不支持该 Expect 请求头：只支持 "100-continue"。',
  ],
  headers_too_large: [
    () => "Cannot accept the headers: at most 16 KiB and 100 of them are read.",
    () => "请求头过大：最多 16 KiB、100 个。",
  ],
  version_not_supported: [
    () => "Cannot speak this HTTP version: use HTTP/1.1.",
    () => "不支持该 HTTP 版本：请使用 HTTP/1.1。",
  ],
  too_many_connections: [
    (f) =>
      `Cannot take the connection: ${f.limit} from this address are open (the limit is server.connections_per_address). Close some or reuse them; a proxy belongs into server.trusted_proxies.`,
    (f) =>
      `无法接受连接：该地址已有 ${f.limit} 个连接（上限由 server.connections_per_address 设置）。请关闭或复用连接；代理应写入 server.trusted_proxies。`,
  ],
  queue_full: [
    (f) => `Cannot queue the call: ${f.waiting} are waiting (limit ${f.limit}). Retry in about ${about(f)} s.`,
    (f) => `队列已满：正在排队 ${f.waiting} 个（上限 ${f.limit}）。请在约 ${about(f)} 秒后重试。`,
  ],
  user_queue_full: [
    (f) =>
      `Cannot queue the call: ${f.waiting} of your own calls are waiting (limit ${f.limit}). Retry in about ${about(f)} s.`,
    (f) => `您的排队已满：您有 ${f.waiting} 个请求正在排队（上限 ${f.limit}）。请在约 ${about(f)} 秒后重试。`,
  ],
  wait_too_long: [
    (f) =>
      `Cannot queue the call: it would wait about ${whole(f.elapsedMs)} s (limit ${seconds(f.limit)} s). Retry in about ${about(f)} s.`,
    (f) =>
      `排队时间过长：预计需等待约 ${whole(f.elapsedMs)} 秒（上限 ${seconds(f.limit)} 秒）。请在约 ${about(f)} 秒后重试。`,
  ],
  queue_timeout: [
    (f) =>
      `Cannot start the call: it waited ${seconds(f.elapsedMs)} s in the queue (limit ${seconds(f.limit)} s). Retry in about ${about(f)} s.`,
    (f) => `排队超时：已等待 ${seconds(f.elapsedMs)} 秒（上限 ${seconds(f.limit)} 秒）。请在约 ${about(f)} 秒后重试。`,
  ],
  memory_full: [
    (f) =>
      `Cannot take the call now: the gateway's buffers, or the part of them that one user may have, are full. Retry in about ${about(f)} s.`,
    (f) => `暂时无法处理：网关缓冲区（或单个用户可用的部分）已满。请在约 ${about(f)} 秒后重试。`,
  ],
  shutting_down: [
    (f) => `Cannot go on: the gateway is shutting down. Retry in about ${about(f)} s.`,
    (f) => `网关正在关闭。请在约 ${about(f)} 秒后重试。`,
  ],
  client_gone: [() => "The client went away.", () => "客户端已断开。"],
  client_stalled: [() => "The client stopped reading.", () => "客户端停止读取。"],
  upstream_rejected: [
    (f) => f.upstreamMessage ?? "GLM did not accept the request.",
    (f) => f.upstreamMessage ?? "GLM 未接受该请求。",
  ],
  upstream_rate_limited: [
    (f) => `Cannot get an answer: GLM limits this account's calls now${code(f)}. Retry in about ${about(f)} s.`,
    (f) => `GLM 正在限制本账户的请求${code(f)}。请在约 ${about(f)} 秒后重试。`,
  ],
  upstream_busy: [
    (f) => `Cannot get an answer: GLM is overloaded now${code(f)}. Retry in about ${about(f)} s.`,
    (f) => `GLM 当前访问量过大${code(f)}。请在约 ${about(f)} 秒后重试。`,
  ],
  upstream_quota: [
    (f) =>
      `Cannot get an answer: the GLM account has used up its quota${code(f)}${until(f)}. Ask the gateway's operator.`,
    (f) => `GLM 账户额度已用完${code(f)}${untilZh(f)}。请联系网关管理员。`,
  ],
  upstream_account: [
    (f) =>
      `Cannot get an answer: GLM does not accept the gateway's own account or key${code(f)}. Ask the gateway's operator.`,
    (f) => `GLM 不接受网关的账户或密钥${code(f)}。请联系网关管理员。`,
  ],
  upstream_failed: [
    (f) => `Cannot get an answer: GLM failed${code(f)}. Retry in about ${about(f)} s.`,
    (f) => `GLM 出错${code(f)}。请在约 ${about(f)} 秒后重试。`,
  ],
  upstream_dns: [() => "Cannot reach GLM: its host name could not be resolved.", () => "无法连接 GLM：域名解析失败。"],
  upstream_refused: [() => "Cannot reach GLM: the connection was refused.", () => "无法连接 GLM：连接被拒绝。"],
  upstream_tls: [
    () => "Cannot reach GLM: its TLS certificate or handshake is not valid. Ask the gateway's operator.",
    () => "无法连接 GLM：TLS 证书或握手无效。请联系网关管理员。",
  ],
  upstream_reset: [
    () => "Cannot get an answer: GLM closed the connection before it had answered.",
    () => "GLM 在回答之前断开了连接。",
  ],
  upstream_protocol: [() => "Cannot read GLM's answer: it is not valid HTTP.", () => "GLM 的回答不是有效的 HTTP。"],
  upstream_unexpected: [(f) => `Cannot use GLM's answer${because(f)}.`, (f) => `GLM 的回答无法使用${because(f)}。`],
  upstream_too_large: [
    (f) => `Cannot use GLM's answer: it is larger than ${f.limit} bytes.`,
    (f) => `GLM 的回答过大：上限为 ${f.limit} 字节。`,
  ],
  upstream_exposed_key: [
    () => "The answer was withheld: it contained the gateway's own key for GLM. Tell the gateway's operator.",
    () => "回答已被拦截：其中包含网关自己的 GLM 密钥。请联系网关管理员。",
  ],
  upstream_truncated: [
    () => "The answer is incomplete: GLM ended the stream before it was finished.",
    () => "回答不完整：GLM 提前结束了数据流。",
  ],
  upstream_connect_timeout: [
    (f) => `Cannot reach GLM: no connection within ${seconds(f.limit)} s. Retry in about ${about(f)} s.`,
    (f) => `无法连接 GLM：${seconds(f.limit)} 秒内未建立连接。请在约 ${about(f)} 秒后重试。`,
  ],
  upstream_first_byte_timeout: [
    (f) => `GLM did not begin to answer within ${seconds(f.limit)} s. Retry in about ${about(f)} s.`,
    (f) => `GLM 在 ${seconds(f.limit)} 秒内没有开始回答。请在约 ${about(f)} 秒后重试。`,
  ],
  upstream_idle_timeout: [
    (f) => `GLM sent nothing for ${seconds(f.limit)} s. Retry in about ${about(f)} s.`,
    (f) => `GLM 已有 ${seconds(f.limit)} 秒没有发送数据。请在约 ${about(f)} 秒后重试。`,
  ],
  upstream_timeout: [
    (f) => `GLM did not finish within ${seconds(f.limit)} s, the whole answer included. Retry in about ${about(f)} s.`,
    (f) => `GLM 未能在 ${seconds(f.limit)} 秒内完成（包含整个流式输出）。请在约 ${about(f)} 秒后重试。`,
  ],
  ledger_unavailable: [
    (f) =>
      `Cannot take the call now: its record cannot be kept, as when the disk is full. Retry in about ${about(f)} s, or tell the gateway's operator.`,
    (f) => `暂时无法处理：无法保存调用记录（例如磁盘已满）。请在约 ${about(f)} 秒后重试，或联系网关管理员。`,
  ],
  store_unavailable: [
    (f) => `Cannot do this now: the gateway's database cannot be reached. Retry in about ${about(f)} s.`,
    (f) => `暂时无法操作：网关数据库不可用。请在约 ${about(f)} 秒后重试。`,
  ],
  object_unrecorded: [
    (f) =>
      `It was made upstream${because(f)}, but the gateway could not write down yet that it is yours. It does so when its database is back. Do not repeat the request.`,
    (f) => `已在上游创建${because(f)}，但网关暂时无法记录它属于您；数据库恢复后会补记。请勿重复请求。`,
  ],
  internal_error: [
    () => "Something went wrong inside the gateway. The operator finds it in the log by the request id.",
    () => "网关内部错误。管理员可凭 request id 在日志中查找。",
  ],
};

function needs({ needed }: RefusalFacts): string {
  return needed === undefined ? "" : `, the call may need ${needed}`;
}

function needsZh({ needed }: RefusalFacts): string {
  return needed === undefined ? "" : `，本次最多需要 ${needed}`;
}

function because(facts: RefusalFacts): string {
  return facts.detail === undefined ? "" : `: ${facts.detail}`;
}

function code(facts: RefusalFacts): string {
  return facts.upstreamCode === undefined ? "" : ` (${facts.upstreamCode})`;
}

function until(facts: RefusalFacts): string {
  return facts.retryAfterMs === undefined ? "" : `; it resets in about ${about(facts)} s`;
}

function untilZh(facts: RefusalFacts): string {
  return facts.retryAfterMs === undefined ? "" : `，约 ${about(facts)} 秒后重置`;
}

/** Whole seconds until a retry, as `Retry-After` says them. */
function about(facts: RefusalFacts): number {
  return Math.max(1, Math.ceil((facts.retryAfterMs ?? 1_000) / 1_000));
}

/** An estimate, which a fraction would make look exact. */
function whole(ms: number | undefined): number {
  return Math.ceil((ms ?? 0) / 1_000);
}

function seconds(ms: number | undefined): string {
  return String(Math.round((ms ?? 0) / 100) / 10);
}
