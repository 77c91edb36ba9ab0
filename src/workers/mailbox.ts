// Sends what is said in one turn of the event loop in one piece: a message costs microseconds, whatever is in it.

export interface Mailbox<Message> {
  post(message: Message): void;
}

export function createMailbox<Message>(send: (messages: readonly Message[]) => void): Mailbox<Message> {
  let waiting: Message[] = [];

  function flush(): void {
    const messages = waiting;
    waiting = [];
    send(messages);
  }

  return {
    post(message) {
      if (waiting.push(message) === 1) setImmediate(flush);
    },
  };
}
