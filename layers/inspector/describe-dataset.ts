import type { DatasetArray, DatasetContent } from '../core/domain/dataset.ts'
import { OnnxFault } from '../onnx/fault.ts'
import { type FileWindow, withFileWindow } from '../onnx/formats/file-window.ts'
import { type ZipEntry, zipEntries } from '../onnx/formats/zip.ts'
import { gunzippedHead, idxHeader, isGzip, isIdx, memberHead, npyHeader } from './dataset-headers.ts'
import { describeLines } from './dataset-lines.ts'

/** What stands in the record of a dataset, which holds no more than 350 kB. */
const MAX_ARRAYS = 256
const MAX_NAME = 256
const MAX_RANK = 32

/**
 * What a file of rows holds, recognised by its content and read from its headers: .npz, .npy, idx (also gzipped), a zip of idx or npy
 * files, or JSON lines. Fails with `OnnxFault` saying what is wrong, got, wanted.
 */
export const describeDataset = async (path: string): Promise<DatasetContent> => {
  const found = withFileWindow(path, fromHeaders)
  return bounded(typeof found === 'string' ? await describeLines(path, MAX_ARRAYS, found === 'gzipped lines') : found)
}

/** Headers may say anything; what no reader would take is refused here, where its owner learns of it. */
const bounded = (found: DatasetContent): DatasetContent => {
  for (const { name, shape } of found.arrays) {
    if (name.length > MAX_NAME)
      throw new OnnxFault(
        'unsafe',
        `An array has a name of ${name.length} characters (${name.slice(0, 40)}…); wanted at most ${MAX_NAME}`,
      )
    if (shape !== null && shape.length > MAX_RANK)
      throw new OnnxFault('unsafe', `Array ${name} has a shape of ${shape.length} axes; wanted at most ${MAX_RANK}`)
  }
  return found
}

/** What only headers were read of, or which kind of lines it is. */
const fromHeaders = (file: FileWindow): DatasetContent | 'lines' | 'gzipped lines' => {
  const head = file.upTo(0, 64 * 1024)
  if (head.length === 0) throw new OnnxFault('empty', 'The file has no bytes')
  if (head[0] === 0x93) return content('npy', [npyHeader(head, '', file.size_bytes)])
  if (isIdx(head)) return content('idx', [idxHeader(head, '', file.size_bytes)])
  if (isGzip(head)) return fromGzip(gunzippedHead(head, ''))
  if (head.toString('latin1', 0, 2) === 'PK') return fromArchive(file)
  if (isLines(head)) return 'lines'
  throw new OnnxFault(
    'not_a_model',
    `The file is none of .npz, .npy, idx, zip of idx, JSON lines: it begins with bytes ${head.toString('hex', 0, 8)}`,
  )
}

const isLines = (head: Buffer): boolean => /^\uFEFF?\s*\{/.test(head.toString('utf8', 0, 4096))

const fromGzip = (head: Buffer): DatasetContent | 'gzipped lines' => {
  if (isLines(head)) return 'gzipped lines'
  return head[0] === 0x93 ? content('npy', [npyHeader(head, '', undefined)]) : content('idx', [idxHeader(head, '', undefined)])
}

const fromArchive = (file: FileWindow): DatasetContent => {
  const entries = zipEntries(file).filter(({ name }) => !name.endsWith('/'))
  if (entries.length === 0) throw new OnnxFault('empty', 'The archive holds no file')
  if (entries.length > MAX_ARRAYS)
    throw new OnnxFault('unsafe', `The archive holds ${entries.length} files; wanted at most ${MAX_ARRAYS} arrays`)
  const arrays = entries.map((entry) => memberArray(file, entry))
  const numpy = entries.every(({ name }) => name.endsWith('.npy'))
  return content(numpy ? 'npz' : 'zip', arrays)
}

const memberArray = (file: FileWindow, entry: ZipEntry): DatasetArray => {
  const name = entry.name.replace(/(\.(npy|idx|idx\d-ubyte))?(\.gz)?$/, '')
  const head = memberHead(file, entry)
  if (isGzip(head)) return idxHeader(gunzippedHead(head, entry.name), name, undefined)
  return isIdx(head) ? idxHeader(head, name, entry.size_bytes) : npyHeader(head, name, entry.size_bytes)
}

/** Fails for arrays without a row, and labels that are not as many as there are rows. */
const checkRows = (arrays: DatasetArray[]): void => {
  const empty = arrays.find(({ shape }) => shape?.includes(0))
  if (empty)
    throw new OnnxFault(
      'empty',
      `${empty.name === '' ? 'The array' : `Array ${empty.name}`} holds no rows: its shape is [${empty.shape}]`,
    )
  const labels = arrays.find(({ name }) => labelNames.includes(name))
  const counts = arrays.flatMap((array) => (array === labels ? [] : [array.shape?.[0] ?? 1]))
  const given = labels?.shape?.[0]
  if (given === undefined || counts.length === 0 || counts.includes(given)) return
  throw new OnnxFault('not_a_model', `There are ${given} labels for ${counts.join(', ')} rows; wanted one for each`)
}

/** What arrays with these names hold in any file of rows; others may be inputs. */
const labelNames = ['labels', 'label']

/** Rows are counted where all arrays agree: an input of several rows per call has fewer. */
const content = (format: DatasetContent['format'], arrays: DatasetArray[]): DatasetContent => {
  checkRows(arrays)
  const counts = new Set(arrays.map(({ shape }) => shape?.[0]))
  const [rows] = counts
  return { format, rows: counts.size === 1 && rows !== undefined ? rows : null, arrays }
}
