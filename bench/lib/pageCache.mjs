/** @file The operating system's cache of file contents: emptied before a measurement "from disk", filled before one "from cache". */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const filesOf = (folders) =>
  folders.flatMap((folder) =>
    readdirSync(folder)
      .map((name) => join(folder, name))
      .filter((path) => statSync(path).isFile()),
  )

const advise = `import os, sys
for path in sys.argv[1:]:
    with open(path, 'rb') as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)`

/** Data that wait to be written are written first, so that no measurement pays for the one before. */
export function sync() {
  try {
    execFileSync('sync', { stdio: 'ignore' })
  } catch {}
}

/**
 * Forget the contents of these folders' files. Only theirs where a Python can say so to the system; else, as root, everything,
 * the programs too, which the next start of each then reads from disk. Returns how, or null when nothing can be done.
 */
export function dropCaches(folders, python) {
  sync()
  try {
    execFileSync(python ?? 'python3', ['-c', advise, ...filesOf(folders)], { stdio: 'ignore' })
    return 'posix_fadvise'
  } catch {}
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3\n')
    return '/proc/sys/vm/drop_caches'
  } catch {
    return null
  }
}

/** Read all of these folders' files once. */
export function fillCaches(folders) {
  const piece = Buffer.allocUnsafe(1 << 24)
  for (const path of filesOf(folders)) {
    const descriptor = openSync(path, 'r')
    while (readSync(descriptor, piece) > 0);
    closeSync(descriptor)
  }
}
