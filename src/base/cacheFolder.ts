/** @file The per-user folder for what can be made again (Node only). */
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where caches go: TREELINE_CACHE, else the platform's place for caches. */
export function defaultCacheDirectory(
  env: Readonly<Record<string, string | undefined>> = process.env,
  platform: string = process.platform,
  home = homedir(),
): string {
  if (env['TREELINE_CACHE']) return env['TREELINE_CACHE']
  if (env['XDG_CACHE_HOME']) return join(env['XDG_CACHE_HOME'], 'treeline')
  if (platform === 'darwin') return join(home, 'Library', 'Caches', 'treeline')
  if (platform === 'win32')
    return join(env['LOCALAPPDATA'] || join(home, 'AppData', 'Local'), 'treeline', 'Cache')
  return join(home, '.cache', 'treeline')
}
