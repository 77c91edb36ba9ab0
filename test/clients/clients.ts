// Every client that is tested, in the order of the table.

import { anthropic } from "./anthropic-client.ts";
import type { ClientUnderTest } from "./client.ts";
import { langChain } from "./langchain-client.ts";
import { openAi, openAiResponses } from "./openai-clients.ts";
import { aiCompatible, zhipuProvider } from "./vercel-clients.ts";
import { zhipuAi, zhipuAiV4 } from "./zhipu-clients.ts";

export const clients: readonly ClientUnderTest[] = [
  openAi,
  openAiResponses,
  anthropic,
  aiCompatible,
  zhipuProvider,
  langChain,
  zhipuAi,
  zhipuAiV4,
];
