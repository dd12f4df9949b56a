/** @file Real Slurm and real Redis on this machine, without systemd, in the foreground, on ports of their own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'

const has = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`], {
    env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
  }).status === 0
export const hasSlurm = ['slurmctld', 'slurmd', 'sbatch'].every(has) && process.getuid?.() === 0
export const hasRedis = has('redis-server')

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))
export async function until(holds: () => boolean | Promise<boolean>, seconds = 60): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !(await holds()); await sleep(100))
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain`)
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

/** End a process and wait for it. */
export async function end(
  child: ChildProcess | undefined,
  signal: NodeJS.Signals = 'SIGKILL',
): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  await gone
}

/** Redis with an append-only file, which can be killed and started again. */
export async function openRedis(folder: string, password = '') {
  mkdirSync(folder, { recursive: true })
  const port = await freePort()
  const words = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'yes',
    '--dir',
    folder,
  ]
  const start = async (): Promise<ChildProcess> => {
    const child = spawn('redis-server', [...words, ...(password ? ['--requirepass', password] : [])], {
      stdio: 'ignore',
    })
    const ping = () =>
      spawnSync('redis-cli', ['-p', String(port), ...(password ? ['-a', password] : []), 'ping'], {
        encoding: 'utf8',
      })
    await until(() => ping().stdout.includes('PONG'))
    return child
  }
  let server = await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    kill: () => end(server),
    async restart() {
      await end(server)
      server = await start()
    },
    close: () => end(server),
  }
}

/** A cluster of one node. `env` is what commands of Slurm need. */
export async function openSlurm(folder: string) {
  for (const name of ['state', 'spool']) mkdirSync(join(folder, name), { recursive: true })
  const node = hostname().split('.')[0]!
  const [controller, daemon] = [await freePort(), await freePort()]
  const conf = join(folder, 'slurm.conf')
  writeFileSync(
    conf,
    `ClusterName=treeline
SlurmctldHost=${node}(127.0.0.1)
SlurmctldPort=${controller}
SlurmdPort=${daemon}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
MinJobAge=600
KillWait=2
MaxArraySize=4
SlurmdParameters=config_overrides
ReturnToService=2
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool
SlurmctldPidFile=${folder}/ctld.pid
SlurmdPidFile=${folder}/slurmd.pid
SlurmctldLogFile=${folder}/ctld.log
SlurmdLogFile=${folder}/slurmd.log
NodeName=${node} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=debug Nodes=${node} Default=YES MaxTime=INFINITE State=UP
`,
  )
  const env = { ...process.env, SLURM_CONF: conf, PATH: `${process.env['PATH']}:/usr/sbin` }
  const start = (program: string, ...words: string[]) =>
    spawn(program, ['-D', '-f', conf, ...words], { env, stdio: 'ignore' })
  let [ctld, slurmd] = [start('slurmctld', '-c'), start('slurmd', '-N', node)]
  const isIdle = () =>
    /idle|mix|alloc/.test(spawnSync('sinfo', ['-h', '-o', '%T'], { env, encoding: 'utf8' }).stdout)
  await until(isIdle)
  return {
    env,
    node,
    async restartController() {
      await end(ctld)
      ctld = start('slurmctld')
      await until(isIdle)
    },
    async restartNode() {
      await end(slurmd)
      slurmd = start('slurmd', '-N', node)
    },
    async close() {
      spawnSync('scancel', ['--user=root'], { env })
      await sleep(500)
      await end(slurmd, 'SIGTERM')
      await end(ctld, 'SIGTERM')
    },
  }
}
