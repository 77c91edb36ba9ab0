// Why a port can't be listened on, and what to do about it.

export interface ListenAdvice {
  /** How to choose another port. */
  readonly port: string;
  /** How to choose another address, as a sentence. */
  readonly host: string;
}

export function explainListenError(
  error: NodeJS.ErrnoException,
  { host, port }: { readonly host: string; readonly port: number },
  advice: ListenAdvice,
): string {
  const where = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  switch (error.code) {
    case "EADDRINUSE":
      return `Cannot listen on ${where}: another program listens there already. Stop it, or ${advice.port}.`;
    case "EACCES":
      return `Cannot listen on ${where}: permission denied. Ports below 1024 need a privilege; ${advice.port}.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EINVAL":
      return `Cannot listen on ${where}: this machine has no such address. ${advice.host}`;
    default:
      return `Cannot listen on ${where}: ${error.message}`;
  }
}
