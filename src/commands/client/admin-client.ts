// How commands speak to the control plane: one port, whether it is a server's socket, a server far away, or the store
// itself while no server runs. What the requests are is docs/api.md's.

export interface AdminClient {
  /** socket: the server of this machine · url: one that is reached over the network · store: no server, the database */
  readonly via: "socket" | "url" | "store";
  /** The base URL of the server, where `via` is "url". */
  readonly url: string | null;
  /** Rejects with CommandError when nobody answers. */
  request(method: Method, path: string, body?: object): Promise<Answer>;
  /**
   * Follows an event stream until it ends or is aborted. Rejects with CommandError when there is none, or nobody answers.
   */
  events(path: string, listener: StreamListener, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

export interface Answer {
  readonly status: number;
  /** Undefined where there is no body, or none of JSON. */
  readonly json: unknown;
}

export interface StreamListener {
  /** From here on, nothing is missed. */
  onOpen(): void;
  onEvent(event: StreamEvent): void;
}

export interface StreamEvent {
  readonly name: string;
  readonly json: unknown;
}
