/** Fault 32: a store whose listing is behind what it holds. */
import type { Archive } from "../../src/archive/port.ts";

/** Lists only what `isListed` lets through; everything else is as it is. */
export function behind(archive: Archive, isListed: (key: string) => boolean): Archive {
  return new Proxy<Archive>(archive, {
    get(target, name) {
      if (name === "list" || name === "listVersions") {
        return async function* (prefix: string) {
          for await (const object of target[name](prefix)) if (isListed(object.key)) yield object;
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
