// How the events of an answer say what they are, and where its usage stands: the dialect that the upstream spoke.

/** Chat completions (OpenAI's and GLM's) · Anthropic's Messages · OpenAI's Responses · anything else. */
export type AnswerFormat = "chat" | "messages" | "responses" | "plain";
