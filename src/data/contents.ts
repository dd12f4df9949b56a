/** @file The files of a set as bytes in memory, each compared with its checksum; a damaged cache is fetched again. */
import { fail } from '../base/index.ts'
import { readBytes } from '../base/read.ts'
import { type GetDatasetOptions, getDataset, replaceDataset } from './get.ts'
import { type DatasetSource, datasets, findSource } from './sources.ts'
import { sha256 } from './unpack.ts'

/** Every file of a set by its name. Throws what `getDataset` throws. */
export async function loadContents(
  name: string,
  options: GetDatasetOptions,
): Promise<Map<string, Uint8Array>> {
  const source = findSource(name, options.table ?? datasets)
  let { files } = await getDataset(name, options)
  let contents = readChecked(files, source)
  if (contents.damage) {
    files = (await replaceDataset(name, contents.damage, options)).files
    contents = readChecked(files, source)
    if (contents.damage)
      fail(
        'TL_CHECKSUM',
        `${name}: ${contents.damage}, though it was just fetched: the disk under the cache loses data`,
      )
  }
  return contents.bytes
}

/** Read all files, and compare the very bytes that will be used. */
function readChecked(
  files: Record<string, string>,
  source: DatasetSource,
): { bytes: Map<string, Uint8Array>; damage?: string } {
  const contents = new Map<string, Uint8Array>()
  for (const [name, path] of Object.entries(files)) {
    const data = readBytes(path)
    if (sha256(data) !== source.files[name]!.sha256)
      return { bytes: contents, damage: `${name} has another checksum` }
    contents.set(name, data)
  }
  return { bytes: contents }
}
