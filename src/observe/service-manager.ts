// Tells systemd how the service is (sd_notify). Node has no datagram sockets of the Unix kind, so systemd's own tool
// sends the message; without a manager, or without the tool, nothing happens.

import { spawn } from "node:child_process";

export interface ServiceManager {
  /** Such as "READY=1" or "STATUS=draining". Never fails. */
  notify(...states: string[]): void;
}

/** `socket` is $NOTIFY_SOCKET. */
export function createServiceManager(socket: string | undefined): ServiceManager {
  return {
    notify(...states) {
      if (!socket) return;
      const child = spawn("systemd-notify", [`--pid=${process.pid}`, ...states], {
        env: { NOTIFY_SOCKET: socket, PATH: "/usr/bin:/bin" },
        stdio: "ignore",
      });
      child.once("error", () => {});
      child.unref();
    },
  };
}
