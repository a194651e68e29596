/** Who asks, for the audit of the audit: the operating system's user. */
import { userInfo } from "node:os";

export function requester(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
