// GLM's business codes as it says them: HTTP status and words in both languages. Source: docs.bigmodel.cn (api-code),
// docs.z.ai, and bodies reported by clients.

export interface GlmError {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

export type GlmLanguage = "en" | "zh";

const errors: Readonly<Record<string, readonly [status: number, en: string, zh: string]>> = {
  "401": [401, "token expired or incorrect", "令牌已过期或验证不正确"],
  "500": [500, "Internal error", "内部错误"],
  "1001": [401, "Authorization header is missing", "Header中未收到Authorization参数，无法进行身份验证。"],
  "1003": [401, "Authorization token has expired", "Authorization Token已过期，请重新生成/获取"],
  "1112": [429, "Your account has been locked", "您的账户已被锁定，请联系客服解锁"],
  "1113": [429, "Insufficient balance or no resource package. Please recharge.", "余额不足或无可用资源包，请充值。"],
  "1121": [429, "Your account violates the terms of use", "您的账户存在违规行为，已被锁定"],
  "1200": [500, "API call error", "接口调用失败"],
  "1210": [400, "Invalid API parameter, please check the documentation.", "API 调用参数有误，请检查文档。"],
  "1211": [400, "Unknown Model, please check the model code.", "模型不存在，请检查模型代码。"],
  "1213": [400, "The parameter is missing", "未正常接收到参数。"],
  "1214": [400, "The parameter is invalid", "参数非法，请检查文档。"],
  "1231": [400, "A request with this request_id is already running", "您已有请求在处理中"],
  "1234": [500, "Network error, please try again later", "网络错误，请稍后重试"],
  "1261": [400, "Prompt exceeds max length", "Prompt 超长"],
  "1301": [
    400,
    "The input or the output may contain unsafe content",
    "系统检测到输入或生成内容可能包含不安全或敏感内容",
  ],
  "1302": [429, "Rate limit reached for requests", "您的账户已达到速率限制，请您控制请求频率"],
  "1303": [429, "The request frequency is too high", "当前API请求频率过高，请稍后重试"],
  "1304": [429, "The daily call limit has been reached", "您的调用次数已达今日上限"],
  "1305": [
    429,
    "The service may be temporarily overloaded, please try again later",
    "该模型当前访问量过大，请您稍后再试",
  ],
  "1308": [
    429,
    "Usage limit reached for 5 hour. Your limit will reset at {reset}",
    "已达到 5 小时的使用上限。您的限额将在 {reset} 重置。",
  ],
  "1309": [429, "Your plan has expired", "您的套餐已到期"],
  "1310": [
    429,
    "Weekly/Monthly limit exhausted. Your limit will reset at {reset}",
    "已达到每周/每月使用上限，您的限额将在 {reset} 重置",
  ],
  "1312": [429, "This model is busy, please use another one", "该模型当前繁忙，请使用其他模型"],
  "1313": [429, "Your account is restricted by the fair use policy", "您的账户因违反公平使用政策而受限"],
};

/** How far ahead the resets of quotas lie. */
const resetAheadMs = 60 * 60_000;

/** The error of a code as GLM words it; unknown codes come as 500. */
export function toGlmError(code: string, language: GlmLanguage, wallNowMs: number): GlmError {
  const [status, en, zh] = errors[code] ?? [500, `Error ${code}`, `错误 ${code}`];
  const message = (language === "zh" ? zh : en).replace("{reset}", formatBeijing(wallNowMs + resetAheadMs));
  return { status, code, message };
}

/** `2026-11-23 20:15:00`, Beijing's time, as GLM writes it: without a zone. */
export function formatBeijing(wallMs: number): string {
  return new Date(wallMs + 8 * 3_600_000).toISOString().slice(0, 19).replace("T", " ");
}

export function toErrorBody({ code, message }: GlmError): string {
  return JSON.stringify({ error: { code, message } });
}
