/**
 * The part of S3 Glacier's HTTP interface that moto does not have: uploads in parts, and ranges of a job's output with
 * their tree hashes. Source: S3 Glacier developer guide, "API reference". What it keeps is a `MemoryVault`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { MemoryVault } from "./memory-vault.ts";

type Headers = Readonly<Record<string, string>>;

export interface Answer {
  readonly status: number;
  readonly headers?: Headers;
  readonly body?: string | Uint8Array;
}

export class GlacierHttp implements AsyncDisposable {
  readonly endpoint: string;
  /** `METHOD path`, in order. */
  readonly seen: string[] = [];
  /** An answer in the place of the vault's own, for as long as it gives one. `hang`: it begins, and does not end. */
  instead: (request: string) => Answer | "hang up" | "hang" | null = () => null;
  readonly #server: ReturnType<typeof createServer>;
  readonly #vault: MemoryVault;

  private constructor(server: ReturnType<typeof createServer>, vault: MemoryVault) {
    this.#server = server;
    this.#vault = vault;
    this.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async over(vault: MemoryVault): Promise<GlacierHttp> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const http = new GlacierHttp(server, vault);
    server.on("request", (request, response) => void http.#answer(request, response));
    return http;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
    const what = `${request.method} ${(request.url ?? "").replace(/\?.*/, "")}`;
    this.seen.push(what);
    const other = this.instead(what);
    if (other === "hang up") {
      request.socket.destroy();
      return;
    }
    if (other === "hang") {
      response.writeHead(200, { "content-type": "application/json" }).write('{"VaultName":');
      return;
    }
    const {
      status,
      headers = {},
      body = "",
    } = other ??
    (await this.#handle(what, request.headers as Headers, new Uint8Array(Buffer.concat(chunks))));
    response.writeHead(status, headers).end(body);
  }

  async #handle(what: string, headers: Headers, body: Uint8Array): Promise<Answer> {
    const where = { op: "", key: "" };
    const vault = this.#vault;
    const at = `/-/vaults/${vault.name}`;
    const [, method, rest = ""] = /^(\w+) (.*)$/.exec(what.replace(at, "")) ?? [];
    const [, folder, id = "", output] = rest.split("/");
    const header = (name: string): string => headers[`x-amz-${name}`] ?? "";
    const treeHash = header("sha256-tree-hash");
    switch (`${method} ${folder}${id === "" ? "" : "/ID"}${output === undefined ? "" : `/${output}`}`) {
      case "POST multipart-uploads": {
        const id_ = await vault.beginUpload(
          where,
          header("archive-description"),
          Number(header("part-size")),
        );
        return { status: 201, headers: { "x-amz-multipart-upload-id": id_ } };
      }
      case "PUT multipart-uploads/ID": {
        const [, start, end] = /^bytes (\d+)-(\d+)\/\*$/.exec(headers["content-range"] ?? "") ?? [];
        if (Number(end) - Number(start) + 1 !== body.length) return { status: 400 };
        await vault.uploadPart(where, { uploadId: id, start: Number(start), bytes: body, treeHash });
        return { status: 204, headers: { "x-amz-sha256-tree-hash": treeHash } };
      }
      case "POST multipart-uploads/ID": {
        const bytes = BigInt(header("archive-size"));
        const { archiveId } = await vault.completeUpload(where, { uploadId: id, bytes, treeHash });
        return {
          status: 201,
          headers: { "x-amz-archive-id": archiveId, "x-amz-sha256-tree-hash": treeHash },
        };
      }
      case "DELETE multipart-uploads/ID":
        await vault.abortUpload(where, id);
        return { status: 204 };
      case "GET multipart-uploads": {
        const list = [...vault.unfinished].map(([MultipartUploadId, { createdAt, description }]) => ({
          MultipartUploadId,
          ArchiveDescription: description,
          CreationDate: new Date(createdAt).toISOString(),
        }));
        return { status: 200, body: JSON.stringify({ Marker: null, UploadsList: list }) };
      }
      case "GET jobs/ID/output": {
        const [, start = "", end = ""] = /^bytes=(\d+)-(\d+)$/.exec(headers["range"] ?? "") ?? [];
        const found = await vault.output(where, id, Number(start), Number(end) + 1);
        const pieces = await Array.fromAsync(found.body);
        const hash = found.treeHash === null ? {} : { "x-amz-sha256-tree-hash": found.treeHash };
        return { status: 206, headers: hash as Headers, body: Buffer.concat(pieces) };
      }
      default:
        return { status: 404, body: "404 Not Found" };
    }
  }
}
