#!/usr/bin/env node
// Slurm in sixty lines: sbatch, squeue, scancel and scontrol by the name of a link to this file. Its state is the folder FAKE_SLURM:
// a file for each task that waits or works. FAKE_SLURM_REFUSE makes sbatch refuse with these words.
import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const root = process.env.FAKE_SLURM
const words = process.argv.slice(2)
const flag = (name) => words.find((word) => word.startsWith(`--${name}=`))?.slice(name.length + 3)
const tasks = () => readdirSync(root).filter((name) => /^\d+_\d+$/.test(name))
const read = (name) => JSON.parse(readFileSync(join(root, name), 'utf8'))
appendFileSync(join(root, 'calls'), `${basename(process.argv[1])} ${words.join(' ')}\n`)

const programs = {
  sbatch() {
    if (process.env.FAKE_SLURM_REFUSE) {
      process.stderr.write(`sbatch: error: ${process.env.FAKE_SLURM_REFUSE}\n`)
      process.exit(1)
    }
    const id = tasks().length + readdirSync(root).filter((name) => name.endsWith('.job')).length + 1
    const count = Number(flag('array').split('-')[1]) + 1
    const job = { name: flag('job-name'), count, script: words.at(-1), output: flag('output'), cwd: flag('chdir') }
    writeFileSync(join(root, `${id}.job`), JSON.stringify(job))
    for (let i = 0; i < count; i++) writeFileSync(join(root, `${id}_${i}`), JSON.stringify({ name: job.name, index: i }))
    spawn(process.execPath, [process.argv[1], 'run', String(id)], { detached: true, stdio: 'ignore' }).unref()
    process.stdout.write(`${id}\n`)
  },
  async run() {
    const { count, script, output, cwd } = read(`${words[1]}.job`)
    const task = (index) =>
      new Promise((resolve) => {
        const name = join(root, `${words[1]}_${index}`)
        if (!existsSync(name)) return resolve()
        const said = openSync(output.replace('%A', words[1]).replace('%a', index), 'a')
        const env = { ...process.env, SLURM_ARRAY_JOB_ID: words[1], SLURM_ARRAY_TASK_ID: String(index) }
        const child = spawn('sh', [script], { cwd, env, stdio: ['ignore', said, said], detached: true })
        writeFileSync(name, JSON.stringify({ ...JSON.parse(readFileSync(name, 'utf8')), pid: child.pid }))
        child.on('exit', () => {
          if (existsSync(`${name}.again`)) {
            rmSync(`${name}.again`)
            return resolve(task(index))
          }
          rmSync(name, { force: true })
          resolve()
        })
      })
    const all = Array.from({ length: count }, (_, i) => i)
    await Promise.all([0, 1].map(async () => { while (all.length) await task(all.shift()) }))
  },
  squeue() {
    const names = flag('name').split(',')
    for (const { name, index } of tasks().map(read)) if (names.includes(name)) process.stdout.write(`${name} ${index}\n`)
  },
  scancel() {
    for (const name of tasks().filter((one) => words.includes(one.split('_')[0]))) {
      const { pid } = read(name)
      rmSync(join(root, name))
      try { if (pid) process.kill(-pid, 'SIGTERM') } catch {}
    }
  },
  scontrol() {
    if (words[0] === 'requeue') writeFileSync(join(root, `${words[1]}.again`), '')
    else process.stdout.write('MaxArraySize            = 4\nMaxJobCount             = 10000\n')
  },
}
await (words[0] === 'run' ? programs.run() : programs[basename(process.argv[1])]())
