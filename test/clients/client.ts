// What every client is asked to do, so that one table can tell which of them do what.

/** Where a client is pointed, and with what. */
export interface Access {
  /** The gateway's, without a path. */
  readonly url: string;
  /** What the client is given as its API key. */
  readonly key: string;
  readonly model: string;
}

export interface ToolUse {
  readonly name: string;
  readonly input: unknown;
}

/** A client as its users have it, its defaults untouched. */
export interface ClientUnderTest {
  readonly name: string;
  /** The dialect that it speaks. */
  readonly api: "OpenAI" | "GLM" | "Anthropic" | "Responses";
  /** What follows the gateway's address in its base URL. */
  readonly basePath: string;
  /** Whether it asks again by itself after 429. */
  readonly retries: boolean;
  /** It signs a token of its own from a key of two parts. */
  readonly signsJwt?: boolean;
  /** The text of a whole answer. */
  whole(access: Access, prompt: string): Promise<string>;
  /** The pieces of a streamed answer's text. */
  stream(access: Access, prompt: string): Promise<string[]>;
  /** The tool that the model wants used; null: the client has no tools. */
  tools: ((access: Access, prompt: string) => Promise<ToolUse>) | null;
  /** What its user sees of a failure: the status, where the client tells it. */
  findStatus(error: unknown): number | null;
  /** Leaves a stream after its first piece; null: the client has no way to. */
  abort: ((access: Access, prompt: string) => Promise<void>) | null;
}

export const weather = {
  name: "get_weather",
  description: "Tells the weather of a city",
  schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
} as const;
