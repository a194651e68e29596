/**
 * Where the archive is. The URL becomes part of object keys and is journaled, so it holds no credentials and
 * nothing that two programs could read in two ways (percent escapes, dot segments, queries). None of it is
 * repeated in a message.
 */
import { read, refuse, shown, type Reading } from "./reading.ts";

export const ARCHIVE_URL_PATTERN = "^(s3://[a-z0-9][a-z0-9.-]+|file://)(/[^/?#%\\\\]+)*/?$";
export const REGION_PATTERN = "^[a-z0-9][a-z0-9-]{0,31}$";

const CREDENTIALS_ELSEWHERE =
  "Remove them: credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE, a role)";
const BUCKET = /^(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** The characters that S3 calls safe in keys. */
const S3_SEGMENT = /^[A-Za-z0-9!_.*'()=-]+$/;
const FILE_SEGMENT = /^[^?#%\\\p{Cc}]+$/u;

function readSegments(path: string, segment: RegExp): Reading<string> {
  const segments = path.replace(/^\//, "").replace(/\/$/, "").split("/");
  if (segments.some((each) => each === ""))
    return refuse("the path has an empty segment (//)", "Write single slashes");
  if (segments.some((each) => each === "." || each === "..")) {
    return refuse("the path has a dot segment (. or ..)", "Write the path out");
  }
  if (!segments.every((each) => segment.test(each))) {
    return refuse(
      "the path has characters that object keys or URLs give a meaning to",
      "Use letters, digits and - _ . only",
    );
  }
  return read(segments.join("/"));
}

/** Reads `s3://bucket`, `s3://bucket/prefix` or `file:///absolute/path`, without a trailing slash. */
export function readArchiveUrl(text: string): Reading<string> {
  const match = /^(s3|file):\/\/([^/]*)(.*)$/s.exec(text);
  if (
    /^[a-z0-9+.-]*:\/\/[^/]*@/i.test(text) ||
    /[?&][^=]*(?:key|token|secret|signature|credential)[^=]*=/i.test(text)
  ) {
    return refuse("the URL holds credentials (not shown)", CREDENTIALS_ELSEWHERE);
  }
  if (!match) return refuse("not the URL of an archive (not shown)");
  const [, scheme, authority = "", path = ""] = match;
  if (scheme === "file" && authority !== "") {
    return refuse(
      "a file URL names no host here (not shown)",
      "Write three slashes: file:///var/lib/firnline",
    );
  }
  if (scheme === "s3" && !BUCKET.test(authority)) {
    return refuse(
      "not the name of a bucket (not shown)",
      "Write s3://bucket/prefix; a bucket has 3 to 63 lower-case letters, digits, hyphens and dots",
    );
  }
  if (path === "" || path === "/") {
    if (scheme === "s3") return read(`s3://${authority}`);
    return refuse("the root of the file system is no place for an archive", "Write file:///var/lib/firnline");
  }
  const segments = readSegments(path, scheme === "s3" ? S3_SEGMENT : FILE_SEGMENT);
  return segments.ok ? read(`${scheme}://${authority}/${segments.value}`) : segments;
}

/** Reads a region such as `eu-central-1`; stores that are not AWS use `auto`, `default` and the like. */
export function readRegion(text: string): Reading<string> {
  return new RegExp(REGION_PATTERN).test(text)
    ? read(text)
    : refuse(`not the name of a region (found ${shown(text)})`);
}

/**
 * Reads the origin of an S3-compatible store: `https://host` or `http://host:port`. Link-local addresses are
 * refused: the machine's own credentials are served there. (A name that resolves to one is the adapter's to
 * refuse.)
 */
export function readEndpoint(text: string): Reading<string> {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") {
    return refuse("not the URL of a store (not shown)");
  }
  if (url.username !== "" || url.password !== "") {
    return refuse("the URL holds credentials (not shown)", CREDENTIALS_ELSEWHERE);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    return refuse(
      "more than a scheme, a host and a port (not shown)",
      "Put the bucket and the prefix into archive.url",
    );
  }
  // `URL` has already normalised decimal, octal and hexadecimal spellings of an IPv4 address.
  if (/^(?:169\.254\.|\[fe[89ab][0-9a-f]:|\[::ffff:a9fe:|\[fd00:ec2::254\])/.test(url.hostname)) {
    return refuse("a link-local address", "Write the address of an S3-compatible store");
  }
  return read(url.origin);
}
