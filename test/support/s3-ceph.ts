/**
 * Ceph radosgw on one machine: a monitor, an object store in memory and the S3 gateway, all on free ports of 127.0.0.1
 * below a folder of their own, without manager and without authentication between them. Takes two seconds and 300 MB.
 */
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../src/demo/server-process.ts";
import { answers, Daemon, findProgram, run } from "./s3-daemon.ts";
import type { S3Address } from "./s3-server.ts";

const PROGRAMS = ["ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin"] as const;
const STORAGE_CLASSES = ["STANDARD_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"] as const;
const ATTEMPTS_MAX = 3;
/** So many seconds count as a day of a lifecycle rule. */
const LIFECYCLE_DAY_SECONDS = 5;
export const KMS_KEY = "testkey-1";
const ACCESS = { accessKeyId: "testaccess", secretAccessKey: "testsecret" } as const;

export interface RunningS3 extends AsyncDisposable {
  readonly address: S3Address;
}

/** Null where the programs are not installed. */
export async function startCeph(): Promise<RunningS3 | null> {
  for (const program of PROGRAMS) if ((await findProgram(program)) === null) return null;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOnce();
    } catch (error) {
      if (attempt === ATTEMPTS_MAX) throw error; // else a port was taken meanwhile
    }
  }
}

async function startOnce(): Promise<RunningS3> {
  const folder = await mkdtemp(join(tmpdir(), "firnline-ceph-"));
  const daemons: Daemon[] = [];
  const stop = async (): Promise<void> => {
    for (const daemon of daemons.splice(0).toReversed()) await daemon[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const endpoint = await launch(folder, (daemon) => {
      daemons.push(daemon);
      return daemon;
    });
    const version = /ceph version (\S+)/.exec(await run("ceph", ["--version"]))?.[1] ?? "of unknown version";
    const address: S3Address = {
      name: "ceph",
      title: `Ceph ${version}`,
      endpoint,
      region: "us-east-1",
      ...ACCESS,
      lifecycleDaySeconds: LIFECYCLE_DAY_SECONDS,
    };
    return { address, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts the three daemons one after the other; returns the gateway's URL. */
async function launch(folder: string, started: (daemon: Daemon) => Daemon): Promise<string> {
  const [monitorPort, oldMonitorPort, gatewayPort] = [await freePort(), await freePort(), await freePort()];
  const conf = join(folder, "ceph.conf");
  const how = ["--conf", conf];
  const fsid = randomUUID();
  for (const name of ["mon", "osd", "log", "run"]) await mkdir(join(folder, name));
  await writeFile(conf, configuration({ folder, fsid, monitorPort, oldMonitorPort, gatewayPort }));
  await writeFile(
    join(folder, "keyring"),
    `[mon.]\n\tkey = ${"AQ".padEnd(38, "A")}==\n\tcaps mon = "allow *"\n`,
  );
  const daemon = (program: string, ...args: string[]): Daemon =>
    started(new Daemon([program, "-f", ...args, ...how], join(folder, "log", `${program}.out`), folder));

  const addresses = `[v2:127.0.0.1:${monitorPort},v1:127.0.0.1:${oldMonitorPort}]`;
  const map = join(folder, "monmap");
  await run("monmaptool", ["--create", "--clobber", "--fsid", fsid, "--addv", "a", addresses, map]);
  await run("ceph-mon", ["-i", "a", "--mkfs", "--monmap", map, ...how]);
  daemon("ceph-mon", "-i", "a");

  const osd = randomUUID();
  await run("ceph", [...how, "osd", "new", osd]); // waits for the monitor
  await run("ceph-osd", ["-i", "0", "--mkfs", "--osd-uuid", osd, ...how]);
  daemon("ceph-osd", "-i", "0");

  const admin = async (...args: string[]): Promise<string> =>
    await run("radosgw-admin", [...how, "-n", "client.rgw", ...args]);
  const keys = [`--access-key=${ACCESS.accessKeyId}`, `--secret-key=${ACCESS.secretAccessKey}`];
  await admin("user", "create", "--uid=test", "--display-name=test", ...keys);
  for (const storageClass of STORAGE_CLASSES) {
    const place = ["--placement-id=default-placement", `--storage-class=${storageClass}`];
    await admin("zonegroup", "placement", "add", "--rgw-zonegroup=default", ...place);
    await admin(
      "zone",
      "placement",
      "add",
      "--rgw-zone=default",
      ...place,
      `--data-pool=default.rgw.${storageClass}.data`,
    );
  }
  const endpoint = `http://127.0.0.1:${gatewayPort}`;
  await daemon("radosgw", "-n", "client.rgw").until(async () => await answers(endpoint));
  return endpoint;
}

interface Places {
  readonly folder: string;
  readonly fsid: string;
  readonly monitorPort: number;
  readonly oldMonitorPort: number;
  readonly gatewayPort: number;
}

/** `ms_mon_*_mode = crc` is what lets it run without a manager and without keys. */
const configuration = ({
  folder,
  fsid,
  monitorPort,
  oldMonitorPort,
  gatewayPort,
}: Places): string => `[global]
fsid = ${fsid}
mon_host = [v2:127.0.0.1:${monitorPort},v1:127.0.0.1:${oldMonitorPort}]
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
auth_allow_insecure_global_id_reclaim = true
ms_mon_client_mode = crc
ms_mon_service_mode = crc
ms_mon_cluster_mode = crc
ms_bind_ipv6 = false
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
public_network = 127.0.0.0/8
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
run_dir = ${folder}/run
admin_socket = ${folder}/run/$name.$pid.asok
pid_file = ${folder}/run/$name.pid
log_file = ${folder}/log/$name.log
keyring = ${folder}/keyring
setuser_match_path =
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 1000
[mon.a]
mon_data = ${folder}/mon
mon_cluster_log_file = ${folder}/log/cluster.log
mon_data_avail_warn = 2
mon_data_avail_crit = 1
[osd.0]
osd_data = ${folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_memory_target = 939524096
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 1
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:${gatewayPort}
rgw_thread_pool_size = 64
rgw_dynamic_resharding = false
rgw_run_sync_thread = false
rgw_enable_usage_log = false
rgw_lc_debug_interval = ${LIFECYCLE_DAY_SECONDS}
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = ${KMS_KEY}=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
rgw_rados_pool_pg_num_min = 8
debug_rgw = 1
`;
