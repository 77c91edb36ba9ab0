// GLM's business codes as it says them: HTTP status and words in both languages. Source: docs.bigmodel.cn (api-code),
// docs.z.ai, and bodies reported by clients. The status alone never tells what happened; the code does.

import { formatBeijing } from "./glm-id.ts";

export interface GlmError {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

export type GlmLanguage = "en" | "zh";

type ErrorRow = readonly [status: number, en: string, zh: string];

/** {param} is the parameter at fault, {reset} the time when a quota starts anew. */
const errors: Readonly<Record<string, ErrorRow>> = {
  "-1": [500, "Internal error", "内部错误"],
  "401": [401, "token expired or incorrect", "令牌已过期或验证不正确"],
  "404": [404, "The {param} was not found", "{param} 不存在"],
  "434": [434, "No permission for this API", "无权限访问该接口"],
  "435": [435, "The file exceeds 100 MB", "文件大小超过 100MB"],
  "500": [500, "Internal error", "内部错误"],
  "1000": [401, "Authentication failed", "身份验证失败。"],
  "1001": [401, "Authorization header is missing", "Header中未收到Authorization参数，无法进行身份验证。"],
  "1002": [401, "Authorization token is invalid", "Authorization Token非法，请确认Authorization Token正确传递。"],
  "1003": [401, "Authorization token has expired", "Authorization Token已过期，请重新生成/获取"],
  "1004": [401, "Authorization token failed verification", "通过提供的Authorization Token的验证失败。"],
  "1005": [401, "Two-factor authentication is required", "需要二次验证"],
  "1100": [429, "Account read or write failed", "账户读写"],
  "1110": [429, "Your account is inactive", "您的账户当前处于非活动状态。请检查账户信息。"],
  "1111": [429, "Your account does not exist", "您的账户不存在。"],
  "1112": [429, "Your account has been locked", "您的账户已被锁定，请联系客服解锁"],
  "1113": [429, "Insufficient balance or no resource package. Please recharge.", "余额不足或无可用资源包，请充值。"],
  "1120": [429, "Your account cannot be accessed now, please try again later", "无法成功访问您的账户，请稍后重试。"],
  "1121": [429, "Your account violates the terms of use", "您的账户存在违规行为，已被锁定"],
  "1200": [500, "API call error", "接口调用失败"],
  "1210": [400, "Invalid API parameter, please check the documentation.", "API 调用参数有误，请检查文档。"],
  "1211": [400, "Unknown Model, please check the model code.", "模型不存在，请检查模型代码。"],
  "1212": [400, "The model does not support this way of calling", "当前模型不支持该调用方式"],
  "1213": [400, "The {param} parameter was not received properly", "未正常接收到{param}参数。"],
  "1214": [400, "Invalid {param} parameter, please check the documentation.", "{param} 参数非法。请检查文档。"],
  "1215": [400, "The {param} parameter cannot be set together with another", "{param} 与其他参数不能同时设置"],
  "1220": [403, "You have no permission to access this API", "您无权访问该接口。"],
  "1221": [400, "This API has been taken offline", "该接口已下线。"],
  "1222": [400, "This API does not exist", "该接口不存在。"],
  "1230": [500, "API process error", "接口处理流程出错。"],
  "1231": [400, "A request with this request_id is already running", "您已有请求在处理中"],
  "1234": [500, "Network error, please try again later", "网络错误，请稍后重试"],
  "1261": [400, "Prompt exceeds max length", "Prompt 超长"],
  "1300": [400, "The call was blocked by policy", "接口调用被策略阻断。"],
  "1301": [400, "Input or output may contain unsafe content", "系统检测到输入或生成内容可能包含不安全或敏感内容"],
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
  "1311": [429, "Your plan does not include this model", "您的套餐暂未包含该模型"],
  "1312": [429, "This model is busy, please use another one", "该模型当前繁忙，请使用其他模型"],
  "1313": [429, "Your account is restricted by the fair use policy", "您的账户因违反公平使用政策而受限"],
  "1314": [429, "The enterprise plan has expired", "企业套餐已到期"],
  "1315": [429, "This key is for the enterprise plan only", "该密钥仅限企业套餐使用"],
  "1316": [
    429,
    "Usage limit reached for 5 hour and no extra balance. Your limit will reset at {reset}",
    "已达到 5 小时的使用上限且无额外余额。您的限额将在 {reset} 重置。",
  ],
  "1317": [
    429,
    "Usage limit reached for 7 day and no extra balance. Your limit will reset at {reset}",
    "已达到 7 天的使用上限且无额外余额。您的限额将在 {reset} 重置。",
  ],
  "1318": [
    429,
    "Monthly spend limit reached. Your limit will reset at {reset}",
    "已达每月消费上限，将在 {reset} 重置。",
  ],
  "1319": [429, "Monthly spend cap reached. Your limit will reset at {reset}", "已达每月消费封顶，将在 {reset} 重置。"],
  "1320": [
    429,
    "Member spend limit reached. Your limit will reset at {reset}",
    "已达成员消费上限，将在 {reset} 重置。",
  ],
  "1321": [429, "Member spend cap reached. Your limit will reset at {reset}", "已达成员消费封顶，将在 {reset} 重置。"],
};

/** How far ahead the resets of quotas lie. */
export const resetAheadMs = 60 * 60_000;

/** The error of a code as GLM words it; a code that is not known comes as 500. */
export function toGlmError(code: string, language: GlmLanguage, wallNowMs: number, param = ""): GlmError {
  const [status, en, zh] = errors[code] ?? [500, `Error ${code}`, `错误 ${code}`];
  const message = (language === "zh" ? zh : en)
    .replace("{param}", param)
    .replace("{reset}", formatBeijing(wallNowMs + resetAheadMs));
  return { status, code, message };
}

/** All that the table has. */
export const glmCodes: readonly string[] = Object.keys(errors);

export function hasReset(code: string): boolean {
  return errors[code]?.[1].includes("{reset}") ?? false;
}

/** The credential itself is refused, rather than the account or the call. */
export function isAboutKey(code: string): boolean {
  return errors[code]?.[0] === 401;
}

/** The body: no type, no request id; only the content filter adds what it looked at. */
export function toErrorBody({ code, message }: GlmError): object {
  const filter = code === "1301" ? { contentFilter: [{ level: 1, role: "user" }] } : {};
  return { ...filter, error: { code, message } };
}
